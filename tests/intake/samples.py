"""Made-up messages and senders: every person, number and place here is invented."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from referral_engine.base.values import replace
from referral_engine.channels.channel import Channel, MllpTransport, Replies
from referral_engine.channels.feed import Feed
from referral_engine.channels.matcher import Condition, Matcher, OneOf, StartsWith
from referral_engine.channels.parties import Party
from referral_engine.hl7.message import Message
from referral_engine.intake.read import Reading, read
from referral_engine.loop.calendar import Calendar
from referral_engine.loop.policy import Policy

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
NPI = "1234567893"
OTHER_NPI = "1679576722"
CHICAGO = ZoneInfo("America/Chicago")


def matcher(**tests: str) -> Matcher:
    """OBR_4_1="REF" asks that OBR-4.1 starts with REF."""
    conditions = []
    for key, value in tests.items():
        segment, *numbers = key.split("_")
        conditions.append(Condition(path=f"{segment}-{'.'.join(numbers)}", test=StartsWith((value,))))
    return Matcher(conditions=tuple(conditions))


def consent_to(what: str) -> Matcher:
    return Matcher(
        conditions=(
            Condition(path="CON-2.1", test=OneOf((what,))),
            Condition(path="CON-11.1", test=OneOf(("A",))),
        )
    )


EHR_FEED = Feed(
    name="ehr",
    zone=CHICAGO,
    patient_authority="SPRINGFIELD",
    referral_when=matcher(OBR_4_1="REF"),
    specialties={"REF": "other", "REFCARD": "cardiology", "REFORTH": "orthopaedics"},
    sms_consent=consent_to("SMS"),
    portal=consent_to("PORTAL"),
)
EHR = Party(kind="ehr", name="ehr", feed=EHR_FEED)
SCANNER = Party(kind="scanner", name="scanner", feed=replace(EHR_FEED, name="scanner", party="scanner"))


def heart_group(final_when: Matcher | None = None) -> Party:
    channel = Channel(
        name="heart-group",
        title="Heart Group",
        npi=NPI,
        specialty="cardiology",
        match=matcher(OBR_4_1="REFCARD"),
        transport=MllpTransport(host="127.0.0.1", port=1),
        replies=Replies(applications=("CENT",), final_when=final_when),
        policy=Policy(calendar=Calendar(zone=CHICAGO)),
    )
    return Party(kind="specialist", name="heart-group", feed=channel.feed(), channel=channel)


SPECIALIST = heart_group()

PID = "PID|1||MRN1001^^^SPRINGFIELD^MR||ROE^JANE^Q||19800102|F"


def told(lines: str, party: Party = EHR, *, received_at: datetime = NOW, sequence: int = 7) -> Reading:
    """Read a message written one segment a line, which speaks of one thing."""
    (reading,) = all_told(lines, party, received_at=received_at, sequence=sequence)
    return reading


def all_told(lines: str, party: Party = EHR, *, received_at: datetime = NOW, sequence: int = 7) -> tuple[Reading, ...]:
    """Read a message written one segment a line, which may speak of several things."""
    return read(Message.parse(text(lines)), party, received_at=received_at, sequence=sequence)


def text(lines: str) -> bytes:
    return "\r".join(line.strip() for line in lines.strip().splitlines()).encode() + b"\r"


def header(kind: str, sent: str = "20260302085900-0600") -> str:
    return f"MSH|^~\\&|EHR|SPRINGFIELD|ENGINE|HUB|{sent}||{kind}|M1|P|2.5.1"


def segment(name: str, **fields: str) -> str:
    """SCH with f2="A1": the named fields, the others empty."""
    numbers = {int(key[1:]): value for key, value in fields.items()}
    return name + "".join("|" + numbers.get(at, "") for at in range(1, max(numbers, default=0) + 1))


def order(orc: dict[str, str] | None = None, obr: dict[str, str] | None = None, *more: str, pid: str = PID) -> str:
    """An ORM^O01: a new cardiology referral, with fields laid over it and segments behind it."""
    orc_fields = {"f1": "NW", "f2": "ORD77^EHR", "f9": "20260302085500", "f12": f"{NPI}^DOE^DAN"} | (orc or {})
    obr_fields = {"f1": "1", "f2": "ORD77^EHR", "f4": "REFCARD^Cardiology referral^L", "f28": NPI} | (obr or {})
    lines = [header("ORM^O01"), pid, segment("ORC", **orc_fields), segment("OBR", **obr_fields), *more]
    return "\n".join(lines)


def answer(control: str, status: str = "", *more: str) -> str:
    """An ORM^O01 as a specialist sends it back."""
    lines = [header("ORM^O01"), PID, segment("ORC", f1=control, f2="ORD77^EHR", f3="F1^CENT", f5=status), *more]
    return "\n".join(lines)


def siu(trigger: str, word: str = "", *more: str, start: str = "20260316090000", **sch: str) -> str:
    """A scheduling message about appointment A100."""
    fields = {"f1": "P1", "f2": "A100^CENT", "f11": f"^^^{start}", "f25": word, "f26": "ORD77^EHR"} | sch
    return "\n".join([header(f"SIU^{trigger}"), segment("SCH", **fields), PID, *more])


def oru(result: str = "F", *observed: str, obr: dict[str, str] | None = None) -> str:
    """A consult note of one OBX a status."""
    fields = {"f1": "1", "f2": "ORD77^EHR", "f3": "DOC9^CENT", "f4": "11488-4^Consult note^LN", "f7": "202603160910"}
    fields |= {"f25": result} | (obr or {})
    lines = [header("ORU^R01"), PID, segment("OBR", **fields)]
    lines += [segment("OBX", f1=str(at), f2="TX", f5="A line.", f11=code) for at, code in enumerate(observed, 1)]
    return "\n".join(lines)


def mdm(trigger: str, completion: str = "AU", *observed: str, **txa: str) -> str:
    """A document message with one OBX a status; one OBX-11 F when none is named, none for ("-",)."""
    fields = {
        "f1": "1",
        "f2": "CN",
        "f4": "202603160910",
        "f12": "DOC9^CENT",
        "f14": "ORD77^EHR",
        "f17": completion,
    } | txa
    lines = [header(f"MDM^{trigger}"), "EVN|" + trigger, PID, segment("TXA", **fields)]
    codes = () if observed == ("-",) else observed or ("F",)
    lines += [segment("OBX", f1=str(at), f2="TX", f5="A line.", f11=code) for at, code in enumerate(codes, 1)]
    return "\n".join(lines)
