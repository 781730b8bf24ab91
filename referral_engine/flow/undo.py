"""Evidence taken off a referral again: tracks, clocks, tasks and numbers as if it had never come, and corrections."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from referral_engine.channels.parties import Party
from referral_engine.flow.apply import POINTLESS, apply
from referral_engine.flow.inputs import EvidenceUnbound, Receipt
from referral_engine.flow.matching import aliases_of, numbers_of, owned
from referral_engine.flow.senders import party_of
from referral_engine.flow.turn import Turn
from referral_engine.intake.interest import person_of
from referral_engine.journal.codec import decode_decision, decode_event
from referral_engine.journal.messages import EVENTS_MAX
from referral_engine.journal.rows import (
    BindingKind,
    DecisionRow,
    Disposition,
    EffectRow,
    EffectState,
    EventRow,
    MessageRow,
)
from referral_engine.loop.effects import OpenTask, Purpose, Recipient, Send, TaskKind
from referral_engine.loop.events import (
    Event,
    EvidenceUndone,
    PatientAttended,
    PatientUpdated,
    ReferralOrdered,
    ReportReceived,
)
from referral_engine.loop.evidence import About, Evidence, Level
from referral_engine.loop.referral import Identifier, Patient, PatientId, Referral
from referral_engine.loop.undoing import Undone, first_of, standing, without

NO_LONGER: Final = "no longer needed"  # the note of a task that what happened had closed
TOLD_MAX: Final = 20  # things put right at once; one event may owe no more than flow.apply.EFFECTS_MAX
_LEFT: Final = frozenset({EffectState.IN_FLIGHT, EffectState.DELIVERED, EffectState.UNKNOWN})  # or it may have
_HOLDS: Final = _LEFT | {EffectState.QUEUED, EffectState.PARKED}
_DECIDABLE: Final = frozenset({EffectState.FAILED, EffectState.PARKED, EffectState.UNKNOWN})  # a person may retry it
_LEARNED: Final = frozenset(
    {BindingKind.FILLER, BindingKind.APPOINTMENT, BindingKind.DOCUMENT, BindingKind.VISIT, BindingKind.CHARGE}
)
_PICKED_UP: Final = "laid aside by a person, and taken up again: say where it belongs"
_RULES_CHANGED: Final = "the rules have changed since this history was written: look whether its tracks are right"


def came_before(message: int) -> str:
    """Why a note that comes once more changes nothing."""
    return f"the same note came before, by message {message}"


class CannotUndo(Exception):
    """Evidence cannot be taken off a referral; the sentence says why."""


def unbind_evidence(turn: Turn, asked: EvidenceUnbound) -> Receipt:
    """A person takes what a message said off its referral; the message waits for a decision again."""
    if not asked.reason.strip():
        return Receipt(refused="say why: an undo needs a reason")
    row = turn.unit.message(asked.message)
    if row is None:
        return Receipt(refused=f"there is no message {asked.message}")
    merges = [str(edge.id) for edge in turn.unit.merges_of_message(asked.message) if not edge.undone_at]
    if merges:
        return Receipt(refused=f"message {asked.message} is a merge: take back merge {', '.join(merges)} instead")
    holders = _holders(turn, asked.message, asked.referral)
    by = f"user:{asked.by}"
    if not holders:
        return _picked_up(turn, asked, row, by)
    taken = dict.fromkeys((asked.message, *(copy for one in holders for copy in _copies(turn, one, asked.message))))
    try:
        for referral in holders:  # all of them, or none
            _ready(turn, referral, [asked.message])
        for referral in holders:
            undo(turn, referral, [asked.message, *_copies(turn, referral, asked.message)], by, asked.reason)
    except CannotUndo as refusal:
        return Receipt(refused=str(refusal))
    for message in taken:
        _ask_again(turn, message, holders, copy_of=asked.message if message != asked.message else 0)
    turn.audit(by, "undone", f"message {asked.message}", f"referral {', '.join(holders)}: {asked.reason}")
    return Receipt(sequence=asked.message)


def _ask_again(turn: Turn, message: int, holders: Sequence[str], *, copy_of: int) -> None:
    """What was taken off waits for a decision again."""
    row = turn.unit.message(message)
    assert row is not None, "a decision names a stored message"
    told = f"taken off referral {', '.join(holders)} by a person: say where it belongs"
    if copy_of:
        told += f" (the same note as message {copy_of})"
    kept = next((one.referral for one in turn.unit.decisions(message) if one.referral and not one.undone_at), "")
    turn.unit.change_disposition(message, Disposition.NEEDS_HUMAN, row.level, told, kept)
    channel = next((one.channel for one in map(turn.unit.referral, holders) if one is not None), "")
    turn.open_task(OpenTask(kind=TaskKind.MATCH_REVIEW, reason=told), channel=channel, message=message)


def _copies(turn: Turn, referral_id: str, message: int) -> list[int]:
    """The messages that brought the note of this one again, and were not counted: they are no evidence without it."""
    events = [event for _, event in _history(turn, referral_id)]
    counts = standing(events, ())
    told = {event.message for event, holds in zip(events, counts, strict=True) if holds}
    if not any(isinstance(event, ReportReceived) and event.message == message for event in events):
        return []
    silent = (row for row in _decisions_of(turn, referral_id) if row.message not in told and row.message != message)
    return list(dict.fromkeys(row.message for row in silent if _is_copy(row, message)))


def _is_copy(row: DecisionRow, message: int) -> bool:
    """Whether a decision that changed nothing was about this note; of a person's only that it may have been."""
    said, _ = decode_decision(row.body)
    return said.about is About.REPORT and (row.by.startswith("user:") or row.reason == came_before(message))


