"""`preauth explain`: what the pre-authorization table says to an order, row by row, and what would follow."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import click

from referral_engine.base.clock import ManualClock, from_micros, rfc3339, to_micros
from referral_engine.channels.book import Book
from referral_engine.channels.preauth import PreauthRow, RowAnswer, asked_by
from referral_engine.cli.framing import framing_of
from referral_engine.cli.shared import FOUND_PROBLEMS, conf_option, json_option, load_book, print_json, visible
from referral_engine.flow.explaining import Explanation, explain
from referral_engine.flow.inputs import Arrived
from referral_engine.flow.rehearsal import NODE
from referral_engine.flow.step import Step
from referral_engine.hl7.message import Message
from referral_engine.journal.codec import decode_event
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import DeadlineRow
from referral_engine.loop.clocks import lengths_of
from referral_engine.loop.events import ReferralOrdered
from referral_engine.loop.policy import HoldRule, Kind
from referral_engine.loop.referral import Order, Referral
from referral_engine.service.clock import MachineClock
from referral_engine.service.why_shapes import length_origin

Shape = dict[str, object]
_HOLD_CLOCKS: Final = (Kind.HOLD_REMIND, Kind.HOLD_BILLING)
# Where each fact of an order may stand, the first that has it.
_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "payer": ("IN1-3.1", "IN1-4.1"),
    "plan": ("IN1-15.1", "IN1-2.1"),
    "procedure": ("OBR-4.1", "OBR-4.4", "PR1-3.1"),
    "diagnosis": ("DG1-3.1", "OBR-31.1"),
}
_DOES: Final = {
    "send": "the packet goes out at once",
    "hold": "the packet waits for an authorization number, an approval, or staff",
    "submit": "the packet waits, and the request to the payer is prepared",
}


@click.group()
def preauth() -> None:
    """Ask the pre-authorization table (conf/preauth.toml)."""


@preauth.command(name="explain")
@click.argument("file", metavar="ORDER.hl7", type=click.Path(exists=True, dir_okay=False))
@click.option("--from", "peer", default="127.0.0.1", show_default=True, help="The address it would come from.")
@conf_option
@json_option
def explain_(file: str, peer: str, conf: str, *, as_json: bool) -> None:
    """Say what an order must wait for: what was found in it, each row of the table and why it fits or not.

    The order passes the real door over an empty journal, and all of it is taken back. Exit 1 when the file holds no
    new referral order.

    \b
    Example:
      referral-engine preauth explain sample_messages/orm-o01-cardiology-hmo.hl7
    """
    book = load_book(conf)
    told = _explained(book, Path(file).read_bytes(), peer)
    if as_json:
        print_json(told)
    else:
        click.echo(visible("\n\n".join("\n".join(_text(one)) for one in told) or f"{file}: no new referral order"))
    sys.exit(0 if told else FOUND_PROBLEMS)


def _explained(book: Book, raw: bytes, peer: str) -> list[Shape]:
    """Every new referral order of a file."""
    now = MachineClock().now()
    opened = Journal.open(":memory:", None, node=NODE, now=to_micros(now))
    try:
        step = Step(opened, book, ManualClock(now))
        seen = [explain(step, Arrived(raw=one, peer=peer)) for one in framing_of(raw).messages]
    finally:
        opened.close()
    return [shape for one in seen for shape in _orders(one, book)]


def _orders(seen: Explanation, book: Book) -> Iterator[Shape]:
    """The new referrals one message would start; an order nobody takes is held against the table all the same."""
    if seen.message is None:
        return
    begun = False
    for touched in seen.touched:
        rows = [row for row in touched.events if row.kind == ReferralOrdered.__name__]
        if not touched.is_new or not rows:
            continue
        begun = True
        event = cast("ReferralOrdered", decode_event(rows[0].kind, rows[0].body))
        yield shape_order(seen.message, event, book, touched.channel, rows[0].reason, touched.started)
    events = [event for reading in seen.readings for event in reading.events if isinstance(event, ReferralOrdered)]
    reason = seen.stored.reason if seen.stored is not None else ""
    for event in events if not begun else ():
        yield shape_order(seen.message, event, book, "", reason, ())


def shape_order(
    message: Message,
    event: ReferralOrdered,
    book: Book,
    channel: str,
    reason: str,
    started: tuple[DeadlineRow, ...],
) -> Shape:
    """One order against the whole table, and what the door would do with it.  channel: "" when nobody takes it."""
    order, hold = event.order, event.hold
    answers = book.preauth.answers(asked_by(order))
    winner = next((one.row for one in answers if one.wins), None)
    own = book.channels[channel].hold if channel else None
    return {
        "order": order.placer.value,
        "channel": channel or None,
        "found": _found(message, order),
        "authorization": bool(order.authorization_number),
        "payer_says": _payer_says(order),
        "insurances": [{"payer": list(one.payers), "plan": list(one.plans)} for one in order.insurances],
        "file": book.preauth.file or "built-in table",
        "rows": [_row(one) for one in answers],
        "row": None if winner is None else winner.verdict.why,
        "channel_hold": None
        if own is None
        else {"applies": own.when.matches(message), "reason": own.reason, "file": book.channels[channel].file},
        "rule": hold.rule.value if channel else None,
        "does": _DOES[hold.rule.value] if channel else "no channel takes the order: a person routes it first",
        "reason": reason,
        "tells": hold.notify or None,
        "lengths": list(_lengths(event, book, channel, winner)) if channel else [],
        "clocks": [
            {"kind": row.kind, "due_at": rfc3339(from_micros(row.due_at))}
            for row in started
            if row.kind in {kind.value for kind in _HOLD_CLOCKS}
        ],
    }


def _payer_says(order: Order) -> Shape:
    """What the order says of the payer's answer, the number itself apart."""
    begins_on, expires_on = order.authorization_begins_on, order.authorization_expires_on
    return {
        "number": bool(order.authorization_number),
        "denied": order.authorization_denied,
        "begins_on": begins_on.isoformat() if begins_on is not None else None,
        "expires_on": expires_on.isoformat() if expires_on is not None else None,
        "visits": order.authorization_visits or None,
        "provider": order.authorization_provider or None,
    }


