"""Decisions, reviews and merges as the JSON that others script against; a patient's values only where a person asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from referral_engine.base.clock import from_micros, rfc3339
from referral_engine.base.ident import Phi
from referral_engine.journal.answers import Review, Story
from referral_engine.journal.codec import decode_decision, decode_event
from referral_engine.journal.reading import Reading
from referral_engine.journal.rows import DecisionRow, MergeRow, MessageRow
from referral_engine.loop.events import EvidenceUndone
from referral_engine.loop.evidence import Evidence, Verdict, Weighed
from referral_engine.loop.likeness import other_number, same_number
from referral_engine.loop.referral import Identifier, Patient, Referral
from referral_engine.loop.undoing import standing

Shape = dict[str, object]
_UNDOING: Final = EvidenceUndone.__name__


def instant(micros: int) -> str | None:
    """A stored instant for JSON; None for "never"."""
    return rfc3339(from_micros(micros)) if micros else None


def shape_review(review: Review, row: MessageRow | None) -> Shape:
    """One review of `review list`."""
    task, decision = review.task, review.decision
    weighed = decode_decision(decision.body)[1] if decision is not None else ()
    return {
        "id": task.id,
        "message_id": task.message or None,
        "type": row.type if row is not None else None,
        "feed": row.key.partner if row is not None else None,
        "received_at": instant(row.received_at) if row is not None else None,
        "opened_at": instant(task.opened_at),
        "due_at": instant(task.due_at),
        "urgent": task.urgent,
        "level": decision.level if decision is not None else None,
        "reason": task.reason,
        "candidates": [{"referral": one.referral, "score": one.score} for one in weighed],
    }


def shape_whole_review(review: Review, row: MessageRow | None, reading: Reading) -> Shape:
    """One review for `review show`: the message's patient beside each candidate's, and why it stands where it does."""
    task = review.task
    asked = _part(review.decision, task.referral, reading)
    waiting = [one for one in review.decisions if not one.referral or one.undone_at]
    return (
        shape_review(review, row)
        | {
            "queue": task.queue,
            "state": task.state.value,
            "closed_at": instant(task.closed_at),
            "note": task.note,
            "purged_at": instant(row.purged_at) if row is not None else None,
        }
        | asked
        | {
            "parts": [_part(one, "", reading) for one in waiting],
            "decisions": [shape_decision(one) for one in review.decisions],
        }
    )


def _part(decision: DecisionRow | None, disputed: str, reading: Reading) -> Shape:
    """One thing the message speaks of, beside its candidates; disputed: the referral where nothing was weighed."""
    evidence, weighed = decode_decision(decision.body) if decision is not None else (None, ())
    said = evidence.patient if evidence is not None else None
    weighed = weighed or ((Weighed(referral=disputed),) if disputed else ())
    return {
        "part": decision.part if decision is not None else None,
        "level": decision.level if decision is not None else None,
        "candidates": [_candidate(one, evidence, reading) for one in weighed],
        "message_patient": shape_patient(said) if said is not None else None,
        "about": _about(evidence) if evidence is not None else None,
        "fields": list(evidence.fields) if evidence is not None else [],
    }


def _about(evidence: Evidence) -> Shape:
    """What kind of thing it is, without its patient."""
    return {
        "kind": evidence.about.value,
        "happened_at": rfc3339(evidence.happened_at) if evidence.happened_at is not None else None,
        "provider": evidence.provider,
        "specialty": evidence.specialty,
        "document_kind": evidence.document_kind,
        "placer_number": evidence.placer.value,
        "retracts": evidence.retracts,
        "may_close": evidence.may_close,
        "wrong_patient": evidence.wrong_patient,
    }


def _candidate(weighed: Weighed, evidence: Evidence | None, reading: Reading) -> Shape:
    referral = reading.referral(weighed.referral)
    return {
        "referral": weighed.referral,
        "status": referral.status.value if referral is not None else None,
        "channel": referral.channel if referral is not None else None,
        "specialty": referral.order.specialty if referral is not None else None,
        "service": referral.order.service_text or referral.order.service_code if referral is not None else None,
        "placer_number": referral.order.placer.value if referral is not None else None,
        "ordered_at": rfc3339(referral.order.ordered_at) if referral is not None else None,
        "appointments": [rfc3339(slot.starts_at) for slot in referral.slots] if referral is not None else [],
        "score": weighed.score,
        "parts": _parts(weighed),
        "patient": shape_patient(referral.patient) if referral is not None else None,
        "compared": list(compared(evidence, referral)) if referral is not None and evidence is not None else [],
    }


def _parts(weighed: Weighed) -> list[Shape]:
    return [{"name": part.name, "verdict": part.verdict.value, "points": part.points} for part in weighed.parts]


def compared(evidence: Evidence, referral: Referral) -> Iterator[Shape]:
    """The order and the patient of the message beside the referral's, each thing agreeing, differing or missing."""
    said, known = evidence.patient, referral.patient
    yield _order_number(evidence.placer, referral.order.placer)
    verdict = Verdict.MISSING
    if same_number(said, known):
        verdict = Verdict.AGREES
    elif other_number(said, known):
        verdict = Verdict.DIFFERS
    yield _row("record number", _numbers(said), _numbers(known), verdict)
    pairs = (
        ("family name", said.family, known.family),
        ("given name", said.given, known.given),
        ("birth date", said.born_on, known.born_on),
        ("sex", said.sex, known.sex),
    )
    for name, mine, theirs in pairs:
        yield _row(name, mine.reveal(), theirs.reveal(), _verdict(mine, theirs))


