"""The readers against any frame, as each kind of sender: a reading that keeps its promises, or a MessageFault."""

from __future__ import annotations

from functools import cache

from referral_engine.base.errors import MessageFault
from referral_engine.channels.parties import Party
from referral_engine.hl7.message import Message
from referral_engine.intake.interest import numbers_of
from referral_engine.intake.read import read
from tests.flow.stage import HEART, MONDAY, at, book


@cache
def parties() -> tuple[Party, ...]:
    """The ordering side in every dialect that ships, the scanning station, and an office."""
    shipped = book()
    feeds = [Party(kind=feed.party, name=feed.name, feed=feed) for feed in shipped.feeds.values()]
    office = shipped.channels[HEART]
    return (*feeds, Party(kind="specialist", name=HEART, feed=office.feed(), channel=office))


def target(raw: bytes) -> None:
    """Two bytes choose the sender, the rest is a frame's content."""
    choice, frame = (raw[0] if raw else 0), raw[2:]
    party = parties()[choice % len(parties())]
    try:
        message = Message.parse(frame, charset=party.feed.charset)
    except MessageFault:
        return
    for kind, value in numbers_of(message, party.feed):
        assert kind
        assert value, "a number says something"
    try:
        readings = read(message, party, received_at=at(MONDAY), sequence=7)
    except MessageFault:
        return
    assert readings, "a message that is read says something, or why not"
    for reading in readings:
        assert (reading.about is None) == (reading.evidence is None)
        assert reading.note or reading.events or reading.withdraws or reading.identities or reading.person
        assert not reading.is_new_order or len(reading.events) == 1
        for event in reading.events:
            assert (event.message, event.by) == (7, party.name)
