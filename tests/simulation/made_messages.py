"""Made-up messages of made-up people: a number in, bytes out; every patient's value is a canary that no log may show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

FAMILY: Final = "Zzcanary"  # of everybody; what no log line, error or file name may hold
NOTE: Final = "Zzsecret finding"
REFERRER: Final = "1440000010^Referrer^Rosa^^^^MD^^NPI^L^^^NPI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinic:
    """A specialist of the shipped channels, as messages name it."""

    channel: str
    code: str  # OBR-4
    npi: str  # OBR-28.1
    sender: str  # MSH-3 and MSH-4


HEART: Final = Clinic(channel="cardiology-heart-group", code="REFCARD", npi="1234567893", sender="CENTRICITY|HEARTGRP")
IMAGING: Final = Clinic(channel="imaging-northside", code="REFMRIKNEE", npi="1666666668", sender="RIS|NORTHSIDE")
FAX: Final = Clinic(channel="orthopaedics-lakeside", code="REFORTHKNEE", npi="1987654328", sender="SCANNER|SPRINGFIELD")
CLINICS: Final = (HEART, HEART, IMAGING, FAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One made-up referral: everything in its messages follows from the number."""

    number: int
    clinic: Clinic
    patient: int
    insurance: str = "PPO"
    urgent: bool = False


class Pen:
    """Writes messages; each has an id of its own."""

    def __init__(self) -> None:
        self._ids = iter(range(1, 1_000_000))

    def order(self, visit: Visit, at: datetime, control: str = "NW", authorization: str = "") -> bytes:
        """ORM^O01 from the EHR: NW, XO, CA."""
        placer, plan = f"P{visit.number}^EHR", visit.insurance
        return self._made("EHR|SPRINGFIELD", "ORM^O01^ORM_O01", at, visit.patient, (
            f"IN1|1|{plan}100^Sample|61001^^^SPRINGFIELD^XX|Sample Insurance||||G1||||20260101|20271231|{authorization}|{plan}",
            f"ORC|{control}|{placer}|||||||{_time(at)}|||{REFERRER}",
            f"TQ1|1||||||||{'S^Stat' if visit.urgent else 'R^Routine'}^HL70485",
            (f"OBR|1|{placer}||{visit.clinic.code}^Referral^99SPR|||||||||Made-up reason|||{REFERRER}||||||||||||"
            f"{visit.clinic.npi}^Clinic^^^^^^^NPI^L^^^NPI"),
            "DG1|1||I48.91^Unspecified^I10|||W",
        ))  # fmt: skip

    def answer(self, visit: Visit, at: datetime, control: str) -> bytes:
        """ORM^O01 from the clinic: OK, UA, CR."""
        placer = f"P{visit.number}^EHR"
        return self._made(visit.clinic.sender, "ORM^O01^ORM_O01", at, visit.patient, (
            f"ORC|{control}|{placer}|||||||{_time(at)}",
            f"OBR|1|{placer}||{visit.clinic.code}",
        ))  # fmt: skip

    def booking(
        self, visit: Visit, at: datetime, starts: datetime, trigger: str = "S12", state: str = "Booked"
    ) -> bytes:
        """SIU of one appointment."""
        placer = f"P{visit.number}^EHR"
        application = visit.clinic.sender.split("|")[0]
        return self._made(visit.clinic.sender, f"SIU^{trigger}^SIU_S12", at, visit.patient, (
            f"TQ1|1||||||{_time(starts)}",
            f"AIS|1|A|{visit.clinic.code}|{_time(starts)}|||30|min^minute^UCUM",
        ), before=(
            (f"SCH||A{visit.number}^{application}|||||REFERRAL^New^99HG|Normal|||^^30^{_time(starts)}|||||"
            f"{visit.clinic.npi}^Desk||||sched^Scheduler|||||{state}^{state}^HL70278|{placer}"),
        ))  # fmt: skip

    def note(self, visit: Visit, at: datetime, trigger: str = "T02", state: str = "AU") -> bytes:
        """MDM with a consult note, or taking it back."""
        placer = f"P{visit.number}^EHR"
        application = visit.clinic.sender.split("|")[0]
        document = f"D{visit.number}^{application}"
        author = "1550000016^Consultant^Cora^^^^MD^^NPI^L^^^NPI"
        when = _time(at)
        return self._made(visit.clinic.sender, f"MDM^{trigger}^MDM_T02", at, visit.patient, (
            f"ORC|RE|{placer}",
            f"OBR|1|{placer}||{visit.clinic.code}",
            (f"TXA|1|CN^Consultation^HL70270|TX|{when}|{author}|{when}|{when}||{author}|||{document}||{placer}|||{state}|R|AV|||"
            f"{author}^^^{when}"),
            f"OBX|1|TX|11488-4^Consult note^LN|1|{NOTE}.||||||F|||{when}",
        ), before=(f"EVN|{trigger}|{when}",))  # fmt: skip

    def merge(self, visit: Visit, retired: int, at: datetime) -> bytes:
        """ADT^A40: the visit's patient survives, another number is retired."""
        return self._made(
            "EHR|SPRINGFIELD", "ADT^A40^ADT_A39", at, visit.patient, (f"MRG|M{retired}^^^SPRINGFIELD^MR",),
            before=(f"EVN|A40|{_time(at)}",),
        )  # fmt: skip

    def _made(
        self, sender: str, kind: str, at: datetime, patient: int, after: tuple[str, ...], before: tuple[str, ...] = ()
    ) -> bytes:
        identity = f"{sender.split('|')[1][:2]}{next(self._ids)}"
        return "\r".join((
            f"MSH|^~\\&|{sender}|REFERRAL_ENGINE|SPRINGFIELD|{_time(at)}||{kind}|{identity}|P|2.5.1|||||USA|UNICODE UTF-8",
            *before,
            (f"PID|1||M{patient}^^^SPRINGFIELD^MR||{FAMILY}{patient}^Ann||{1930 + patient % 80}0412|F|||1 Sample Street^^"
            "Springfield^IL^62701||^PRN^CP^^1^217^5550111||en^English^HL70296"),
            "CON|1|SMS^Text messages^99SPR|||||||||A^Active^HL70498||20260105|20260105" if "ORM" in kind else "PV1|1|O",
            *after,
            "",
        )).encode()  # fmt: skip


def canaries() -> Iterator[str]:
    """What no log line may hold."""
    yield from (FAMILY, NOTE, "5550111", "1 Sample Street")


def _time(instant: datetime) -> str:
    return instant.strftime("%Y%m%d%H%M%S+0000")
