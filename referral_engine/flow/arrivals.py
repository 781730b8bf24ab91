"""A frame's content in: custody first, then who sent it and what it means; the verdict and the ACK out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.ident import mark_of
from referral_engine.base.values import replace
from referral_engine.flow.answers import answer, answer_unreadable, second_answer
from referral_engine.flow.evidence import consider, overlook
from referral_engine.flow.inputs import Arrived, FrameBroken, Receipt, SetAside
from referral_engine.flow.poison import bar_the_way, barrier_of, waiting
from referral_engine.flow.preparation import UNKNOWN_SENDER, Prepared, prepare_one
from referral_engine.flow.turn import Turn
from referral_engine.flow.verdict import Verdict
from referral_engine.hl7.ack import Code, carries_ack
from referral_engine.hl7.batch import answer_batch, stated_count
from referral_engine.hl7.message import Message
from referral_engine.journal.rows import Disposition, Earlier, MessageKey, MessageRow
from referral_engine.loop.effects import OpenTask, TaskKind

_NO_TYPE: Final = ""  # of what could not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """Why a message is kept but not read, and what its sender is told."""

    fault: MessageFault
    code: Code = "AR"
    silent: bool = False  # an ACK is never acknowledged
    security: bool = False  # somebody says what is not theirs to say


def arrive(turn: Turn, came: Prepared) -> Receipt:
    """Take one message into custody and do what it asks; the same message again gets the first answer."""
    if came.parts is not None:
        return _arrive_together(turn, came, came.parts)
    message, key = came.message, came.key
    if message is None or key is None:
        return _keep_unreadable(turn, came)
    earlier = turn.unit.earlier(key)
    if earlier and earlier.same_bytes:
        return _again(turn, key, earlier, came)
    sequence = turn.unit.next_sequence()
    refusal = _refusal(came, message)
    verdict = _refused(turn, refusal, key, sequence) if refusal else _understood(turn, came, message, sequence)
    if earlier:
        verdict = verdict.noting(f"its control id was used before, by message {earlier.sequence} with other bytes")
    code, made = _answer(turn, came, message, sequence, refusal)
    kept = _keep(turn, came.arrived, key, sequence, message.header.type, verdict, code, made)
    after = _after(turn, came, sequence, made)
    return replace(kept, after=after) if after else kept


def set_aside(turn: Turn, poison: SetAside) -> Receipt:
    """Keep a message whose handling broke: bytes, a task, and custody for a sender who may talk to us."""
    return _set_aside(turn, prepare_one(turn, poison.arrived), poison.reason)


def _set_aside(turn: Turn, came: Prepared, why: str) -> Receipt:
    if came.parts is not None:
        return _together(turn, came, [_set_aside(turn, part, why) for part in came.parts])
    message, key = came.message, came.key
    if message is None or key is None:
        return _keep_unreadable(turn, came)
    earlier = turn.unit.earlier(key)
    if earlier and earlier.same_bytes:  # it came twice in one batch, and both broke
        return _again(turn, key, earlier, came)
    sequence = turn.unit.next_sequence()
    reason = f"reading it broke the engine ({why}): set aside with its bytes"
    _show(turn, sequence, reason)
    bar_the_way(turn, message, sequence)
    code, made = _answer(turn, came, message, sequence, _refusal(came, message))
    verdict = Verdict(disposition=Disposition.QUARANTINED, reason=reason)
    return _keep(turn, came.arrived, key, sequence, message.header.type, verdict, code, made)


def _understood(turn: Turn, came: Prepared, message: Message, sequence: int) -> Verdict:
    """What an admitted message means; one whose numbers lead nowhere is about nobody we track, and read no further."""
    assert came.admission is not None, "a message that is read was admitted"
    party = came.admission.party
    assert party is not None, "a message without a sender is refused"
    if behind := barrier_of(turn, message, came.numbers):
        return waiting(behind)
    if came.numbers and not any(map(turn.unit.is_known, came.numbers)):
        return overlook(turn, message, came.numbers, sequence)
    turn.raws[sequence] = came.arrived.raw
    return consider(turn, message, party, sequence)


def _arrive_together(turn: Turn, came: Prepared, parts: list[Prepared]) -> Receipt:
    """Several messages in one frame: each is a message of its own; one transaction holds them all."""
    receipts = [arrive(turn, part) for part in parts]
    stated = stated_count(came.arrived.raw)
    if stated is not None and stated != len(parts) and not receipts[0].duplicate:
        _show(turn, receipts[0].sequence, f"the batch says it holds {stated} messages, and {len(parts)} came")
    return _together(turn, came, receipts)


def _together(turn: Turn, came: Prepared, receipts: list[Receipt]) -> Receipt:
    """One receipt for the frame; its answer holds the messages' own, in their order."""
    identity = turn.book.engine.identity
    made = answer_batch(
        came.arrived.raw,
        [receipt.answer for receipt in receipts],
        application=identity.application,
        facility=identity.facility,
    )
    first = receipts[0]
    return Receipt(
        sequence=first.sequence,
        answer=made,
        disposition=first.disposition,
        duplicate=all(receipt.duplicate for receipt in receipts),
    )


