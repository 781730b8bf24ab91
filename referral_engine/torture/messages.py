"""Made-up messages: a number goes in, an order, a booking, a consult note or a stranger's message comes out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

VISIT_AFTER: Final = timedelta(days=7)

_REFERRER: Final = "1440000010^Referrer^Rosa^^^^MD^^NPI^L^^^NPI"
_CONSULTANT: Final = "1550000016^Consultant^Cora^^^^MD^^NPI^L^^^NPI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """One made-up specialist: how orders name it, and how its own messages do."""

    lane: str  # the channel's name
    code: str  # OBR-4
    npi: str  # OBR-28.1
    sender: str  # MSH-3 and MSH-4 of what it sends
    books: bool  # whether it sends SIU and MDM


HEART: Final = Office(
    lane="heart",
    code="REFCARD^Referral to cardiology^99SPR",
    npi="1234567893",
    sender="CENTRICITY|HEARTGRP",
    books=True,
)
IMAGING: Final = Office(
    lane="imaging", code="REFMRI^Referral to imaging^99SPR", npi="1666666668", sender="RIS|NORTHSIDE", books=True
)
LAKESIDE: Final = Office(
    lane="lakeside", code="REFORTH^Referral to orthopaedics^99SPR", npi="1987654328", sender="", books=False
)
OFFICES: Final = (HEART, HEART, IMAGING, LAKESIDE)


def office_of(number: int) -> Office:
    """Where the referral of this number goes."""
    return OFFICES[number % len(OFFICES)]


def placer_of(number: int) -> str:
    """ORC-2.1 of the order of this number."""
    return f"P{number}"


def order(number: int, at: datetime) -> bytes:
    """ORM^O01 NW: a new referral."""
    when, office = _time(at), office_of(number)
    placer = f"{placer_of(number)}^EHR"
    consent = ["CON|1|SMS^Text messages^99SPR|||||||||A^Active^HL70498||20260105|20260105"] if number % 3 == 0 else []
    return _joined([
        _msh("EHR|SPRINGFIELD", when, "ORM^O01^ORM_O01", f"O{number}"),
        _pid(number),
        *consent,
        f"PV1|1|O|SPC^^^SPRINGFIELD||||{_REFERRER}",
        f"ORC|NW|{placer}|||||||{when}|||{_REFERRER}||^WPN^PH^^1^217^5550100|{when}||||||Springfield Primary Care",
        "TQ1|1||||||||R^Routine^HL70485",
        (
            f"OBR|1|{placer}||{office.code}|||||||||Made-up reason for the referral.|||{_REFERRER}||||||||||||"
            f"{office.npi}^Made-up office^^^^^^^NPI^L^^^NPI"
        ),
        "DG1|1||I48.91^Unspecified atrial fibrillation^I10|||W",
    ])  # fmt: skip


def booking(number: int, at: datetime) -> bytes:
    """SIU^S12: the specialist gave the patient of that order a time."""
    when, office = _time(at), office_of(number)
    starts, ends = _time(at + VISIT_AFTER), _time(at + VISIT_AFTER + timedelta(minutes=30))
    application = office.sender.split("|", 1)[0]
    return _joined([
        _msh(office.sender, when, "SIU^S12^SIU_S12", f"B{number}"),
        (
            f"SCH||A{number}^{application}|||||REFERRAL^New patient, referred^99HG|Normal^Routine^HL70277|||"
            f"^^30^{starts}^{ends}|||||{office.npi}^Front^Desk^^NPI^L^^^NPI||||sched^Scheduler^Sample|||||"
            f"Booked^Booked^HL70278|{placer_of(number)}^EHR"
        ),
        f"TQ1|1||||||{starts}|{ends}",
        _pid(number),
        "PV1|1|O|HG2^^^HEARTGRP",
        "RGS|1|A",
        f"AIS|1|A|{office.code}|{starts}|||30|min^minute^UCUM",
    ])  # fmt: skip


def note(number: int, at: datetime) -> bytes:
    """MDM^T02: the finished consult note of that order."""
    when, office = _time(at), office_of(number)
    application, placer = office.sender.split("|", 1)[0], f"{placer_of(number)}^EHR"
    return _joined([
        _msh(office.sender, when, "MDM^T02^MDM_T02", f"N{number}"),
        f"EVN|T02|{when}",
        _pid(number),
        "PV1|1|O|HG2^^^HEARTGRP",
        f"ORC|RE|{placer}||||||||||{_REFERRER}",
        f"OBR|1|{placer}||{office.code}||||||||||||{_REFERRER}",
        (
            f"TXA|1|CN^Consultation^HL70270|TX|{when}|{_CONSULTANT}|{when}|{when}||{_CONSULTANT}|||D{number}"
            f"^{application}||{placer}|||AU|R|AV|||{_CONSULTANT}^^^{when}"
        ),
        f"OBX|1|TX|11488-4^Consult note^LN|1|FINDINGS: made up.||||||F|||{when}",
    ])  # fmt: skip


def registration(number: int, at: datetime) -> bytes:
    """ADT^A08 about a patient nobody referred."""
    when = _time(at)
    return _joined([
        _msh("EHR|SPRINGFIELD", when, "ADT^A08^ADT_A01", f"R{number}"),
        f"EVN|A08|{when}",
        _pid(900_000_000 + number),
        f"PV1|1|O|SPC^^^SPRINGFIELD||||{_REFERRER}",
        *(f"NTE|{line}|P|Made-up text about nobody." for line in range(1, 1 + number % 40)),
    ])  # fmt: skip


def _msh(sender: str, at: str, kind: str, identity: str) -> str:
    return f"MSH|^~\\&|{sender}|REFERRAL_ENGINE|SPRINGFIELD|{at}||{kind}|{identity}|P|2.5.1|||||USA|UNICODE UTF-8"


def _pid(number: int) -> str:
    born = f"{1930 + number % 80}{1 + number % 12:02}{1 + number % 28:02}"
    return (
        f"PID|1||M{number}^^^SPRINGFIELD^MR||Torture{number}^Tess^^^^^L||{born}|{'FM'[number % 2]}|||"
        f"{1 + number % 999} Sample Street^^Springfield^IL^62701^USA^H||^PRN^CP^^1^217^5550111||en^English^HL70296"
    )


def _time(instant: datetime) -> str:
    return instant.strftime("%Y%m%d%H%M%S+0000")


def _joined(lines: list[str]) -> bytes:
    return "\r".join([*lines, ""]).encode()
