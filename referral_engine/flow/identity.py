"""Record numbers that become one person's, are parted again, or move; each edge is kept, and can be taken back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from referral_engine.base.ident import Phi
from referral_engine.channels.parties import Party
from referral_engine.flow import duplicates
from referral_engine.flow.apply import apply
from referral_engine.flow.inputs import MergeUndone, Receipt
from referral_engine.flow.matching import aliases_of, learn_patient, match
from referral_engine.flow.senders import party_of
from referral_engine.flow.turn import Turn
from referral_engine.flow.undo import CannotUndo, undo
from referral_engine.flow.verdict import Verdict
from referral_engine.intake.reading import Identities, Reading
from referral_engine.journal.codec import decode_decision, plain
from referral_engine.journal.rows import BindingKind, DecisionRow, Disposition, MergeRow
from referral_engine.loop.effects import OpenTask, TaskKind
from referral_engine.loop.events import PatientsMerged
from referral_engine.loop.evidence import Level
from referral_engine.loop.likeness import disagrees, same_demographics
from referral_engine.loop.referral import Patient, PatientId, Referral

WALKED_MAX: Final = 50  # numbers of one person; more is a number that means nothing
_ORDERING_SIDE: Final = Verdict(
    disposition=Disposition.NO_OP, reason="merges and links are taken from the ordering side only"
)
_ITSELF: Final = Verdict(disposition=Disposition.NO_OP, reason="the merge retires the number that survives it")
_KNOWN: Final = Verdict(disposition=Disposition.NO_OP, reason="these numbers are known to be one person's")
_REMEMBERED: Final = "no referral of this patient yet: remembered"
_CIRCLE: Final = "the merge closes a circle: the number that survives it was retired into the other one"
_DISPUTED: Final = "a merge of two records whose name and birth date disagree"
_MOVED: Final = "a record number moved from one patient to another: look whose the referral is"

Pair = tuple[PatientId, PatientId]  # who survives, who is retired


def learn_identities(turn: Turn, reading: Reading, party: Party, sequence: int) -> Verdict:
    """What one ADT says of two records: joined, parted, or a number moved.  Source: HL7 v2.5.1 3.3.40 to 3.3.47."""
    said, evidence = reading.identities, reading.evidence
    assert said is not None, "a reading of identities has them"
    if party.kind != "ehr":
        return _ORDERING_SIDE
    if said.change == "unlink":
        return _unlinked(turn, said, party, sequence)
    if said.change == "move":
        return _moved(turn, said, sequence)
    patient = evidence.patient if evidence is not None else Patient()
    told = next((event for event in reading.events if isinstance(event, PatientsMerged)), None)
    event = told or PatientsMerged(
        at=turn.now, message=sequence, by=party.name, patient=Patient(ids=(*said.survivor, *said.retired))
    )
    return _joined(turn, said, patient, event, sequence)


def _joined(turn: Turn, said: Identities, patient: Patient, event: PatientsMerged, sequence: int) -> Verdict:
    pairs = _pairs(said)
    if not pairs:
        return _ITSELF
    if said.change != "link" and any(_leads_to(turn, survivor, retired) for survivor, retired in pairs):
        turn.open_task(OpenTask(kind=TaskKind.MATCH_REVIEW, reason=f"urgent: {_CIRCLE}", urgent=True), message=sequence)
        return Verdict(disposition=Disposition.NEEDS_HUMAN, level=Level.STOP, reason=_CIRCLE)
    told = _referrals_of(turn, (*said.survivor, *said.retired))
    disputed = [referral for referral in told if disagrees(patient, referral.patient)]
    if said.change == "rename":
        disputed += [referral for referral in told if _is_taken(said, patient, referral)]
    if disputed:
        named = ", ".join(referral.id for referral in disputed)
        task = OpenTask(kind=TaskKind.MATCH_REVIEW, reason=f"urgent: {_DISPUTED} (referrals: {named})", urgent=True)
        turn.open_task(task, channel=disputed[0].channel, message=sequence)
        return Verdict(disposition=Disposition.NEEDS_HUMAN, level=Level.STOP, reason=_DISPUTED)
    fresh = [pair for pair in pairs if not _is_known(turn, pair)]
    for survivor, retired in fresh:
        turn.unit.add_merge(_edge(turn, said.change, survivor, retired, sequence))
    changed = [referral for referral in told if not set(event.patient.ids) <= set(referral.patient.ids)]
    if not fresh and not changed:
        return _KNOWN
    for referral in changed:
        after = apply(turn, referral, event, reason=f"record numbers: {said.change}").referral
        learn_patient(turn, after.patient, after.id)
    if not changed:
        return Verdict(disposition=Disposition.NO_OP, reason=_REMEMBERED)
    return Verdict(disposition=Disposition.APPLIED, level=Level.EXACT, reason="record number", referral=changed[-1].id)


def _is_taken(said: Identities, patient: Patient, referral: Referral) -> bool:
    """Whether the number that a record gets is another patient's already: a new one is nobody's."""
    known = referral.patient.ids
    of_old = any(one in known for one in said.retired)
    return not of_old and not same_demographics(patient, referral.patient)


def _pairs(said: Identities) -> list[Pair]:
    """Each retired number with the surviving one of its authority, else with the first; never with itself."""
    survivors = [one for one in said.survivor if one.authority]
    pairs: dict[Pair, None] = {}
    for retired in said.retired:
        if not retired.authority or not survivors or retired in survivors:
            continue
        same = next((one for one in survivors if one.authority == retired.authority), survivors[0])
        pairs[same, retired] = None
    return list(pairs)


def _edge(turn: Turn, kind: str, survivor: PatientId, retired: PatientId, sequence: int) -> MergeRow:
    return MergeRow(
        id=0,
        kind=kind,
        survivor=plain(survivor.value),
        survivor_authority=survivor.authority,
        retired=plain(retired.value),
        retired_authority=retired.authority,
        message=sequence,
        at=turn.now_micros,
    )


def _ends(edge: MergeRow) -> tuple[tuple[str, str], tuple[str, str]]:
    return (edge.survivor, edge.survivor_authority), (edge.retired, edge.retired_authority)


def _in_force(turn: Turn, number: tuple[str, str]) -> list[MergeRow]:
    return [edge for edge in turn.unit.merges(*number) if not edge.undone_at]


def _is_known(turn: Turn, pair: Pair) -> bool:
    wanted = tuple((plain(one.value), one.authority) for one in pair)
    return any(_ends(edge) == wanted for edge in _in_force(turn, wanted[0]))


def _leads_to(turn: Turn, start: PatientId, goal: PatientId) -> bool:
    """Whether a number was retired into another, over any number of merges; links have no direction."""
    wanted = (plain(goal.value), goal.authority)
    ahead = deque([(plain(start.value), start.authority)])
    seen = set(ahead)
    while ahead and len(seen) <= WALKED_MAX:
        number = ahead.popleft()
        for edge in _in_force(turn, number):
            survivor, retired = _ends(edge)
            if edge.kind == "link" or retired != number or survivor in seen:
                continue
            if survivor == wanted:
                return True
            seen.add(survivor)
            ahead.append(survivor)
    return False


def _referrals_of(turn: Turn, numbers: Iterable[PatientId]) -> list[Referral]:
    """Every referral of a person of these numbers; open ones last, so that one of them is named."""
    patient = Patient(ids=tuple(dict.fromkeys(numbers)))
    identities: dict[str, None] = {}
    for known in (*patient.ids, *aliases_of(turn, patient)):
        if known.authority:
            identities |= dict.fromkeys(turn.unit.patients(known.value, known.authority))
    found = [referral for referral in map(turn.unit.referral, identities) if referral is not None]
    theirs = {*patient.ids, *aliases_of(turn, patient)}  # a number that a referral's patient had once is not theirs
    found = [referral for referral in found if not theirs.isdisjoint(referral.patient.ids)]
    return sorted(found, key=lambda referral: not referral.is_over)


def _moved(turn: Turn, said: Identities, sequence: int) -> Verdict:
    """A number moved to another patient (A43) makes nobody one person; whose the referrals are, a person says."""
    concerned = [one for one in _referrals_of(turn, (*said.survivor, *said.retired)) if not one.is_over]
    if not concerned:
        return Verdict(disposition=Disposition.NO_OP, reason="a number moved; no open referral of this patient")
    named = ", ".join(referral.id for referral in concerned)
    task = OpenTask(kind=TaskKind.MATCH_REVIEW, reason=f"urgent: {_MOVED} (referrals: {named})", urgent=True)
    turn.open_task(task, channel=concerned[-1].channel, message=sequence)
    return Verdict(disposition=Disposition.NEEDS_HUMAN, level=Level.STOP, reason=_MOVED)


# ------------------------------------------------------------------------------------------------------ taken back


def _unlinked(turn: Turn, said: Identities, party: Party, sequence: int) -> Verdict:
    """Links between the two records hold no more; a merge is not taken back by an unlink."""
    sides = (said.survivor, said.retired)
    one, other = ({(plain(number.value), number.authority) for number in side} for side in sides)
    edges = {
        edge.id: edge
        for number in one
        for edge in _in_force(turn, number)
        if edge.kind == "link" and any(end in other for end in _ends(edge))
    }
    if not edges:
        return Verdict(disposition=Disposition.NO_OP, reason="these numbers were not linked")
    reason = f"taken back by the sender (message {sequence})"
    parted = _part(turn, list(edges.values()), f"feed:{party.name}", reason, sequence)
    last = parted[-1] if parted else ""
    return Verdict(disposition=Disposition.APPLIED, level=Level.EXACT, reason="record numbers: unlink", referral=last)


def undo_merge(turn: Turn, asked: MergeUndone) -> Receipt:
    """A person says that two numbers are not one patient's: what was decided because of it is looked at again."""
    if not asked.reason.strip():
        return Receipt(refused="say why: an undo needs a reason")
    edge = turn.unit.merge(asked.merge)
    if edge is None:
        return Receipt(refused=f"there is no merge {asked.merge}")
    if edge.undone_at:
        return Receipt(refused=f"merge {asked.merge} was undone already")
    by = f"user:{asked.by}"
    _part(turn, [edge], by, asked.reason, 0)
    turn.audit(by, "undone", f"merge {asked.merge}", asked.reason)
    return Receipt(sequence=edge.message)


