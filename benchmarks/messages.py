"""Made-up messages of 1.5 KB: a number in, the bytes of an order, a booking, a note or a stranger's message out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

MESSAGE_BYTES: Final = 1500  # what an average order weighs; every message is filled up to it
VISIT_AFTER: Final = timedelta(days=7)

_NOTE: Final = "NTE|1|P|Made-up text about nobody; it gives the message its everyday weight and number of lines.\r"
_REFERRER: Final = "1440000010^Referrer^Rosa^^^^MD^^NPI^L^^^NPI"
_FAMILIES: Final = ("Example", "Specimen", "Notional", "Madeup", "Imaginary", "Mockford", "Sample", "Pretend")
_GIVENS: Final = ("Amelia", "Bruno", "Clara", "David", "Edith", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Klara")


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """A specialist of the shipped channels, as messages name it."""

    name: str
    code: str  # OBR-4
    npi: str  # OBR-28.1
    sender: str  # MSH-3 and MSH-4 of what it says
    application: str
    note: str  # how its letter comes: "MDM^T02", "ORU^R01"
    books: bool = True  # it sends SIU
    insurance: str = "PPO"  # IN1-15
    authorization: str = ""  # IN1-14: lets a held order go


HEART: Final = Office(
    name="Heart Group of Springfield", code="REFCARD^Referral to cardiology^99SPR", npi="1234567893",
    sender="CENTRICITY|HEARTGRP", application="CENTRICITY", note="MDM^T02",
)  # fmt: skip
HEART_HMO: Final = Office(
    name="Heart Group of Springfield", code="REFCARD^Referral to cardiology^99SPR", npi="1234567893",
    sender="CENTRICITY|HEARTGRP", application="CENTRICITY", note="MDM^T02", insurance="HMO",
)  # fmt: skip
NORTHSIDE: Final = Office(
    name="Northside Imaging", code="REFMRIKNEE^MRI of the knee, referral^99SPR", npi="1666666668",
    sender="RIS|NORTHSIDE", application="RIS", note="ORU^R01", authorization="AUTH7001",
)  # fmt: skip
LAKESIDE: Final = Office(
    name="Lakeside Orthopaedics", code="REFORTHKNEE^Referral to orthopaedics, knee^99SPR", npi="1987654328",
    sender="SCANNER|SPRINGFIELD", application="SCANNER", note="MDM^T02", books=False,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One made-up referral: everything in its messages follows from the number."""

    number: int
    office: Office
    ordered_at: datetime

    @property
    def placer(self) -> str:
        """ORC-2."""
        return f"P{self.number}^EHR"


Made = tuple[bytes, bytes]  # MSH-10 and the message, unframed


def order(case: Case) -> Made:
    """ORM^O01 NW."""
    at, office = _time(case.ordered_at), case.office
    plan = office.insurance
    return _made(f"O{case.number}", [
        _msh("EHR|SPRINGFIELD", at, "ORM^O01^ORM_O01", f"O{case.number}"),
        _pid(case.number),
        f"PD1||||{_REFERRER}",
        "CON|1|SMS^Text messages^99SPR|||||||||A^Active^HL70498||20260105|20260105",
        f"PV1|1|O|SPC^^^SPRINGFIELD||||{_REFERRER}",
        (f"IN1|1|{plan}100^Sample Preferred|61001^^^SPRINGFIELD^XX|Sample Health Insurance||||G{case.number}||||"
        f"20260101|20271231|{office.authorization}|{plan}|Example^Amelia|SEL^Self^HL70063"),
        f"ORC|NW|{case.placer}|||||||{at}|||{_REFERRER}||^WPN^PH^^1^217^5550100|{at}||||||Springfield Primary Care",
        "TQ1|1||||||||R^Routine^HL70485",
        (f"OBR|1|{case.placer}||{office.code}|||||||||Made-up reason for the referral.|||{_REFERRER}||||||||||||"
        f"{office.npi}^{office.name}^^^^^^^NPI^L^^^NPI"),
        "DG1|1||I48.91^Unspecified atrial fibrillation^I10|||W",
    ])  # fmt: skip


def change_order(case: Case, control: str, at: datetime) -> Made:
    """ORM^O01 with another ORC-1: CA, or CR from the office."""
    when = _time(at)
    sender = "EHR|SPRINGFIELD" if control == "CA" else case.office.sender
    identity = f"{control}{case.number}"
    return _made(identity, [
        _msh(sender, when, "ORM^O01^ORM_O01", identity),
        _pid(case.number),
        f"ORC|{control}|{case.placer}|||||||{when}|||{_REFERRER}",
        f"OBR|1|{case.placer}||{case.office.code}||||||||||||{_REFERRER}||||||||||||{case.office.npi}",
    ])  # fmt: skip


def booking(case: Case, *, trigger: str = "S12", state: str = "Booked", at: datetime, starts_at: datetime) -> Made:
    """SIU^S12 and its like, about the same appointment."""
    when, starts = _time(at), _time(starts_at)
    ends, office = _time(starts_at + timedelta(minutes=30)), case.office
    identity = f"{trigger}{case.number}"
    return _made(identity, [
        _msh(office.sender, when, f"SIU^{trigger}^SIU_S12", identity),
        (f"SCH||A{case.number}^{office.application}|||||REFERRAL^New patient, referred^99HG|Normal^Routine^HL70277|||"
        f"^^30^{starts}^{ends}|||||{office.npi}^Front^Desk^^NPI^L^^^NPI||||sched^Scheduler^Sample|||||"
        f"{state}^{state}^HL70278|{case.placer}"),
        f"TQ1|1||||||{starts}|{ends}",
        _pid(case.number),
        "PV1|1|O|HG2^^^HEARTGRP",
        "RGS|1|A",
        f"AIS|1|A|{office.code}|{starts}|||30|min^minute^UCUM",
        f"AIP|1|A|{office.npi}^{office.name}^^^^^^^NPI^L^^^NPI|||{starts}",
    ])  # fmt: skip


