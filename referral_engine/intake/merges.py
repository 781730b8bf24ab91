"""A merge, a link or a new number in, which records are one person from now on out: one reading for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.hl7.message import groups
from referral_engine.hl7.segment import Segment
from referral_engine.intake.patients import read_ids, read_patient, read_patient_ids
from referral_engine.intake.reading import Identities, IdentityChange, Reading, joined, nothing
from referral_engine.intake.received import Received
from referral_engine.loop.events import PatientsMerged
from referral_engine.loop.evidence import About, Evidence
from referral_engine.loop.referral import Patient, PatientId

PAIRS_MAX: Final = 200  # pairs of one message; a nightly run that sends more sends several messages

# What a trigger says of two records. Source: HL7 v2.5.1 3.3.18 (A18) to 3.3.47 (A47).
CHANGES: Final[dict[str, IdentityChange]] = {
    "A18": "merge",
    "A30": "merge",  # persons; withdrawn, and still sent
    "A34": "merge",
    "A36": "merge",  # with the account, which is left alone
    "A39": "merge",  # persons, by PID-2 and MRG-4 where PID-3 and MRG-1 are empty
    "A40": "merge",
    "A24": "link",
    "A37": "unlink",
    "A43": "move",
    "A46": "rename",  # PID-2 and MRG-4
    "A47": "rename",
}
_LINKS: Final = frozenset(("link", "unlink"))
_PRIOR: Final = (1, 4)  # MRG-1, and MRG-4 which old senders fill beside PID-2

_NOTES: Final[dict[IdentityChange, str]] = {
    "merge": "",
    "rename": "",
    "link": "two records are linked: each stays what it is",
    "unlink": "two records are no longer linked",
    "move": "numbers are moved from one patient to another: two patients, not one",
}


def read_identities(received: Received, trigger: str) -> tuple[Reading, ...]:
    """What an A18, A24, A30, A34, A36, A37, A39, A40, A43, A46 or A47 says.

    Raises MessageFault 101 when a pair lacks the number that stays or the one that goes, and for a link of fewer than
    two patients; 102 for more than PAIRS_MAX pairs.
    """
    if received.party.kind != "ehr":
        return (nothing("merges are taken from the ordering side only"),)
    change = CHANGES[trigger]
    return _linked(received, change) if change in _LINKS else _retired(received, change)


def _retired(received: Received, change: IdentityChange) -> tuple[Reading, ...]:
    """One reading for each PID with the MRG segments that follow it; PID-3 stays, MRG-1 goes."""
    message = received.message
    pids, merges = message.all("PID"), message.all("MRG")
    if len(pids) > PAIRS_MAX:
        raise MessageFault("102", "PID", "more pairs of records in one message than are looked at")
    if len(pids) < 2:
        return (_pair(received, change, pids[0] if pids else None, merges),)
    return tuple(
        _pair(received, change, group[0], [segment for segment in group if segment.name == "MRG"])
        for group in groups(message, "PID")
    )


def _pair(received: Received, change: IdentityChange, pid: Segment | None, merges: Sequence[Segment]) -> Reading:
    """The record that stays and those that go."""
    prior = [read_ids(received, merge, field) for merge in merges[:PAIRS_MAX] for field in _PRIOR]
    retired = tuple(dict.fromkeys(known for one in prior for known in one))
    if not retired:
        raise MessageFault("101", "MRG-1", "a merge that does not say which number is retired")
    survivor = Patient() if pid is None else read_patient(received, pid)
    if not survivor.ids:
        raise MessageFault("101", "PID-3", "a merge that does not say which number survives")
    gone = tuple(known for known in retired if known not in survivor.ids)
    if not gone:
        return nothing("the merge retires the number that survives it")
    return _reading(received, change, survivor, gone)


def _linked(received: Received, change: IdentityChange) -> tuple[Reading, ...]:
    """The first PID with each of the others: both records go on, and are one person, or no longer."""
    pids = received.message.all("PID")
    if len(pids) > PAIRS_MAX:
        raise MessageFault("102", "PID", "more pairs of records in one message than are looked at")
    if len(pids) < 2:
        raise MessageFault("101", "PID", "a link that does not name two patients")
    survivor = read_patient(received, pids[0])
    if not survivor.ids:
        raise MessageFault("101", "PID-3", "a link that does not say which record it begins at")
    found = []
    for pid in pids[1:]:
        ids = read_patient_ids(received, pid)
        if not ids:
            raise MessageFault("101", "PID-3", "a link that does not say which record it leads to")
        other = tuple(known for known in ids if known not in survivor.ids)
        found.append(
            _reading(received, change, survivor, other) if other else nothing("the link leads to where it begins")
        )
    return tuple(found)


def _reading(received: Received, change: IdentityChange, survivor: Patient, others: tuple[PatientId, ...]) -> Reading:
    """One pair: what is known of both, and the event where the two are one person from now on.

    Numbers without an authority could be anybody's: they stay in evidence and event, and make no edge.
    A link's event brings the numbers only: the demographics are those of the other record as much as of this.
    """
    known = tuple(one for one in survivor.ids if one.authority)
    followed = tuple(one for one in others if one.authority)
    if not known or not followed:
        return nothing("numbers without an authority: nobody's records could be told by them")
    one_person = change in ("merge", "rename", "link")
    patient = replace(survivor, ids=(*survivor.ids, *others)) if one_person else survivor
    told = Patient(ids=patient.ids) if change == "link" else patient
    return Reading(
        about=About.PATIENT,
        evidence=Evidence(about=About.PATIENT, patient=patient, fields=("patient PID-3",)),
        events=(PatientsMerged(**received.stamp, patient=told),) if one_person else (),
        retired=others if one_person else (),
        identities=Identities(change=change, survivor=known, retired=followed),
        note=joined(_NOTES[change]),
    )