def _part(turn: Turn, edges: Sequence[MergeRow], by: str, reason: str, sequence: int) -> list[str]:
    """Take edges back: ids, numbers and decisions that came over them; the referrals that changed."""
    numbers = [PatientId(value=Phi(value), authority=whose) for edge in edges for value, whose in _ends(edge)]
    concerned = _referrals_of(turn, numbers)
    reached = {referral.id: _reach(turn, referral.patient) for referral in concerned}
    for edge in edges:
        turn.unit.undo_merge(edge.id, by, reason)
    changed: list[str] = []
    for referral in concerned:
        after = referral
        for edge in edges:
            try:
                after = undo(turn, referral.id, [edge.message], by, reason, message=sequence)
            except CannotUndo:  # the merge was known before this referral was ordered
                continue
            changed.append(referral.id)
        for known in reached[referral.id] - _reach(turn, after.patient):
            turn.unit.unbind(BindingKind.PATIENT, known, referral.id)
    duplicates.part(turn, concerned)
    since = min(edge.at for edge in edges)
    for referral in concerned:
        _look_again(turn, referral.id, since, {edge.message for edge in edges})
    return list(dict.fromkeys(changed))


def _reach(turn: Turn, patient: Patient) -> set[PatientId]:
    return {known for known in (*patient.ids, *aliases_of(turn, patient)) if known.authority}


def _look_again(turn: Turn, referral_id: str, since: int, messages: set[int]) -> None:
    """A decision made since then that would not be made now is for a person; nothing is undone by itself."""
    for row in turn.unit.decisions_of(referral_id):
        holds = row.referral == referral_id and not row.undone_at
        if not holds or row.at < since or row.message in messages or _would_be_made(turn, row):
            continue
        reason = f"level 0: decided for referral {referral_id} by a merge that was undone, and would not be now"
        referral = turn.unit.referral(referral_id)
        channel = referral.channel if referral is not None else ""
        task = OpenTask(kind=TaskKind.MATCH_REVIEW, reason=f"urgent: {reason}", urgent=True)
        turn.open_task(task, channel=channel, message=row.message)


def _would_be_made(turn: Turn, row: DecisionRow) -> bool:
    message = turn.unit.message(row.message)
    party = party_of(turn, message) if message is not None else None
    if party is None:
        return False
    evidence, _ = decode_decision(row.body)
    return match(turn, evidence, party, row.message).referral == row.referral
