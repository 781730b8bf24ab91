"""What stands behind a message that was set aside: it waits, in order, until a person says replay or skip.

An order that no channel took is replayed too, once the files take it.
"""

from __future__ import annotations

from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.channels.parties import Party
from referral_engine.flow.evidence import consider
from referral_engine.flow.inputs import MessageDecision, Receipt
from referral_engine.flow.senders import party_of
from referral_engine.flow.turn import Turn
from referral_engine.flow.verdict import Verdict
from referral_engine.hl7.message import Message
from referral_engine.intake.interest import Number, numbers_of
from referral_engine.journal.rows import Disposition, MessageRow
from referral_engine.loop.effects import TaskKind

DECISIONS: Final = frozenset({"replay", "skip"})


def barrier_of(turn: Turn, message: Message, numbers: tuple[Number, ...]) -> int:
    """The message set aside that this one has a number in common with; 0 when it need not wait."""
    if not turn.unit.bars_anything:
        return 0
    return turn.unit.barred_by(numbers or numbers_of(message))


def waiting(behind: int) -> Verdict:
    """What became of a message that must wait."""
    return Verdict(
        disposition=Disposition.PENDING, reason=f"waits behind message {behind}, which was set aside for a person"
    )


def bar_the_way(turn: Turn, message: Message, sequence: int) -> None:
    """What shares a number with a message that could not be handled may mean the opposite without it: it waits."""
    turn.unit.bar(sequence, numbers_of(message))


def decide_message(turn: Turn, decision: MessageDecision) -> Receipt:
    """A person's word about a message that was set aside; what waited behind it is handled in the order it came.

    An order that no channel took may be replayed as well: the files have changed since.
    """
    if decision.decision not in DECISIONS:
        return Receipt(refused=f"{decision.decision!r} is not one of {', '.join(sorted(DECISIONS))}")
    row = turn.unit.message(decision.message)
    if row is None:
        return Receipt(refused=f"there is no message {decision.message}")
    unroutable = row.disposition is Disposition.NEEDS_HUMAN and decision.decision == "replay"
    if row.disposition is not Disposition.QUARANTINED and not unroutable:
        return Receipt(refused=f"message {decision.message} was not set aside")
    party = party_of(turn, row)
    if decision.decision == "replay":
        if party is None:
            return Receipt(refused=f"message {decision.message} came from a sender that is not allowed here")
        try:
            message = Message.parse(row.raw)
        except MessageFault as fault:
            return Receipt(refused=f"message {decision.message} cannot be read: {fault}")
        if unroutable and not _give_another_try(turn, row):
            return Receipt(refused=f"message {decision.message} was not set aside, nor is it an order no channel took")
        _handle(turn, row, message, party)
    turn.audit(f"user:{decision.by}", decision.decision, f"message {decision.message}")
    turn.unit.close_message_tasks(decision.message, TaskKind.QUARANTINE.value, turn.now_micros, decision.decision)
    release(turn, decision.message)
    return Receipt(sequence=decision.message)


def _give_another_try(turn: Turn, row: MessageRow) -> bool:
    """Finish the task of an order that no channel took; the order opens it again if still nobody does."""
    return turn.unit.close_message_tasks(row.sequence, TaskKind.UNROUTABLE_ORDER.value, turn.now_micros, "replay") > 0


def release(turn: Turn, message: int) -> None:
    """Nothing waits behind this message any more: what did, and waits behind no other, is handled now."""
    if not turn.unit.unbar(message):
        return
    for sequence in turn.unit.pending():
        row = turn.unit.message(sequence)
        party = party_of(turn, row) if row is not None else None
        if row is None or party is None:
            continue
        waited = Message.parse(row.raw)
        if not turn.unit.barred_by(numbers_of(waited)):
            _handle(turn, row, waited, party)


def _handle(turn: Turn, row: MessageRow, message: Message, party: Party) -> None:
    turn.raws[row.sequence] = row.raw
    verdict = consider(turn, message, party, row.sequence)
    turn.unit.change_disposition(row.sequence, verdict.disposition, verdict.level, verdict.reason, verdict.referral)
