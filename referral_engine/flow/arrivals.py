"""A frame's content in: custody first, then who sent it and what it means; the verdict and the ACK out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.channels.parties import Party, party_for
from referral_engine.flow.answers import answer, answer_unreadable
from referral_engine.flow.evidence import consider
from referral_engine.flow.inputs import Arrived, FrameBroken, Receipt, SetAside
from referral_engine.flow.turn import Turn
from referral_engine.flow.verdict import Verdict
from referral_engine.hl7.ack import Code, carries_ack
from referral_engine.hl7.batch import split_batch
from referral_engine.hl7.message import Message
from referral_engine.journal.rows import Disposition, Earlier, MessageKey, MessageRow
from referral_engine.loop.effects import OpenTask, TaskKind

UNKNOWN_SENDER: Final = "?"  # the partner of messages nobody was allowed to send


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """Why a message is kept but not read, and what its sender is told."""

    fault: MessageFault
    code: Code = "AR"
    silent: bool = False  # an ACK is never acknowledged


def arrive(turn: Turn, arrived: Arrived) -> Receipt:
    """Take one message into custody and do what it asks; the same message again gets the first answer."""
    try:
        message = Message.parse(arrived.raw)
    except MessageFault as fault:
        return _keep_unreadable(turn, arrived, fault)
    party = party_for(turn.book, message.header, arrived.peer)
    key = _key(message, party)
    earlier = turn.unit.earlier(key)
    if earlier and earlier.same_bytes:
        return _again(turn, key, earlier)
    sequence = turn.unit.next_sequence()
    refusal = _refusal(turn, arrived, message, party)
    if refusal is None:
        assert party is not None, "a message without a sender is refused"
        turn.raws[sequence] = arrived.raw
        verdict = consider(turn, message, party, sequence)
    else:
        verdict = Verdict(disposition=Disposition.QUARANTINED, reason=refusal.fault.sentence)
        _show(turn, sequence, refusal.fault.sentence)
    if earlier:
        verdict = verdict.noting(f"its control id was used before, by message {earlier.sequence} with other bytes")
    code, made = _answer(turn, message, sequence, refusal)
    return _keep(turn, arrived, key, sequence, message.header.type, verdict, code, made)


def set_aside(turn: Turn, poison: SetAside) -> Receipt:
    """Keep a message whose handling broke: bytes, a task, and custody for a sender who may talk to us."""
    arrived = poison.arrived
    try:
        message = Message.parse(arrived.raw)
    except MessageFault as fault:
        return _keep_unreadable(turn, arrived, fault)
    party = party_for(turn.book, message.header, arrived.peer)
    key = _key(message, party)
    earlier = turn.unit.earlier(key)
    if earlier and earlier.same_bytes:  # it came twice in one batch, and both broke
        return _again(turn, key, earlier)
    sequence = turn.unit.next_sequence()
    reason = f"reading it broke the engine ({poison.reason}): set aside with its bytes"
    _show(turn, sequence, reason)
    code, made = _answer(turn, message, sequence, _refusal(turn, arrived, message, party))
    verdict = Verdict(disposition=Disposition.QUARANTINED, reason=reason)
    return _keep(turn, arrived, key, sequence, message.header.type, verdict, code, made)


def _key(message: Message, party: Party | None) -> MessageKey:
    header = message.header
    return MessageKey(
        partner=party.name if party else UNKNOWN_SENDER,
        sending_application=header.sending_application,
        sending_facility=header.sending_facility,
        control_id=header.control_id_bytes,
        sha256=hashlib.sha256(message.raw).digest(),
    )


def _again(turn: Turn, key: MessageKey, earlier: Earlier) -> Receipt:
    """The first answer, byte for byte, and nothing new but a line in the audit."""
    turn.audit(f"feed:{key.partner}", "received again", f"message {earlier.sequence}")
    return Receipt(sequence=earlier.sequence, answer=earlier.answer, duplicate=True)


def _answer(turn: Turn, message: Message, sequence: int, refusal: _Refusal | None) -> tuple[str, bytes]:
    """MSA-1 and the bytes of what the sender hears."""
    if refusal is None:
        return answer(turn, message, sequence, "AA")
    return ("", b"") if refusal.silent else answer(turn, message, sequence, refusal.code, refusal.fault)


def _refusal(turn: Turn, arrived: Arrived, message: Message, party: Party | None) -> _Refusal | None:
    """What forbids reading the message; None when nothing does.  Source: PROMISES, rule 3 of the edge."""
    header, engine = message.header, turn.book.engine
    if carries_ack(message):
        return _Refusal(fault=MessageFault("207", "MSH-9", "an acknowledgment came to a listener"), silent=True)
    ours = (engine.identity.application, engine.identity.facility)
    if (header.sending_application, header.sending_facility) == ours:
        return _Refusal(fault=MessageFault("207", "MSH-3", "our own message came back: a loop", reject=True))
    if party is None:
        return _Refusal(fault=MessageFault("207", "MSH-3", "this sender is not allowed here", reject=True))
    if header.processing_id not in engine.processing_ids:
        return _Refusal(fault=MessageFault("202", "MSH-11", "this processing id is not accepted here", reject=True))
    if header.version and not header.version.startswith(engine.versions):
        return _Refusal(fault=MessageFault("203", "MSH-12", "this version is not accepted here", reject=True))
    try:
        several = len(split_batch(arrived.raw)) > 1
    except MessageFault as fault:  # so many that they are not even counted
        return _Refusal(fault=fault, code="AE")
    return _Refusal(fault=MessageFault("207", "", "several messages in one frame"), code="AE") if several else None


def _keep_unreadable(turn: Turn, arrived: Arrived, fault: MessageFault) -> Receipt:
    key = _key_of_nobody(arrived.raw)
    earlier = turn.unit.earlier(key)
    if earlier and earlier.same_bytes:
        return _again(turn, key, earlier)
    sequence = turn.unit.next_sequence()
    code, made = answer_unreadable(turn, arrived.raw, sequence, fault)
    reason = f"unreadable: {fault}"
    _show(turn, sequence, reason)
    verdict = Verdict(disposition=Disposition.QUARANTINED, reason=reason)
    return _keep(turn, arrived, key, sequence, "", verdict, code, made)


def keep_broken(turn: Turn, broken: FrameBroken) -> Receipt:
    """Keep what is left of a broken frame where people look for refusals; nobody is answered."""
    key = _key_of_nobody(broken.evidence)
    earlier = turn.unit.earlier(key)
    if earlier and earlier.same_bytes:
        return _again(turn, key, earlier)
    arrived = Arrived(raw=broken.evidence, peer=broken.peer)
    reason = f"{broken.reason}: {broken.sentence}; the beginning is kept"
    verdict = Verdict(disposition=Disposition.QUARANTINED, reason=reason)
    return _keep(turn, arrived, key, turn.unit.next_sequence(), "", verdict, "", b"")


def _key_of_nobody(raw: bytes) -> MessageKey:
    """The key of bytes that say nothing of their sender."""
    return MessageKey(
        partner=UNKNOWN_SENDER,
        sending_application="",
        sending_facility="",
        control_id=b"",
        sha256=hashlib.sha256(raw).digest(),
    )


def _show(turn: Turn, sequence: int, reason: str) -> None:
    """A refusal is visible: one task a message."""
    turn.open_task(OpenTask(kind=TaskKind.QUARANTINE, reason=reason), message=sequence)


def _keep(  # the columns of one row
    turn: Turn, arrived: Arrived, key: MessageKey, sequence: int, kind: str, verdict: Verdict, code: str, made: bytes
) -> Receipt:
    turn.unit.add_message(
        MessageRow(
            sequence=sequence,
            key=key,
            received_at=turn.now_micros,
            peer=arrived.peer,
            type=kind,
            raw=arrived.raw,
            disposition=verdict.disposition,
            level=verdict.level,
            reason=verdict.reason,
            referral=verdict.referral,
            answer_code=code,
            answer=made,
            config=turn.book.version,
        )
    )
    target = f"message {sequence}"
    turn.audit(f"feed:{key.partner}", "received", target, f"{verdict.disposition.value} {verdict.referral}".strip())
    return Receipt(sequence=sequence, answer=made, disposition=verdict.disposition)
