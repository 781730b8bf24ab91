"""One channel that can be read: what its file promises and what, as the files stand, can never come to pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from referral_engine.channels.channel import Channel, FaxTransport, MllpTransport, SpoolTransport, Transport
from referral_engine.channels.clocks import SLA_WORDS, rough_seconds
from referral_engine.channels.feed import Feed
from referral_engine.channels.matcher import MESSAGE_TYPE, OneOf, StartsWith
from referral_engine.channels.preauth import Preauthorization
from referral_engine.channels.shape import Page
from referral_engine.loop.policy import HoldRule, Kind
from referral_engine.loop.states import Network, Urgency

STAFF: Final = "staff"
RELEASING: Final = frozenset({"IN1-14", "IN1-14.1", "AUT-6", "AUT-6.1"})  # where a payer's number is read
ORDER_CODES: Final = ("ORM", "OMG", "OSU", "REF")  # MSH-9.1 of what may bring an order
# Queues of the outbox, and the words that stand behind `config`: a channel of such a name would be mistaken for one.
LANES: Final = frozenset({"ehr", "patient", "team", "payer", "billing"})
SUBCOMMANDS: Final = frozenset({"history", "migrate", "rollback", "show", "values"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the other files say that one channel's depends on."""

    preauth: Preauthorization
    feeds: Sequence[Feed] = ()


def complain_of_name(page: Page, table: str, name: str) -> None:
    """A name that already means something: a queue of ours, or a word behind `config`."""
    hint = f'add what it is, as in "{name}-clinic"' if table == "channel" else "take another name"
    if table == "channel" and name in LANES:
        page.complain((table, "name"), "CH322", f'"{name}" is the name of a queue of our own outbox', hint)
    elif name in SUBCOMMANDS:
        page.complain((table, "name"), "CH322", f'"{name}" is a command: `config {name}` means something else', hint)


def complain_of_unreachable(page: Page, channel: Channel, around: Around) -> None:
    """Note everything that cannot come to pass; what follows from another mistake of the file is left out."""
    complain_of_name(page, "channel", channel.name)
    if not page.troubled & {"match"}:
        _match(page, channel)
    if not page.troubled & {"hold"}:
        _hold(page, channel)
    if not page.troubled & {"transport", "fallback"}:
        _ways(page, channel)
    if not page.troubled & {"sla", "hold", "transport", "fallback", "replies"}:
        for key, why, hint in _silent_clocks(page, channel, around):
            page.warn(("sla", *key), "CHW09", why, hint)


def _match(page: Page, channel: Channel) -> None:
    """[match] that no order can satisfy, by its type alone."""
    for condition in channel.match.conditions:
        test = condition.test
        if condition.path not in {MESSAGE_TYPE, "MSH-9.1"}:
            continue
        told = test.values if isinstance(test, OneOf) else test.prefixes if isinstance(test, StartsWith) else ()
        if told and not any(text[: len(code)] in {code, code[: len(text)]} for text in told for code in ORDER_CODES):
            sentence = f"[match] takes no order: {', '.join(told)} {'brings' if len(told) == 1 else 'bring'} none"
            hint = "orders come as ORM^O01, OMG^O19 or REF^I12; what a specialist answers is matched without [match]"
            page.complain(("match", condition.path), "CH323", sentence, hint)


def _hold(page: Page, channel: Channel) -> None:
    """A release by a field that is never read as one."""
    hold = channel.hold
    if hold is None:
        return
    for index, path in enumerate(hold.released_by):
        if path != STAFF and path not in RELEASING:
            place = ("hold", "released_by", index) if len(hold.released_by) > 1 else ("hold", "released_by")
            hint = 'the payer\'s number is read at IN1-14.1 and AUT-6; "staff" is a person'
            page.complain(place, "CH321", f"{path} is never read as an authorization, so it releases nothing", hint)


def _ways(page: Page, channel: Channel) -> None:
    """A way behind one that cannot fail, or that leads to the same place."""
    if not channel.fallbacks:
        return
    written = page.top.tree.get("fallback")
    for index, way in enumerate(channel.fallbacks):
        place = ("fallback", index) if isinstance(written, list) else ("fallback",)
        before = (channel.transport, *channel.fallbacks)[: index + 1]
        if _destination(way) in map(_destination, before):
            hint = "name another place, or leave it out"
            page.complain(place, "CH308", "this way leads to the same place as one before it, and fails with it", hint)
        elif isinstance(before[-1], SpoolTransport):
            sentence = "this way is hardly ever taken: the one before it writes a file, and a written file has arrived"
            page.warn(place, "CHW10", sentence, "put the way first that can fail")


def _destination(way: Transport) -> tuple[str, ...]:
    """Where a way ends, whatever its limits are."""
    match way:
        case MllpTransport():
            return "mllp", way.host, str(way.port)
        case FaxTransport():
            return "fax", way.gateway, way.number
        case SpoolTransport():
            return "spool", way.directory


def _silent_clocks(page: Page, channel: Channel, around: Around) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Clocks that [sla] sets and that nothing ever starts, or that something else always comes before."""
    written = {SLA_WORDS[key]: key for key in _written(page) if key in SLA_WORDS}
    if Kind.DELIVERED in written:
        shortest = min(
            rough_seconds(channel.policy.lengths(Kind.DELIVERED, urgency, network)[0])
            for urgency in Urgency
            for network in Network
        )
        retries = [way.retry for way in (channel.transport, *channel.fallbacks)]
        if all(one.counted is None and one.give_up_after_seconds < shortest for one in retries):
            why = '"delivered" never passes: every way gives up sooner, and that is told at once'
            yield (written[Kind.DELIVERED],), why, "make it shorter than give_up_after, or leave it out"
    told_by_order = channel.in_network is not None or any(feed.in_network is not None for feed in around.feeds)
    networks = {None, *Network} if told_by_order else {None, channel.network}
    holds = [
        row.verdict
        for row in around.preauth.rows
        if row.verdict.rule is not HoldRule.SEND
        and (not row.specialties or channel.specialty in row.specialties)
        and row.network in networks
    ]
    if Kind.HOLD_REMIND in written and channel.hold is None and not holds:
        why = f'"{Kind.HOLD_REMIND}" never starts: nothing holds an order of this channel'
        yield (written[Kind.HOLD_REMIND],), why, "there is no [hold] here, and no rule of conf/preauth.toml for it"
    billed = channel.hold is not None and channel.hold.billing_after is not None
    if Kind.HOLD_BILLING in written and not billed and all(verdict.billing_after is None for verdict in holds):
        why = f'"{Kind.HOLD_BILLING}" never starts: no hold of this channel is told to billing'
        yield (written[Kind.HOLD_BILLING],), why, "write billing_after in [hold], or in a rule of conf/preauth.toml"
    other = Network.IN if channel.network is Network.OUT else Network.OUT
    if isinstance(_written(page).get(other.value), dict) and not told_by_order:
        why = f'[sla.{other}] never counts: the channel\'s network is "{channel.network}"'
        yield (other.value,), why, f'write network = "{other}", or leave this out; no feed says it of an order'


def _written(page: Page) -> dict[str, object]:
    """What the channel's own [sla] says; what is lent may be meant for other channels of the specialty."""
    sla = page.source.tree.get("sla")
    return sla if isinstance(sla, dict) else {}
