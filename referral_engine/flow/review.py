"""What a person decides about a message that no level of matching may attach by itself; every word has a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from referral_engine.base.clock import from_micros, to_micros
from referral_engine.base.ident import referral_id
from referral_engine.base.values import replace
from referral_engine.channels.channel import Channel
from referral_engine.flow.apply import apply
from referral_engine.flow.attaching import Said, applied, keep_decision
from referral_engine.flow.inputs import EvidenceConfirmed, Receipt, ReviewDecided
from referral_engine.flow.matching import learn_numbers, learn_patient
from referral_engine.flow.orders import accept_as_new
from referral_engine.flow.rematching import read_again, rematch_learned
from referral_engine.flow.turn import Turn
from referral_engine.journal.codec import decode_decision
from referral_engine.journal.rows import BindingKind, DecisionRow, Disposition, MessageRow, TaskRow, TaskState
from referral_engine.loop.clocks import due_at
from referral_engine.loop.effects import TaskKind
from referral_engine.loop.events import MatchConfirmed, ReferralOrdered
from referral_engine.loop.likeness import may_be_a_twin
from referral_engine.loop.matching import Candidate, Level, Match, Weighed, grade
from referral_engine.loop.referral import Identifier, Order, Patient, Referral

NOTE_MAX: Final = 4_000  # characters of a task's note; one that is asked about every day must not grow for ever
_BOUND: Final = "bound by a person"
_MADE: Final = "made by a person from evidence"
_NOT_ONE: Final = "not a referral document (by a person)"
_WRONG: Final = "wrong patient (by a person): set aside"


class _Refusal(Exception):
    """A decision that cannot be done; the sentence says why."""


def decide_review(turn: Turn, decided: ReviewDecided) -> Receipt:
    """Do what a person decided about a message under review."""
    do = _DECISIONS.get(decided.decision)
    if do is None:
        return Receipt(refused=f"{decided.decision!r} is not one of {', '.join(sorted(_DECISIONS))}")
    if not decided.reason.strip():
        return Receipt(refused="say why: a decision about a patient's message needs a reason")
    try:
        task, row = _asked(turn, decided.task)
        outcome = do(turn, decided, task, row)
    except _Refusal as refusal:
        return Receipt(refused=str(refusal))
    turn.audit(f"user:{decided.by}", decided.decision, f"message {row.sequence}", outcome)
    if turn.learned:
        rematch_learned(turn)
    return Receipt(sequence=row.sequence)


def confirm_match(turn: Turn, confirmed: EvidenceConfirmed) -> Receipt:
    """A person says that what was matched provisionally is right: nothing moves, nothing is provisional any more."""
    if not confirmed.reason.strip():
        return Receipt(refused="say why: a decision about a patient's message needs a reason")
    waiting = [row for row in _holding(turn, confirmed.message) if row.provisional]
    if not waiting:
        return Receipt(refused=f"message {confirmed.message} is matched provisionally to no referral")
    by = f"user:{confirmed.by}"
    for identity in dict.fromkeys(row.referral for row in waiting):
        referral = turn.unit.referral(identity)
        assert referral is not None, "a decision names a stored referral"
        event = MatchConfirmed(at=turn.now, message=confirmed.message, by=by)
        apply(turn, referral, event, reason=f"confirmed by {by}")
    for row in waiting:
        sure = replace(row, at=turn.now_micros, provisional=False, by=by, reason=confirmed.reason)
        turn.unit.add_decision(sure)
    turn.audit(by, "confirm", f"message {confirmed.message}", confirmed.reason)
    return Receipt(sequence=confirmed.message)


def _asked(turn: Turn, number: int) -> tuple[TaskRow, MessageRow]:
    """The review and its message.  Raises _Refusal."""
    task = turn.unit.task(number)
    if task is None:
        raise _Refusal(f"there is no review {number}")
    if task.state is TaskState.DONE:
        again = f": to decide again, undo message {task.message}" if task.message else ""
        raise _Refusal(f"review {number} is done already, with the note {task.note!r}{again}")
    row = turn.unit.message(task.message) if task.kind == TaskKind.MATCH_REVIEW.value and task.message else None
    if row is None:
        raise _Refusal(f"task {number} is no review of a message")
    if row.purged_at:
        raise _Refusal(f"message {row.sequence} was reduced to its header: ask its sender for it again")
    return task, row


# ------------------------------------------------------------------------------------------------ bind, and bind as new


def _bind(turn: Turn, decided: ReviewDecided, task: TaskRow, row: MessageRow) -> str:
    """What waits in the message is evidence of this referral."""
    referral = turn.unit.referral(decided.referral)
    if referral is None:
        raise _Refusal(f"there is no referral {decided.referral}")
    if all(one.referral == referral.id for one in _holding(turn, row.sequence)) and not _waiting(turn, row):
        return _done(turn, decided, task, row, referral.id)  # it is there already: the person says that it stays
    if referral.duplicate_of:
        raise _Refusal(f"referral {referral.id} was never sent, for it repeats {referral.duplicate_of}: bind it there")
    said = _chosen(turn, decided, row)
    if said.reading.is_new_order:
        raise _Refusal("an order is no evidence of another referral: dismiss it, or say new")
    conflict = _conflict(turn, said, referral)
    if conflict and not decided.sure:
        raise _Refusal(f"{conflict}: look at both charts, then say that you are sure")
    _put(turn, said, referral, decided)
    return _done(turn, decided, task, row, referral.id)


def _new(turn: Turn, decided: ReviewDecided, task: TaskRow, row: MessageRow) -> str:
    """What waits in the message belongs to a referral that nobody ordered here, or to an order of its own."""
    channel = turn.channel(decided.channel)
    if channel is None:
        raise _Refusal(f"there is no channel {decided.channel}")
    if channel.mode == "shadow" and not decided.sure:
        raise _Refusal(f"channel {channel.name} is in shadow, so nothing would be sent: say that you are sure")
    said = _chosen(turn, decided, row)
    speaks = said.party.channel.name if said.party.channel else channel.name
    if speaks != channel.name and not decided.sure:
        raise _Refusal(f"the message came from channel {speaks}: say that you are sure that it is {channel.name}'s")
    if said.reading.is_new_order:
        verdict = accept_as_new(turn, said, channel)
        assert verdict is not None, "a new order has its event"
        found = Match(level=_level(turn, said), reason=_MADE)
        keep_decision(turn, said, found, referral=verdict.referral, reason=decided.reason, by=f"user:{decided.by}")
        return _done(turn, decided, task, row, verdict.referral)
    patient = said.evidence.patient
    if not any(known.authority for known in patient.ids) and not (patient.family and patient.born_on):
        raise _Refusal(f"message {row.sequence} does not say who the patient is")
    referral = _made(turn, said, channel, decided.by, row)
    _put(turn, said, referral, decided)
    return _done(turn, decided, task, row, referral.id)


def _made(turn: Turn, said: Said, channel: Channel, by: str, row: MessageRow) -> Referral:
    """A referral known by its evidence only: the office has the patient, nothing is sent to it or to the patient."""
    evidence = said.evidence
    received = from_micros(row.received_at)
    order = Order(
        placer=Identifier(),  # an order that names it may still come, and is linked to this as the same referral
        ordered_at=min(evidence.happened_at or received, received),
        specialty=channel.specialty,
        network=channel.network,
        referred_to=channel.npi,
    )
    sequence = turn.unit.next_sequence()
    known_as = evidence.patient
    referral = Referral(
        id=referral_id(turn.node, sequence),
        channel=channel.name,
        patient=known_as,
        order=order,
        watched=channel.mode == "shadow",
        config=turn.book.version,
    )
    event = ReferralOrdered(at=turn.now, by=f"user:{by}", patient=known_as, order=order, found=True)
    made = apply(turn, referral, event, reason=f"{_MADE}: message {row.sequence}", new=True, sequence=sequence)
    turn.unit.bind(BindingKind.REFERRAL, Identifier(value=referral.id), referral.id)
    learn_patient(turn, known_as, referral.id)
    learn_numbers(turn, evidence, said.party, referral.id)
    return made.referral


def _put(turn: Turn, said: Said, referral: Referral, decided: ReviewDecided) -> None:
    """Apply one part of the message; level and score stay as they were graded."""
    # The others stay beside it: whoever takes it off again has to choose among them.
    ranked = tuple(sorted(_weighed(turn, said), key=lambda one: one.referral != referral.id))
    found = Match(level=_level(turn, said), referral=referral.id, reason=_BOUND, weighed=ranked)
    applied(turn, said, found, by=f"user:{decided.by}", why=decided.reason)


def _conflict(turn: Turn, said: Said, referral: Referral) -> str:
    """What speaks against this referral; "" when nothing does."""
    known = _decision(turn, said)
    if known is not None and known.level == Level.STOP and _is_candidate(known, referral):
        return known.reason  # it was stopped at this very referral
    channel = turn.channel(referral.channel)
    candidate = Candidate(referral=referral, by="referral", npi=channel.npi if channel is not None else "")
    speaks_as = said.party.channel.name if said.party.channel else said.party.kind
    found = grade(said.evidence, [candidate], speaks_as, now=turn.now)
    other = _other(said.evidence.patient, referral.patient)
    if found.level is not Level.STOP or ("nothing of the patient" in found.reason and not other):
        return ""
    return other or found.reason.removeprefix("referral number matches, but ")


def _is_candidate(known: DecisionRow, referral: Referral) -> bool:
    """Whether a decision that holds had weighed this referral."""
    return not known.undone_at and any(one.referral == referral.id for one in decode_decision(known.body)[1])


def _other(one: Patient, other: Patient) -> str:
    """Which of names and birth date is known on both sides and differs; of twins only the given name does."""
    compared = (("family name", one.family, other.family), ("birth date", one.born_on, other.born_on))
    differs = [name for name, mine, theirs in compared if mine and theirs and not mine.agrees(theirs)]
    if may_be_a_twin(one, other):
        differs.insert(1 if differs[:1] == ["family name"] else 0, "given name")
    return f"the {' and the '.join(differs)} differ{'' if len(differs) > 1 else 's'}" if differs else ""


# ------------------------------------------------------------------------------------------------ not here, not yet


def _dismiss(turn: Turn, decided: ReviewDecided, task: TaskRow, row: MessageRow) -> str:
    """The message is about no referral."""
    return _laid_aside(turn, decided, task, row, Disposition.NO_OP, _NOT_ONE)


def _wrong_patient(turn: Turn, decided: ReviewDecided, task: TaskRow, row: MessageRow) -> str:
    """The message names a patient it is not about: nobody may read it as evidence."""
    return _laid_aside(turn, decided, task, row, Disposition.QUARANTINED, _WRONG)


def _laid_aside(  # what and why
    turn: Turn, decided: ReviewDecided, task: TaskRow, row: MessageRow, disposition: Disposition, word: str
) -> str:
    held = _holding(turn, row.sequence)
    if held:
        named = ", ".join(dict.fromkeys(one.referral for one in held))
        raise _Refusal(f"message {row.sequence} is evidence of referral {named}: undo that first")
    for said in _waiting(turn, row):
        found = Match(level=_level(turn, said), reason=word, weighed=_weighed(turn, said))
        keep_decision(turn, said, found, reason=decided.reason, by=f"user:{decided.by}")
    turn.unit.unpark(row.sequence)
    turn.unit.change_disposition(row.sequence, disposition, row.level, word, "")
    _finish(turn, decided, task, row)
    return f"{word}: {decided.reason}"


def _ask_first(turn: Turn, decided: ReviewDecided, task: TaskRow, _: MessageRow) -> str:
    """Somebody has to be asked first: the review stays open, and its age begins anew."""
    calendar = turn.calendar("")
    note = f"{task.note}; {decided.reason}" if task.note else decided.reason
    due = due_at(turn.now, turn.book.engine.review_age[0], calendar)
    turn.unit.postpone_task(task.id, to_micros(due), note[-NOTE_MAX:])
    return f"waits for information: {decided.reason}"


_DECISIONS: Final[Mapping[str, Callable[[Turn, ReviewDecided, TaskRow, MessageRow], str]]] = MappingProxyType(
    {
        "bind": _bind,
        "new": _new,
        "dismiss": _dismiss,
        "wrong-patient": _wrong_patient,
        "needs-info": _ask_first,
    }
)


# ---------------------------------------------------------------------------------------------- the message's parts


def _chosen(turn: Turn, decided: ReviewDecided, row: MessageRow) -> Said:
    """The part that is meant.  Raises _Refusal."""
    waiting = _waiting(turn, row)
    if not waiting:
        raise _Refusal(f"nothing in message {row.sequence} waits for a referral")
    if decided.part < 0:
        if len(waiting) > 1:
            named = ", ".join(str(said.part) for said in waiting)
            raise _Refusal(f"message {row.sequence} speaks of several things: say which part, one of {named}")
        return waiting[0]
    found = next((said for said in waiting if said.part == decided.part), None)
    if found is None:
        raise _Refusal(f"part {decided.part} of message {row.sequence} does not wait for a referral")
    return found


def _waiting(turn: Turn, row: MessageRow) -> list[Said]:
    """The parts of a message that are on no referral."""
    held = {one.part for one in _holding(turn, row.sequence)}
    return [said for said in read_again(turn, row) if said.part not in held]


def _holding(turn: Turn, message: int) -> list[DecisionRow]:
    """The decisions that put parts of a message on referrals, and hold."""
    return [row for row in turn.unit.decisions(message) if row.referral and not row.undone_at]


def _decision(turn: Turn, said: Said) -> DecisionRow | None:
    return next((row for row in turn.unit.decisions(said.sequence) if row.part == said.part), None)


def _weighed(turn: Turn, said: Said) -> tuple[Weighed, ...]:
    """The candidates it was weighed against, best first."""
    known = _decision(turn, said)
    return decode_decision(known.body)[1] if known is not None else ()


def _level(turn: Turn, said: Said) -> Level:
    known = _decision(turn, said)
    return Level(known.level) if known is not None else Level.NOTHING


def _done(turn: Turn, decided: ReviewDecided, task: TaskRow, row: MessageRow, referral: str) -> str:
    """The message is on its referral; the review is over once nothing of it waits."""
    word = _MADE if decided.decision == "new" else _BOUND
    left = _waiting(turn, row)
    disposition = Disposition.NEEDS_HUMAN if left else Disposition.APPLIED
    turn.unit.change_disposition(row.sequence, disposition, row.level, word, referral)
    if not left:
        turn.unit.unpark(row.sequence)
        _finish(turn, decided, task, row)
    return f"{word}, referral {referral}: {decided.reason}"


def _finish(turn: Turn, decided: ReviewDecided, task: TaskRow, row: MessageRow) -> None:
    """The task is done, and every other review of the same message with it."""
    turn.unit.finish_task(task.id, decided.by, decided.reason, turn.now_micros)
    turn.unit.close_message_tasks(row.sequence, TaskKind.MATCH_REVIEW.value, turn.now_micros, decided.reason)
