"""Why one clock of one referral is due when it is: what the journal knows of it, and the arithmetic, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from twisted.internet.defer import Deferred

from referral_engine.base.clock import from_micros, rfc3339
from referral_engine.base.errors import Refused
from referral_engine.channels.book import Book
from referral_engine.channels.clocks import SLA_WORDS, row_of
from referral_engine.channels.shape import nearest
from referral_engine.flow.past import old_book, policy_under
from referral_engine.journal.codec import decode_event, decode_referral
from referral_engine.loop.calendar import Calendar, clinic_time
from referral_engine.loop.clocks import lengths_of, rule_of
from referral_engine.loop.events import ReferralOrdered
from referral_engine.loop.lives import Life, lives, why_not
from referral_engine.loop.policy import Kind, Policy
from referral_engine.loop.reckoning import Step
from referral_engine.loop.referral import Referral
from referral_engine.loop.undoing import first_of
from referral_engine.service.context import Context

Shape = dict[str, object]
Words = Mapping[str, object]
Row = Mapping[str, Any]

_TRACKS: Final = ("authorization", "dispatch", "outreach", "appointment", "note", "closure")


def why(context: Context, words: Words) -> Deferred[object]:
    """One clock of one referral, step by step.  Raises Refused for a clock that is none."""
    kind = clock_named(str(words.get("clock", "")))
    told = context.door.look("why", referral=words.get("referral", ""), clock=kind.value)
    return told.addCallback(lambda facts: shape_why(cast("Row", facts), kind, context.book))


def clock_named(text: str) -> Kind:
    """A clock by the name the files use.  Raises Refused."""
    kind = SLA_WORDS.get(text)
    if kind is None:
        near = nearest(text, tuple(SLA_WORDS))
        meant = f"did you mean {near}?" if near else f"one of: {', '.join(Kind)}"
        raise Refused(f"{text!r} is no clock of a referral; {meant}")
    return kind


def shape_why(facts: Row, kind: Kind, book: Book) -> Shape:
    """The clock's row of the table, the policy that gave its length, and every life of it with its arithmetic."""
    referral = decode_referral(facts["referral"])
    past = _Past(facts, book, referral.channel)
    policy, known = past.policy(referral), referral.channel in book.channels
    events = [decode_event(row["kind"], row["body"]) for row in facts["events"]]
    first = next((event for event in events if isinstance(event, ReferralOrdered)), None)
    lived = lives(first_of(first, referral, events), events, past.policy, kind) if first is not None else ()
    rows = {row["generation"]: row for row in facts["deadlines"]}
    told = [_life(one, rows.get(one.generation), facts["events"]) for one in lived]
    told += [
        _unexplained(row, policy.calendar)
        for generation, row in rows.items()
        if generation not in {one.generation for one in lived}
    ]
    rule = rule_of(kind)
    return {
        "referral": referral.id,
        "clock": kind.value,
        "counts_from": rule.start.value,
        "runs_while": {
            track: sorted(state.value for state in wanted)
            for track in _TRACKS
            if (wanted := getattr(rule.runs, track)) is not None
        },
        "repeats": rule.repeats,
        "policy": _policy(referral, kind, policy, past) | {"channel": referral.channel, "file_is_there": known},
        "not_running": list(why_not(kind, referral, policy)),
        "lives": told,
        "truncated": facts["truncated"],
    }