def note(case: Case, *, at: datetime) -> Made:
    """The finished consult note, as the office sends it; the fax office's letter comes from the scanner."""
    when, office = _time(at), case.office
    identity = f"N{case.number}"
    author = "1550000016^Consultant^Cora^^^^MD^^NPI^L^^^NPI"
    lines = [_msh(office.sender, when, f"{office.note}^{office.note.replace('^', '_')}", identity)]
    if office.note == "MDM^T02":
        lines += [
            f"EVN|T02|{when}",
            _pid(case.number),
            "PV1|1|O|HG2^^^HEARTGRP",
            f"ORC|RE|{case.placer}||||||||||{_REFERRER}",
            f"OBR|1|{case.placer}||{office.code}||||||||||||{_REFERRER}",
            (
                f"TXA|1|CN^Consultation^HL70270|TX|{when}|{author}|{when}|{when}||{author}|||D{case.number}"
                f"^{office.application}||{case.placer}|||AU|R|AV|||{author}^^^{when}"
            ),
        ]
    else:
        lines += [
            _pid(case.number),
            "PV1|1|O|MR1^^^NORTHSIDE",
            f"ORC|RE|{case.placer}|X{case.number}^{office.application}||CM|||||||{_REFERRER}",
            (
                f"OBR|1|{case.placer}|X{case.number}^{office.application}|{office.code}|||{when}|||||||||{_REFERRER}"
                f"||||||{when}|||F|||||||1550000032&Reader&Rita&&&&MD"
            ),
        ]
    return _made(identity, [*lines, f"OBX|1|TX|11488-4^Consult note^LN|1|FINDINGS: made up.||||||F|||{when}"])


def registration(number: int, at: datetime) -> Made:
    """ADT^A08 about a patient nobody referred."""
    when, identity = _time(at), f"R{number}"
    return _made(identity, [
        _msh("EHR|SPRINGFIELD", when, "ADT^A08^ADT_A01", identity),
        f"EVN|A08|{when}",
        _pid(number),
        f"PV1|1|O|SPC^^^SPRINGFIELD||||{_REFERRER}",
    ])  # fmt: skip


def laboratory(number: int, at: datetime) -> Made:
    """ORU^R01 with blood counts of a patient nobody referred, sent by the EHR."""
    when, identity = _time(at), f"L{number}"
    return _made(identity, [
        _msh("EHR|SPRINGFIELD", when, "ORU^R01^ORU_R01", identity),
        _pid(number),
        f"ORC|RE|L{number}^EHR|LF{number}^LAB||CM|||||||{_REFERRER}",
        f"OBR|1|L{number}^EHR|LF{number}^LAB|58410-2^CBC panel^LN|||{when}|||||||||{_REFERRER}||||||{when}|||F",
        f"OBX|1|NM|718-7^Hemoglobin^LN||13.9|g/dL^gram per deciliter^UCUM|||||F|||{when}",
        f"OBX|2|NM|6690-2^Leukocytes^LN||6.1|10*3/uL^thousands^UCUM|||||F|||{when}",
    ])  # fmt: skip


def strange_booking(number: int, at: datetime) -> Made:
    """SIU^S12 of the cardiology office about a patient nobody referred."""
    case = Case(number=number, office=HEART, ordered_at=at)
    return booking(case, at=at, starts_at=at + VISIT_AFTER)


STRANGERS: Final[tuple[Callable[[int, datetime], Made], ...]] = (
    *(registration,) * 9, *(laboratory,) * 8, *(strange_booking,) * 2,
)  # fmt: skip
OFFICES: Final = (*(HEART,) * 12, *(NORTHSIDE,) * 5, *(LAKESIDE,) * 3)


def _msh(sender: str, at: str, kind: str, identity: str) -> str:
    return f"MSH|^~\\&|{sender}|REFERRAL_ENGINE|SPRINGFIELD|{at}||{kind}|{identity}|P|2.5.1|||||USA|UNICODE UTF-8"


def _pid(number: int) -> str:
    family = _FAMILIES[number % len(_FAMILIES)]
    given = _GIVENS[number // 8 % len(_GIVENS)]
    born = f"{1930 + number % 80}{1 + number % 12:02}{1 + number % 28:02}"
    return (
        f"PID|1||M{number}^^^SPRINGFIELD^MR||{family}^{given}^^^^^L||{born}|{'FM'[number % 2]}|||"
        f"{1 + number % 999} Sample Street^^Springfield^IL^62701^USA^H||^PRN^CP^^1^217^5550111||en^English^HL70296|||"
        f"V{number}^^^SPRINGFIELD^VN"
    )


def _time(instant: datetime) -> str:
    return instant.strftime("%Y%m%d%H%M%S+0000")


def _made(identity: str, lines: list[str]) -> Made:
    """Join the lines and fill up with notes, a line of text each."""
    text = "\r".join([*lines, ""])
    missing = MESSAGE_BYTES - len(text)
    whole, rest = divmod(missing, len(_NOTE))
    if missing > 0:
        text += _NOTE * whole + (_NOTE[: rest - 1] + "\r" if rest > 8 else "")
    return identity.encode(), text.encode()
