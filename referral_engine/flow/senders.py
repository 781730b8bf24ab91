"""Who sent a message that is stored already, by the files in force now."""

from __future__ import annotations

from referral_engine.base.errors import MessageFault
from referral_engine.channels.admission import admit
from referral_engine.channels.parties import Party
from referral_engine.flow.turn import Turn
from referral_engine.hl7.message import Message
from referral_engine.journal.rows import MessageRow


def parties(turn: Turn) -> tuple[Party, ...]:
    """Every sender we know."""
    channels = turn.book.channels
    return tuple(
        Party(kind=feed.party, name=feed.name, feed=feed, channel=channels.get(feed.name)) for feed in turn.book.senders
    )


def party_of(turn: Turn, row: MessageRow) -> Party | None:
    """Who sent a message: by the name it was kept under, or by what the files say now; None for nobody we know."""
    known = next((one for one in parties(turn) if one.name == row.key.partner), None)
    if known is not None:
        return known
    try:
        header = Message.parse(row.raw).header
    except MessageFault:
        return None
    admission = admit(turn.book, header, peer=row.peer)
    return admission.party if admission.fault is None else None
