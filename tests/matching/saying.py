"""Ann and her twin, and what the ordering side, an office and a coordinator say of them."""

from __future__ import annotations

from dataclasses import replace

from referral_engine.flow.inputs import EvidenceUnbound, Receipt, ReviewDecided
from referral_engine.flow.rehearsal import Rehearsal
from tests.flow.stage import engine, story, tasks
from tests.matching.making import HEART, Person, lines, msh

ANN = Person(mrn="700501", family="Example", given="Ann", born_on="20100305", sex="F")
EVA = replace(ANN, mrn="700502", given="Eva")  # her twin


def said(kind: str, number: str, *segments: str, by: str = "CENTRICITY|HEARTGRP") -> bytes:
    """A message of an office, or of the ordering side."""
    return lines(msh(by, kind, number), *segments)


def order(
    person: Person, placer: str, *, control: str = "NW", office: tuple[str, str, str] = HEART, ids: str = ""
) -> bytes:
    """An order message of the ordering side."""
    _, code, npi = office
    return said(
        "ORM^O01^ORM_O01",
        f"O{control}{placer}",
        with_ids(person, ids),
        "IN1|1|PPO100^Sample Preferred|61001|Sample Health Insurance||||G1||||20260101|20271231|A1|PPO",
        f"ORC|{control}|{placer}^EHR|||||||20260302090000-0600",
        f"OBR|1|{placer}^EHR||{code}||||||||||||||||||||||||{npi}^Office^^^^^^^NPI^L^^^NPI",
        by="EHR|SPRINGFIELD",
    )


def with_ids(person: Person, ids: str) -> str:
    """The PID of a person, with other numbers in PID-3."""
    fields = person.pid.split("|")
    fields[3] = ids or fields[3]
    return "|".join(fields)


def booking(person: Person, number: str, *, placer: str = "", trigger: str = "S12", appointment: str = "A-1",
            filler: str = "", visit: str = "", ids: str = "") -> bytes:  # fmt: skip
    """An appointment message of the heart group."""
    ordered = f"{placer}^EHR" if placer else ""
    filled = f"{filler}^CENTRICITY" if filler else ""
    return said(
        f"SIU^{trigger}^SIU_S12",
        number,
        f"SCH||{appointment}^CENTRICITY|||||||||^^30^20260310103000-0500^20260310110000-0500|||||||||||||||{ordered}|{filled}",
        with_ids(person, ids),
        f"PV1|1|O|HG2||||||||||||||||{visit}" if visit else "PV1|1|O|HG2",
        "AIP|1|A|1234567893^Office^^^^^^^NPI^L^^^NPI|||20260310103000-0500",
    )


def note(person: Person, number: str, *, placer: str = "", document: str = "D-1", filler: str = "", visit: str = "",
         trigger: str = "T02", ids: str = "", words: str = "Made-up findings.", status: str = "F",
         by: str = "CENTRICITY|HEARTGRP") -> bytes:  # fmt: skip
    """A document message."""
    ordered = "~".join(f"{one}^EHR" for one in placer.split()) if placer else ""
    filled = f"{filler}^CENTRICITY" if filler else ""
    return said(
        f"MDM^{trigger}^MDM_T02",
        number,
        with_ids(person, ids),
        f"PV1|1|O|HG2||||||||||||||||{visit}" if visit else "PV1|1|O|HG2",
        f"TXA|1|CN|TX|20260310103000-0500|1234567893^Consultant^Cora^^^^MD^^NPI^L^^^NPI|20260310164000-0500||||||{document}^CENTRICITY||{ordered}|{filled}||AU",
        f"OBX|1|TX|11488-4^Consult note^LN|1|{words}||||||{status}",
        by=by,
    )


def adt(trigger: str, number: str, *segments: str, by: str = "EHR|SPRINGFIELD") -> bytes:
    """An admission message."""
    return said(f"ADT^{trigger}^ADT_A01", number, f"EVN|{trigger}|20260302090000-0600", *segments, by=by)


def merge(survivor: Person, retired: str, number: str, trigger: str = "A40") -> bytes:
    """One record is retired into another."""
    return adt(trigger, number, survivor.pid, f"MRG|{retired}^^^SPRINGFIELD^MR")


def undone(stage: Rehearsal, receipt: Receipt, referral: str = "") -> Receipt:
    """A coordinator takes a message off."""
    return stage.put(EvidenceUnbound(message=receipt.sequence, by="jane", reason="not hers", referral=referral))


def review(stage: Rehearsal, message: int, decision: str = "bind", **words: object) -> Receipt:
    """A coordinator decides the review of a message."""
    (task,) = [one for one in tasks(stage, "match-review") if one.message == message]
    told = {"task": task.id, "decision": decision, "by": "jane", "reason": "charts"} | words
    return stage.put(ReviewDecided(**told))  # type: ignore[arg-type]  # fields of ReviewDecided


def two_orders() -> Rehearsal:
    """Ann has two open referrals at one office."""
    stage = engine("2026-02-02 09:00")
    stage.receive(order(ANN, "P-1").replace(b"20260302", b"20260102"))
    other = (HEART[0], "REFEP^Referral to electrophysiology^99SPR", HEART[2])
    stage.receive(order(ANN, "P-2", office=other).replace(b"20260302", b"20260202"))
    assert story(stage, "P-2").referral.duplicate_of == ""
    return stage


def replaced(person: Person, old: str, new: str, number: str) -> bytes:
    """An order message in which one order stands for another."""
    return lines(
        *order(person, old, control="RP").decode().split("\r")[:-1],
        *order(person, new, control="RO").decode().split("\r")[3:-1],
    ).replace(b"ORP" + old.encode(), number.encode())