def _picked_up(turn: Turn, asked: EvidenceUnbound, row: MessageRow, by: str) -> Receipt:
    """A person had laid the message aside as nobody's: it waits for a decision again."""
    laid = [
        one
        for one in turn.unit.decisions(row.sequence)
        if not one.referral and not one.undone_at and one.by.startswith("user:")
    ]
    if asked.referral or not laid:
        return Receipt(refused=f"message {row.sequence} is evidence of no referral")
    if row.purged_at:
        return Receipt(refused=f"message {row.sequence} was reduced to its header: ask its sender for it again")
    for one in laid:
        turn.unit.undo_decision(row.sequence, one.part, by, asked.reason)
    turn.unit.change_disposition(row.sequence, Disposition.NEEDS_HUMAN, row.level, _PICKED_UP, "")
    urgent = any(one.level == Level.STOP for one in laid)
    turn.open_task(OpenTask(kind=TaskKind.MATCH_REVIEW, reason=_PICKED_UP, urgent=urgent), message=row.sequence)
    turn.audit(by, "undone", f"message {row.sequence}", f"was laid aside: {asked.reason}")
    return Receipt(sequence=row.sequence)


def withdraw(turn: Turn, referral_id: str, evidence: Evidence, party: Party, sequence: int) -> bool:
    """The sender takes back what it said of a visit or a charge (A11, A38, CD); whether there was anything.

    party: the sender. Only attendance is taken back so: a booking of the same visit has messages of its own.
    """
    named = [row.message for row in _decisions_of(turn, referral_id) if _same_visit(turn, row, evidence, party)]
    events = _history(turn, referral_id)
    counts = standing([event for _, event in events], ())
    messages = [
        message for message in dict.fromkeys(named) if message != sequence and _only_attendance(events, counts, message)
    ]
    if not messages:
        return False
    reason, by = f"taken back by the sender (message {sequence})", f"feed:{party.name}"
    try:
        undo(turn, referral_id, messages, by, reason, message=sequence)
    except CannotUndo as refusal:
        task = OpenTask(kind=TaskKind.ANOMALY, reason=f"message {sequence} takes back what was read: {refusal}")
        turn.open_task(task, referral=referral_id, message=sequence)
        return False
    for message in messages:
        row = turn.unit.message(message)
        if row is not None and not _holders(turn, message):
            turn.unit.change_disposition(message, Disposition.NO_OP, row.level, reason, "")
    turn.audit(by, "undone", f"messages {', '.join(map(str, messages))}", f"referral {referral_id}: {reason}")
    return True


def undo(  # what, where, who and why
    turn: Turn, referral_id: str, messages: Sequence[int], by: str, reason: str, *, message: int = 0
) -> Referral:
    """Take what these messages said off one referral; the referral as it stands without them.

    message: whose word it is, when a message takes the others back. What becomes of the messages, the caller says.
    Raises CannotUndo when they said nothing of it, or are its order.
    """
    referral, history, first = _ready(turn, referral_id, messages)
    rows, events = [row for row, _ in history], [event for _, event in history]
    undone = without(first, events, messages, turn.policy_of)
    told, waiting, holds = _sent(turn, rows, events, undone, messages)
    turn.unit.withdraw(referral_id, waiting, turn.now_micros, POINTLESS)
    for at in undone.closed:
        turn.unit.reopen_tasks(referral_id, rows[at].at, NO_LONGER)
    event = EvidenceUndone(
        at=turn.now,
        message=message,
        by=by,
        reason=reason,
        taken_back=tuple(messages),
        restored=undone.restored,
        told=told,
        standing=holds,
        wanted=undone.wanted,
        pointless=undone.pointless,
    )
    after = apply(turn, referral, event, reason=f"undone by {by}").referral
    if _tracks(undone.replayed) != _tracks(referral):
        turn.open_task(OpenTask(kind=TaskKind.ANOMALY, reason=_RULES_CHANGED), referral=after.id, channel=after.channel)
    _forget_numbers(turn, after, messages)
    _forget_patient(turn, referral.patient, after)
    for decision in _decisions_of(turn, referral_id):
        if decision.message in messages:
            turn.unit.undo_decision(decision.message, decision.part, by, reason)
    return after


