"""Evidence that waited is matched again: orders, numbers and merges have come since."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.parties import Party
from referral_engine.flow.attaching import Said, applied, reviewed
from referral_engine.flow.matching import Key, match
from referral_engine.flow.senders import party_of
from referral_engine.flow.turn import Turn
from referral_engine.flow.verdict import Verdict, together
from referral_engine.hl7.message import Message
from referral_engine.intake.read import read
from referral_engine.journal.rows import DecisionRow, Disposition, MessageRow
from referral_engine.loop.effects import TaskKind
from referral_engine.loop.matching import About, Level

REMATCHED_MAX: Final = 200  # messages that one event has looked at again; the rest wait for the next, or age
FOUND: Final = "its referral was found"

_AS_IT_IS: Final = frozenset({Disposition.QUARANTINED, Disposition.PENDING})  # for a person, or another message


def rematch(turn: Turn, numbers: Iterable[Key]) -> int:
    """Match again what waits for any of these numbers, oldest first; how many found their referral.

    What is applied may teach further numbers, and what waits for those is matched too; REMATCHED_MAX in all.
    """
    turn.learned.extend(numbers)
    return rematch_learned(turn)


def rematch_learned(turn: Turn) -> int:
    """The same, for the numbers that lead to a referral since the last time."""
    found = looked_at = 0
    while turn.learned and looked_at < REMATCHED_MAX:
        numbers, turn.learned = turn.learned, []
        waiting: set[int] = set()
        for kind, number in dict.fromkeys(numbers):
            waiting.update(turn.unit.parked(kind, number.value))
        chosen = sorted(waiting)[: REMATCHED_MAX - looked_at]
        looked_at += len(chosen)
        found += sum([reconsider(turn, sequence) for sequence in chosen])
    turn.learned.clear()
    return found


def reconsider(turn: Turn, sequence: int) -> bool:
    """Match again what of one message has found no referral; whether any of it does now."""
    row = turn.unit.message(sequence)
    if row is None or row.disposition in _AS_IT_IS or row.purged_at:
        return False
    everything = said_of(turn, row)
    decided = {one.part: one for one in turn.unit.decisions(sequence)} if everything else {}
    verdicts = []
    found = False
    for said in everything:
        known = decided.get(said.part)
        verdict = None if _is_settled(known) else _again(turn, said, row, known, alone=len(everything) == 1)
        found = found or verdict is not None
        verdicts.append(verdict or _stands(row, known))
    if not found:
        return False
    now = together(verdicts)
    turn.unit.change_disposition(sequence, now.disposition, now.level, now.reason, now.referral)
    if all(verdict.referral for verdict in verdicts):
        turn.unit.unpark(sequence)
    if now.disposition is not Disposition.NEEDS_HUMAN:
        turn.unit.close_message_tasks(sequence, TaskKind.MATCH_REVIEW.value, turn.now_micros, FOUND)
    turn.audit("clock", "matched again", f"message {sequence}", now.referral or now.disposition.value)
    return bool(now.referral)


def said_of(turn: Turn, row: MessageRow) -> tuple[Said, ...]:
    """What a kept message says of referrals, each part by itself; () when nothing, or when it cannot be read now."""
    return tuple(said for said in read_again(turn, row) if not said.reading.is_new_order)


def read_again(turn: Turn, row: MessageRow) -> tuple[Said, ...]:
    """The same, new orders included."""
    party = party_of(turn, row)
    if party is None or row.purged_at:
        return ()
    try:
        message = parsed(turn, row.raw, party)
        readings = read(message, party, received_at=turn.now, sequence=row.sequence)
    except MessageFault:  # it was readable when it came; the sender's file says otherwise now
        return ()
    turn.raws[row.sequence] = row.raw
    return tuple(
        Said(message, reading, reading.evidence, party, row.sequence, part)
        for part, reading in enumerate(readings)
        if reading.evidence is not None and reading.events and reading.about is not About.PATIENT
    )


def parsed(turn: Turn, raw: bytes, party: Party) -> Message:
    """A kept message, read as when it came: in the sender's character set where it names none itself.

    Raises MessageFault when it is no message.
    """
    message = Message.parse(raw)
    if message.header.declared_charset or raw.isascii():
        return message
    return Message.parse(raw, charset=turn.book.partner_of(party.feed).charset or party.feed.charset)


def _is_settled(known: DecisionRow | None) -> bool:
    """Whether one part of a message is on a referral, was taken off one, or is as a person decided."""
    return known is not None and bool(known.referral or known.undone_at or known.by.startswith("user:"))


def _stands(row: MessageRow, known: DecisionRow | None) -> Verdict:
    """What one part of a message was, and still is."""
    if known is None:
        return Verdict(disposition=Disposition.NO_OP, level=Level.NOTHING)
    stood = Verdict(disposition=Disposition.NO_OP, level=known.level, reason=known.reason, referral=known.referral)
    if known.referral and not known.undone_at:
        return replace(stood, disposition=Disposition.APPLIED)
    asks = row.disposition is Disposition.NEEDS_HUMAN and not known.referral
    return replace(stood, disposition=Disposition.NEEDS_HUMAN, referral="") if asks else replace(stood, referral="")


def _again(turn: Turn, said: Said, row: MessageRow, known: DecisionRow | None, *, alone: bool) -> Verdict | None:
    """What one part has become now; None when nothing is new. A part that a person is asked about is asked once."""
    found = match(turn, said.evidence, said.party, said.sequence)
    if found.referral and not said.reading.withdraws:
        return applied(turn, said, found)
    if known is None:  # it was asked about before reasons were kept, or never
        asked = alone and row.disposition is Disposition.NEEDS_HUMAN
        return None if asked or found.level is Level.NOTHING else reviewed(turn, said, found)
    return reviewed(turn, said, found) if known.level == Level.NOTHING > found.level else None
