"""Orders that repeat an open referral: what the ordering side says of one of the two is not said of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from referral_engine.base.values import replace
from referral_engine.flow.matching import aliases_of
from referral_engine.flow.turn import Turn
from referral_engine.journal.rows import BindingKind
from referral_engine.loop.effects import OpenTask, TaskKind
from referral_engine.loop.events import CancelRequested, Event, OrderChanged
from referral_engine.loop.evidence import About, Evidence
from referral_engine.loop.likeness import corroborates
from referral_engine.loop.referral import Referral

CANCELLED: Final = "a duplicate is cancelled: the first order stands"
_CHANGED: Final = "a duplicate is changed: the first order stands as it was sent"
_PARTED: Final = "its order was linked to referral {} by a merge that was undone: say new"


def meant(turn: Turn, evidence: Evidence, events: Sequence[Event], first: Referral) -> Referral | None:
    """The duplicate of `first` whose order alone is cancelled or changed; None when the first is meant.

    Evidence under a duplicate's number is the first one's; the ordering side's word on an order is that order's.
    """
    if evidence.about is not About.ORDER or not any(
        isinstance(event, CancelRequested | OrderChanged) for event in events
    ):
        return None
    placer = evidence.placer
    found = [turn.unit.referral(one) for one in turn.unit.bound(BindingKind.PLACER, placer.value, placer.authority)]
    if any(known is not None and known.id == first.id for known in found):
        return None
    return next((known for known in found if known is not None and known.duplicate_of == first.id), None)


def told(turn: Turn, events: Sequence[Event], first: Referral) -> str:
    """What a word on a duplicate comes to: a cancel to nothing, a change to a question for a person."""
    if not any(isinstance(event, OrderChanged) for event in events):
        return CANCELLED
    turn.open_task(OpenTask(kind=TaskKind.ANOMALY, reason=_CHANGED), referral=first.id, channel=first.channel)
    return _CHANGED


def ask_about(turn: Turn, first: Referral) -> None:
    """The first order is to be cancelled: somebody says whether those that repeat it are meant too."""
    standing = [
        one.id
        for one in of_first(turn, first)
        if not any(row.reason == CANCELLED and not row.undone_at for row in turn.unit.decisions_of(one.id))
    ]
    if standing:
        named = ", ".join(sorted(standing))
        reason = (
            f"the order is cancelled, and one that repeats it is not (referrals: {named}): is the visit still wanted?"
        )
        task = OpenTask(kind=TaskKind.ANOMALY, reason=reason)
        turn.open_task(task, referral=first.id, channel=first.channel)


def of_first(turn: Turn, first: Referral) -> list[Referral]:
    """The referrals that were ended because they repeat this one."""
    identities: dict[str, None] = {}
    for known in (*first.patient.ids, *aliases_of(turn, first.patient)):
        if known.authority:
            identities |= dict.fromkeys(turn.unit.patients(known.value, known.authority))
    found = [referral for referral in map(turn.unit.referral, identities) if referral is not None]
    return [referral for referral in found if referral.duplicate_of == first.id]


def part(turn: Turn, referrals: Sequence[Referral]) -> None:
    """Among referrals of numbers that are two patients' again: an order that was linked to the other's was never sent.

    Its number leads to the other's referral no more, and a person sends it.
    """
    for stored in referrals:
        duplicate = turn.unit.referral(stored.id)
        first = turn.unit.referral(duplicate.duplicate_of) if duplicate is not None and duplicate.duplicate_of else None
        if duplicate is None or first is None:
            continue
        merged = aliases_of(turn, duplicate.patient)
        known_as = replace(duplicate.patient, ids=(*duplicate.patient.ids, *merged)) if merged else duplicate.patient
        if corroborates(known_as, first.patient):
            continue
        turn.unit.unbind(BindingKind.PLACER, duplicate.order.placer, duplicate.id)
        reason = f"urgent: {_PARTED.format(first.id)}"
        task = OpenTask(kind=TaskKind.MATCH_REVIEW, reason=reason, urgent=True)
        turn.open_task(task, channel=duplicate.channel, message=duplicate.order.message)