def _order_number(said: Identifier, known: Identifier) -> Shape:
    """An authority that only one side names makes no difference; nor does a number that only one side has."""
    verdict = Verdict.MISSING
    if said and known:
        whose = not said.authority or not known.authority or said.authority == known.authority
        verdict = Verdict.AGREES if said.value == known.value and whose else Verdict.DIFFERS
    return _row("order number", _number(said), _number(known), verdict)


def _number(one: Identifier) -> str:
    return f"{one.value} ({one.authority})" if one.authority else one.value


def _row(name: str, said: str, known: str, verdict: Verdict) -> Shape:
    return {"name": name, "message": said, "referral": known, "verdict": verdict.value}


def _verdict(one: Phi[str], other: Phi[str]) -> Verdict:
    if not one or not other:
        return Verdict.MISSING
    return Verdict.AGREES if one.agrees(other) else Verdict.DIFFERS


def _numbers(patient: Patient) -> str:
    return ", ".join(f"{known.value.reveal()} ({known.authority or 'nobody says whose'})" for known in patient.ids)


def shape_patient(patient: Patient) -> Shape:
    """Who somebody is."""
    return {
        "family": patient.family.reveal(),
        "given": patient.given.reveal(),
        "born_on": patient.born_on.reveal(),
        "sex": patient.sex.reveal(),
        "phone": patient.phone.reveal(),
        "ids": [{"value": known.value.reveal(), "authority": known.authority} for known in patient.ids],
    }


def shape_decision(row: DecisionRow) -> Shape:
    """Why one part of a message is where it is, without its patient."""
    evidence, weighed = decode_decision(row.body)
    return {
        "part": row.part,
        "at": instant(row.at),
        "level": row.level,
        "referral": row.referral or None,
        "provisional": row.provisional,
        "by": row.by,
        "reason": row.reason,
        "fields": list(evidence.fields),
        "candidates": [{"referral": one.referral, "score": one.score, "parts": _parts(one)} for one in weighed],
        "undone_at": instant(row.undone_at),
        "undone_by": row.undone_by or None,
        "undone_reason": row.undone_reason or None,
    }


def shape_merge(row: MergeRow) -> Shape:
    """One edge between two record numbers."""
    return {
        "id": row.id,
        "kind": row.kind,
        "survivor": {"value": row.survivor, "authority": row.survivor_authority},
        "retired": {"value": row.retired, "authority": row.retired_authority},
        "message_id": row.message or None,
        "at": instant(row.at),
        "undone_at": instant(row.undone_at),
        "undone_by": row.undone_by or None,
        "undone_reason": row.undone_reason or None,
    }


def undone_events(story: Story) -> frozenset[int]:
    """The sequences of events that an undoing has taken back."""
    if all(row.kind != _UNDOING for row in story.events):
        return frozenset()
    counts: Iterable[bool] = standing([decode_event(row.kind, row.body) for row in story.events], ())
    return frozenset(row.sequence for row, holds in zip(story.events, counts, strict=True) if not holds)