def _again(turn: Turn, key: MessageKey, earlier: Earlier, came: Prepared | None = None) -> Receipt:
    """The first answer, byte for byte, and nothing new but a line in the audit."""
    turn.audit(f"feed:{key.partner}", "received again", f"message {earlier.sequence}")
    after = _after(turn, came, earlier.sequence, earlier.answer) if came else b""
    return Receipt(sequence=earlier.sequence, answer=earlier.answer, after=after, duplicate=True)


def _after(turn: Turn, came: Prepared, sequence: int, first: bytes) -> bytes:
    """What follows the answer, for a sender that asks for both."""
    message, admission = came.message, came.admission
    if message is None or admission is None or not message.header.application_ack:
        return b""
    return second_answer(turn, message, sequence, first, admission.partner.ack_mode, typed=_wants_types(came))


def _answer(turn: Turn, came: Prepared, message: Message, sequence: int, refusal: _Refusal | None) -> tuple[str, bytes]:
    """MSA-1 and the bytes of what the sender hears."""
    assert came.admission is not None, "a readable message was looked at"
    mode, typed = came.admission.partner.ack_mode, _wants_types(came)
    if refusal is None:
        return answer(turn, message, sequence, "AA", mode=mode, typed=typed)
    if refusal.silent:
        return "", b""
    return answer(turn, message, sequence, refusal.code, refusal.fault, mode, typed=typed)


def _wants_types(came: Prepared) -> bool:
    """Whether the sender's feed wants the answer that belongs to the message's type, and not a plain ACK."""
    party = came.admission.party if came.admission is not None else None
    return party is not None and party.feed.typed_replies


def _refusal(came: Prepared, message: Message) -> _Refusal | None:
    """What forbids reading the message; None when nothing does.  Source: PROMISES, rules 3 and 5 of the edge."""
    if (b"MSA" in message.raw or message.header.trigger == "") and carries_ack(message):
        return _Refusal(fault=MessageFault("207", "MSH-9", "an acknowledgment came to a listener"), silent=True)
    admission = came.admission
    assert admission is not None, "a readable message was looked at"
    if admission.fault is None:
        return None
    code: Code = admission.code or "AR"
    return _Refusal(fault=admission.fault, code=code, security=admission.security)


def _refused(turn: Turn, refusal: _Refusal, key: MessageKey, sequence: int) -> Verdict:
    """A refusal is kept and shown; one by a sender in a wrong place stands in the audit as well."""
    if refusal.security:
        turn.audit(f"feed:{key.partner}", "security", f"message {sequence}", refusal.fault.sentence)
    _show(turn, sequence, refusal.fault.sentence)
    return Verdict(disposition=Disposition.QUARANTINED, reason=refusal.fault.sentence)


def _keep_unreadable(turn: Turn, came: Prepared) -> Receipt:
    fault = came.fault
    assert fault is not None, "what cannot be read says why"
    raw = came.arrived.raw
    key = _key_of_nobody(raw)
    earlier = turn.unit.earlier(key)
    if earlier and earlier.same_bytes:
        return _again(turn, key, earlier)
    sequence = turn.unit.next_sequence()
    code, made = answer_unreadable(turn, raw, sequence, fault)
    reason = f"unreadable: {fault}"
    _show(turn, sequence, reason)
    verdict = Verdict(disposition=Disposition.QUARANTINED, reason=reason)
    return _keep(turn, came.arrived, key, sequence, _NO_TYPE, verdict, code, made)


def keep_broken(turn: Turn, broken: FrameBroken) -> Receipt:
    """Keep what is left of a broken frame where people look for refusals; nobody is answered."""
    key = _key_of_nobody(broken.evidence)
    earlier = turn.unit.earlier(key)
    if earlier and earlier.same_bytes:
        return _again(turn, key, earlier)
    arrived = Arrived(raw=broken.evidence, peer=broken.peer)
    where = f" (listener {broken.listener})" if broken.listener else ""
    reason = f"{broken.reason}: {broken.sentence}; the beginning is kept{where}"
    verdict = Verdict(disposition=Disposition.QUARANTINED, reason=reason)
    return _keep(turn, arrived, key, turn.unit.next_sequence(), _NO_TYPE, verdict, "", b"")


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
        ),
        passing=verdict.passing,
    )
    if turn.unit.suspects:
        turn.unit.absolve(mark_of(arrived.raw))
    return Receipt(sequence=sequence, answer=made, disposition=verdict.disposition)