def _ready(
    turn: Turn, referral_id: str, messages: Collection[int]
) -> tuple[Referral, list[tuple[EventRow, Event]], Referral]:
    """The referral, its history, and the referral before it.  Raises CannotUndo."""
    referral = turn.unit.referral(referral_id)
    if referral is None:
        raise CannotUndo(f"there is no referral {referral_id}")
    history = _history(turn, referral_id)
    if len(history) >= EVENTS_MAX:
        raise CannotUndo(f"the history of referral {referral_id} is too long to be decided again")
    return referral, history, _first(turn, referral, [event for _, event in history], messages)


def _first(turn: Turn, referral: Referral, events: Sequence[Event], messages: Collection[int]) -> Referral:
    """The referral before its first event.  Raises CannotUndo."""
    counts = standing(events, ())
    said = {event.message for event, holds in zip(events, counts, strict=True) if holds}
    said |= {row.message for row in _decisions_of(turn, referral.id)}
    missing = [message for message in messages if message not in said]
    if missing or not events:
        named = ", ".join(map(str, missing))
        raise CannotUndo(f"message {named} says nothing of referral {referral.id} that counts")
    first = events[0]
    assert isinstance(first, ReferralOrdered), "a referral begins with its order"
    if first.message in messages:
        raise CannotUndo(f"message {first.message} is the order of referral {referral.id}: end the referral instead")
    return first_of(first, referral, events)


def _sent(
    turn: Turn, rows: Sequence[EventRow], events: Sequence[Event], undone: Undone, messages: Collection[int]
) -> tuple[tuple[Send, ...], frozenset[int], tuple[Send, ...]]:
    """What has left because of the messages, the numbers of what has not yet, and what holds all the same."""
    position = {row.sequence: at for at, row in enumerate(rows)}
    told: dict[Send, None] = {}
    holds: dict[Send, None] = {}
    waiting: set[int] = set()
    for effect in turn.unit.effects_of(rows[0].referral):
        at = position.get(effect.cause)
        if at is None:
            continue
        owed = next((one for one in undone.sends[at] if _is(one, effect)), None)
        send = owed or _read_back(effect, events[at].message)
        if events[at].message not in messages and not any(_is(one, effect) for one in undone.wrong[at]):
            holds |= {send: None} if effect.state in _HOLDS else {}
            continue
        if effect.state is EffectState.QUEUED:
            waiting.add(effect.id)
        elif effect.state in _LEFT:
            told[send] = None
        if effect.state in _DECIDABLE:
            turn.unit.decide_effect(effect.id, "cancel", turn.now_micros)
    return tuple(told)[-TOLD_MAX:], frozenset(waiting), tuple(holds)


def _is(send: Send, effect: EffectRow) -> bool:
    return (send.to.value, send.purpose.value, send.about) == (effect.recipient, effect.purpose, effect.about)


def _read_back(effect: EffectRow, message: int) -> Send:
    """A sending that other rules had owed, from its row."""
    return Send(to=Recipient(effect.recipient), purpose=Purpose(effect.purpose), about=effect.about, message=message)


def _tracks(referral: Referral) -> tuple[object, ...]:
    return (
        referral.authorization, referral.dispatch, referral.outreach, referral.appointment, referral.note,
        referral.closure,
    )  # fmt: skip


def _history(turn: Turn, referral_id: str) -> list[tuple[EventRow, Event]]:
    return [(row, decode_event(row.kind, row.body)) for row in turn.unit.events(referral_id)]


def _decisions_of(turn: Turn, referral_id: str) -> tuple[DecisionRow, ...]:
    """The decisions that put something on a referral, and hold."""
    return tuple(
        row for row in turn.unit.decisions_of(referral_id) if row.referral == referral_id and not row.undone_at
    )


