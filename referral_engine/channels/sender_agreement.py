"""What feeds and their partners say about senders: who is anyone, who cannot be, and whom two of them could mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from referral_engine.base.errors import Problem
from referral_engine.channels.engine import Listener
from referral_engine.channels.feed import Feed
from referral_engine.channels.partner import ANYONE, Partner
from referral_engine.channels.peers import share_an_address
from referral_engine.channels.shape import Page, problem_at

Named = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sender:
    """One feed with its partner, on the feed's page."""

    page: Page
    feed: Feed
    partner: Partner
    partner_page: Page | None  # None for the partner of everyone
    ports: frozenset[str]  # listeners it may speak on

    @property
    def table(self) -> str:
        """Where the file names the sender."""
        return "replies" if self.feed.party == "specialist" else "feed"

    @property
    def applications(self) -> Named:
        """MSH-3 values that both allow."""
        return _both(self.feed.applications, self.partner.applications)

    @property
    def facilities(self) -> Named:
        """MSH-4 values that both allow."""
        return _both(self.feed.facilities, self.partner.facilities)

    @property
    def is_anyone(self) -> bool:
        """Whether neither file says who the sender is."""
        return self.feed.is_anyone and not self.partner.says_who

    @property
    def sound(self) -> bool:
        """Whether the tables that name the sender could be read."""
        beside = self.partner_page is not None and "partner" in self.partner_page.troubled
        return not self.page.troubled & {"feed", "replies"} and not beside


def sender_disagreements(
    feeds: Sequence[tuple[Page, Feed]], partners: Sequence[tuple[Page, Partner]], listeners: Sequence[Listener]
) -> Iterator[Problem]:
    """Every problem of senders that no file has on its own."""
    by_name = {partner.name: (page, partner) for page, partner in partners}
    senders = []
    for page, feed in feeds:
        partner_page, partner = by_name.get(feed.partner or feed.name, (None, ANYONE))
        ports = frozenset(one.name for one in listeners if not one.partners or partner.name in one.partners)
        senders.append(_Sender(page=page, feed=feed, partner=partner, partner_page=partner_page, ports=ports))
    for sender in senders:
        if not sender.sound:
            continue
        yield from _contradictions(sender)
        if not sender.ports:
            sentence = f'no listener is for "{sender.feed.name}": each names other partners'
            hint = "add its partner to the partners of a [listener]"
            yield problem_at(sender.page.source, (sender.table,), "CH412", sentence, hint)
        if sender.is_anyone:
            sentence = "this sender is anyone: no applications, facilities or addresses"
            yield problem_at(sender.page.source, ("feed",), "CHW03", sentence, "name its MSH-3", warning=True)
    yield from _shared(senders)


def _contradictions(sender: _Sender) -> Iterator[Problem]:
    """A feed and its partner that no message can satisfy both."""
    feed, partner = sender.feed, sender.partner
    pairs = (
        ("applications", bool(set(feed.applications) & set(partner.applications)), "MSH-3"),
        ("facilities", bool(set(feed.facilities) & set(partner.facilities)), "MSH-4"),
        ("addresses", share_an_address(feed.addresses, partner.addresses), "addresses"),
    )
    for key, agree, what in pairs:
        if getattr(feed, key) and getattr(partner, key) and not agree:
            sentence = f'nothing can come from this sender: its partner "{partner.name}" has other {what}'
            hint = f"see {partner.file}"
            yield problem_at(sender.page.source, (sender.table, key), "CH410", sentence, hint)


def _shared(senders: Sequence[_Sender]) -> Iterator[Problem]:
    """Two parties that one message header could mean."""
    named = [one for one in senders if one.sound and not one.is_anyone]
    by_facility: dict[str, list[_Sender]] = {}  # "" for senders at any facility
    for sender in named:
        places = sender.facilities or tuple(by_facility)
        asked = [one for place in dict.fromkeys((*places, "")) for one in by_facility.get(place, ())]
        rival = next((one for one in asked if one.feed.name != sender.feed.name and _same(sender, one)), None)
        if rival is not None:
            sentence = f'a message could come from this sender or from "{rival.feed.name}" ({rival.page.source.file})'
            yield problem_at(
                sender.page.source,
                (sender.table, "applications"),
                "CH407",
                sentence,
                "tell them apart by MSH-3, MSH-4 or addresses, or switch one off: enabled = false",
            )
        for place in sender.facilities or ("",):
            by_facility.setdefault(place, []).append(sender)


def _same(one: _Sender, other: _Sender) -> bool:
    """Whether MSH-3, MSH-4, the certificate, the address and the port could all agree."""
    names = (
        (one.applications, other.applications),
        (one.facilities, other.facilities),
        (one.partner.certificates, other.partner.certificates),
    )
    places = [
        (a, b)
        for a in (one.feed.addresses, one.partner.addresses)
        for b in (other.feed.addresses, other.partner.addresses)
    ]
    return (
        bool(one.ports & other.ports)
        and all(not a or not b or bool(set(a) & set(b)) for a, b in names)
        and all(not a or not b or share_an_address(a, b) for a, b in places)
    )


def _both(one: Named, other: Named) -> Named:
    """What two lists allow, where an empty list allows anything; lists that share nothing are reported elsewhere."""
    if not one or not other:
        return one or other
    return tuple(value for value in one if value in other) or one