class _Past:
    """The configurations that the clocks of one referral ever came from, beside the one in force."""

    def __init__(self, facts: Row, book: Book, channel: str) -> None:
        self.book = book
        self.in_force: int | None = facts["in_force"]
        self.numbers: Mapping[str, int | None] = facts["numbers"]
        self._files: Mapping[str, Mapping[str, str]] = facts["versions"]
        self._channel = channel
        self._old = {
            config: old_book(files, channel, config)
            for config, files in facts["versions"].items()
            if config != book.version
        }

    def policy(self, referral: Referral) -> Policy:
        """The policy of the referral by the configuration it names, as the door has it."""
        return policy_under(self.book, referral.channel, self._old.get(referral.config))

    def deciding(self, referral: Referral) -> Book:
        """The configuration that gave the clocks, with the lines that say so.

        A book that came with a reload has no lines (`found.pack`): they are read from the files the journal keeps.
        """
        old = self._old.get(referral.config)
        if old is None and not self.book.settings and referral.config in self._files:
            old = old_book(self._files[referral.config], self._channel, referral.config)
        return old or self.book


def _policy(referral: Referral, kind: Kind, policy: Policy, past: _Past) -> Shape:
    """Which row gave the length, and where that row stands."""
    lengths = lengths_of(kind, referral, policy)
    book = past.deciding(referral)
    own = lengths != policy.lengths(kind, referral.order.urgency, referral.order.network)
    return {
        "lengths": [str(length) for length in lengths],
        "unit": lengths[0].unit.value,
        "decided_by": "the pre-authorization rule of its hold" if own else length_origin(book, referral, kind),
        "urgency": referral.order.urgency.value,
        "network": referral.order.network.value,
        "calendar": policy.calendar.name,
        "zone": policy.calendar.zone.key,
        "accepted_under": referral.config,
        "in_force": past.book.version,
        "configuration": past.numbers.get(referral.config),
        "configuration_in_force": past.in_force,
    }


def length_origin(book: Book, referral: Referral, kind: Kind) -> str:
    """The file and line that decided a clock's length for this urgency and network, or "default"."""
    known = book.channels.get(referral.channel)
    files = (
        (known.file,) if known is not None else tuple(file for file in book.settings if file.endswith("engine.toml"))
    )
    settings = [one for file in files for one in book.settings.get(file, ())]
    found = row_of(settings, kind, referral.order.urgency, referral.order.network)
    return found.origin if found is not None else "default"


def _life(life: Life, row: Row | None, events: Sequence[Row]) -> Shape:
    due = life.steps[-1]
    stored = from_micros(row["due_at"]) if row is not None else None
    return {
        "generation": life.generation,
        "state": row["state"] if row is not None else "unknown",
        "length": str(life.length),
        "times": life.times,
        "begun_by": _event(events[life.begun_by]),
        "since": _instant(life.steps[0]),
        "steps": [{"kind": step.kind.value, "sentence": step.sentence} | _instant(step) for step in life.steps],
        "due": _instant(due),
        "recorded_due_at": rfc3339(stored) if stored is not None else None,
        "as_recorded": stored == due.at,
        "set_by": _event(events[life.set_by]),
        "fired_by": _event(events[life.fired_by]) if life.fired_by is not None else None,
        "ended_by": _event(events[life.ended_by]) if life.ended_by is not None else None,
    }


def _unexplained(row: Row, calendar: Calendar) -> Shape:
    """A clock the journal has and the files in force do not explain: they, or the rules, have changed since."""
    due = from_micros(row["due_at"])
    wall = clinic_time(calendar, due)
    return {
        "generation": row["generation"],
        "state": row["state"],
        "length": None,
        "times": None,
        "begun_by": None,
        "since": None,
        "steps": [],
        "due": {"at": rfc3339(due), "clinic": wall.isoformat(" ", "seconds")},
        "recorded_due_at": rfc3339(due),
        "as_recorded": False,
        "set_by": None,
        "fired_by": None,
        "ended_by": None,
    }


def _instant(step: Step) -> Shape:
    return {"at": rfc3339(step.at), "clinic": step.wall.isoformat(" ", "seconds")}


def _event(row: Row) -> Shape:
    """One event by its number; what it says of a patient stays out."""
    return {
        "id": row["id"],
        "what": row["kind"],
        "at": rfc3339(from_micros(row["at"])),
        "message_id": row["message"] or None,
    }