def _holders(turn: Turn, message: int, asked: str = "") -> list[str]:
    """The referrals a message is evidence of: by its decisions, or by its row where none holds (a patient's change).

    asked: only this one.
    """
    decided = turn.unit.decisions(message)
    held = dict.fromkeys(row.referral for row in decided if row.referral and not row.undone_at)
    if held or any(row.undone_at for row in decided):
        return [one for one in held if asked in ("", one)]
    if asked and not decided:
        return [asked]
    row = turn.unit.message(message)
    found = _told_too(turn, message, row.referral) if row is not None and row.referral else []
    return [one for one in found if asked in ("", one)]


def _told_too(turn: Turn, message: int, referral_id: str) -> list[str]:
    """The referrals of one patient that a message was told to: a change of the patient concerns every open one."""
    named = turn.unit.referral(referral_id)
    if named is None:
        return []
    found = dict.fromkeys((referral_id,))
    for known in named.patient.ids:
        if known.authority:
            found |= dict.fromkeys(turn.unit.patients(known.value, known.authority))
    return [one for one in found if one == referral_id or _says(turn, message, one)]


def _says(turn: Turn, message: int, referral_id: str) -> bool:
    events = [event for _, event in _history(turn, referral_id)]
    counts = standing(events, ())
    return any(
        holds and event.message == message and isinstance(event, PatientUpdated)
        for event, holds in zip(events, counts, strict=True)
    )


# ---------------------------------------------------------------------------------------------- visits and numbers


def _same_visit(turn: Turn, row: DecisionRow, evidence: Evidence, party: Party) -> bool:
    """Whether a decision was about the visit or the charge that the evidence names.

    A number without an authority is its sender's: two offices may both have a visit 77.
    """
    said, _ = decode_decision(row.body)
    pairs = [pair for pair in ((said.visit, evidence.visit), (said.charge, evidence.charge)) if _agree(*pair)]
    if not pairs or any(one.authority and one.authority == other.authority for one, other in pairs):
        return bool(pairs)
    message = turn.unit.message(row.message)
    sender = party_of(turn, message) if message is not None else None
    return sender is not None and sender.name == party.name


def _agree(one: Identifier, other: Identifier) -> bool:
    whose = not one.authority or not other.authority or one.authority == other.authority
    return bool(one) and one.value == other.value and whose


def _only_attendance(history: Iterable[tuple[EventRow, Event]], counts: Iterable[bool], message: int) -> bool:
    """Whether all that a message still says of a referral is that the patient came."""
    said = [event for (_, event), holds in zip(history, counts, strict=True) if holds and event.message == message]
    came = any(isinstance(event, PatientAttended) for event in said)
    return came and all(isinstance(event, PatientAttended | PatientUpdated) for event in said)


def _forget_numbers(turn: Turn, after: Referral, messages: Collection[int]) -> None:
    """Numbers that only the undone messages taught point at the referral no more."""
    taught: dict[tuple[BindingKind, Identifier | PatientId], None] = {}
    order = turn.unit.message(after.order.message)
    sender = party_of(turn, order) if order is not None else None
    filler = after.order.filler if sender is None else owned(after.order.filler, sender)
    known: set[tuple[BindingKind, Identifier | PatientId]] = {(BindingKind.FILLER, filler)}
    for row in _decisions_of(turn, after.id):
        numbers = _numbers(turn, row)
        if row.message in messages:
            taught |= dict.fromkeys(numbers)
        else:
            known.update(numbers)
    for kind, number in taught:
        if (kind, number) not in known:
            turn.unit.unbind(kind, number, after.id)


def _forget_patient(turn: Turn, before: Patient, after: Referral) -> None:
    """What only the undone messages said of the patient leads to the referral no more; what holds again, does."""
    holds = {*after.patient.ids, *aliases_of(turn, after.patient)}
    for known in before.ids:
        if known.authority and known not in holds:
            turn.unit.unbind(BindingKind.PATIENT, known, after.id)
    for known in after.patient.ids:
        if known.authority and known not in before.ids:
            turn.unit.bind(BindingKind.PATIENT, known, after.id)
    was, now = person_of(before), person_of(after.patient)
    if was != now:
        if was is not None:
            turn.unit.unbind(BindingKind.PERSON, was, after.id)
        if now is not None:
            turn.unit.bind(BindingKind.PERSON, now, after.id)


def _numbers(turn: Turn, row: DecisionRow) -> Iterator[tuple[BindingKind, Identifier | PatientId]]:
    message = turn.unit.message(row.message)
    party = party_of(turn, message) if message is not None else None
    if party is None:
        return
    evidence, _ = decode_decision(row.body)
    yield from (pair for pair in numbers_of(evidence, party) if pair[0] in _LEARNED)