def _lengths(event: ReferralOrdered, book: Book, channel: str, winner: PreauthRow | None) -> Iterator[Shape]:
    """How long each clock of a hold runs, and which line says so: [hold], the rule, [sla], or the engine's file."""
    hold, policy = event.hold, book.channels[channel].policy
    if hold.rule is HoldRule.SEND:
        return
    held = Referral(id="", channel=channel, patient=event.patient, order=event.order, hold=hold)
    for kind, own in ((Kind.HOLD_REMIND, hold.remind_after), (Kind.HOLD_BILLING, hold.billing_after)):
        if kind is Kind.HOLD_BILLING and not hold.billing:
            continue
        by_rule = own is not None and winner is not None
        yield {
            "kind": kind.value,
            "length": str(lengths_of(kind, held, policy)[0]),
            "decided_by": winner.verdict.why if by_rule and winner is not None else length_origin(book, held, kind),
        }


def _found(message: Message, order: Order) -> Shape:
    """Each column's value and where it stands; a patient's own values are no column."""
    values = {
        "payer": order.payer,
        "plan": order.plan,
        "procedure": order.service_code,
        "diagnosis": order.diagnosis,
    }
    found: Shape = {"specialty": {"value": order.specialty, "place": "OBR-4.1 by the feed's codes, or the channel"}}
    for column, value in values.items():
        place = next((path for path in _PLACES[column] if value and message.value(path) == value), "")
        found[column] = {"value": value, "place": place or None}
    decides = "[network] of the channel, the feed's in_network, or [channel] network"
    found["network"] = {"value": order.network.value, "place": decides}
    return found


def _row(answer: RowAnswer) -> Shape:
    row, verdict = answer.row, answer.row.verdict
    return {
        "where": verdict.why,
        "asks": _asks(row),
        "rule": verdict.rule.value,
        "fits": not answer.misses,
        "misses": list(answer.misses),
        "wins": answer.wins,
        "remind_after": str(verdict.remind_after) if verdict.remind_after is not None else None,
        "notify": verdict.notify or None,
        "billing_after": str(verdict.billing_after) if verdict.billing_after is not None else None,
    }


def _asks(row: PreauthRow) -> Shape:
    columns = {
        "specialty": row.specialties,
        "payer": row.payers,
        "plan": row.plans,
        "procedure": row.procedures,
        "diagnosis": row.diagnoses,
        "network": (row.network.value,) if row.network is not None else (),
        "insurance": ("any",) if row.insurance == "any" else (),
    }
    return {name: list(wanted) for name, wanted in columns.items() if wanted}


def _text(told: Mapping[str, Any]) -> Iterator[str]:
    """The lines a person reads."""
    yield f"order {told['order'] or 'without a number'}, {told['channel'] or 'no channel takes it'}"
    for column, one in told["found"].items():
        place = f"  ({one['place']})" if one["place"] else ""
        yield f"  {column:<13} {one['value'] or 'not said'}{place}"
    for number, one in enumerate(told["insurances"], 1):
        payer, plan = (" or ".join(one[key]) or "not said" for key in ("payer", "plan"))
        yield f"  insurance {number}   payer {payer}, plan {plan}"
    yield f"  authorization {_said(told['payer_says'])}"
    yield f"  {told['file']}:"
    for row in told["rows"]:
        mark = (
            "WINS" if row["wins"] else "fits, but another row is narrower" if row["fits"] else "; ".join(row["misses"])
        )
        asks = ", ".join(f"{name} {'|'.join(wanted)}" for name, wanted in row["asks"].items()) or "anything"
        yield f"    {row['where']}  {row['rule']}  [{asks}]  {mark}"
    if told["row"] is None:
        yield "    no row fits: nothing is asked"
    if told["channel_hold"]:
        applies = "asks for an authorization" if told["channel_hold"]["applies"] else "does not ask for one"
        yield f"  [hold] of {told['channel_hold']['file']} decides before the table: it {applies}"
    rule = f"{told['rule']}: " if told["rule"] else ""
    yield f"  because {told['reason']}"
    yield f"  so {rule}{told['does']}" + (f"; told: {told['tells']}" if told["tells"] else "")
    for one in told["lengths"]:
        yield f"  {one['kind']} after {one['length']}, says {one['decided_by']}"
    for clock in told["clocks"]:
        yield f"  clock {clock['kind']} due {clock['due_at']}"


def _said(payer: Mapping[str, Any]) -> str:
    """The payer's answer in words."""
    if payer["denied"]:
        return "denied: only a new number, or a person's waiver, lets it go"
    if not payer["number"]:
        return "none"
    days = [f"{word} {payer[key]}" for key, word in (("begins_on", "from"), ("expires_on", "until")) if payer[key]]
    visits = [f"for {payer['visits']} visits"] if payer["visits"] else []
    provider = [f"for {payer['provider']}"] if payer["provider"] else []
    return " ".join(("the order brings one", *days, *visits, *provider))
