"""The referral, the files and the messages that the tests of render are given; every patient is made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel, FaxTransport, MessageSettings, MllpTransport, PatientText
from referral_engine.channels.engine import EhrSettings, Engine, Identity, Outreach, Practice
from referral_engine.channels.feed import Feed
from referral_engine.channels.matcher import Matcher
from referral_engine.loop.calendar import Calendar
from referral_engine.loop.effects import Purpose, Recipient, Send
from referral_engine.loop.policy import Policy
from referral_engine.loop.referral import (
    Document,
    Finality,
    Identifier,
    Order,
    Patient,
    PatientId,
    Provider,
    Referral,
    Slot,
)
from referral_engine.render.render import Setting

AT = datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC)
VISIT = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)  # 10:30 in Chicago, after the spring change
CHICAGO = ZoneInfo("America/Chicago")
FAMILY, GIVEN, MRN = "Quimbleton", "Ottoline", "MRN77001"
NPI = "1234567893"

PATIENT = Patient(
    ids=(
        PatientId(value=Phi("S-9"), authority="CARDIO"),
        PatientId(value=Phi(MRN), authority="SPRINGFIELD"),
    ),
    family=Phi(FAMILY),
    given=Phi(GIVEN),
    born_on=Phi("19580412"),
    sex=Phi("F"),
    phone=Phi("+12175550147"),
    phone_is_mobile=True,
    language="EN",
    sms_consent=True,
)
ORDER = Order(
    placer=Identifier(value="ORD-1001", authority="EHR"),
    filler=Identifier(value="F-55", authority="1.2.840.99"),
    ordered_at=datetime(2026, 3, 1, 14, tzinfo=UTC),
    service_code="93000",
    service_text="Cardiology consult",
    specialty="cardiology",
    ordering_provider=Provider(number=NPI, family="Harker", given="Mina"),
    referred_to="1093817465",
    payer="BCBS",
    plan="PPO1",
    diagnosis="I48.91",
    message=11,
)
REFERRAL = Referral(
    id="RE-0042",
    channel="cardiology",
    patient=PATIENT,
    order=ORDER,
    slots=(
        Slot(
            number=1,
            starts_at=VISIT,
            booked_at=AT,
            appointment=Identifier(value="A-31", authority="CARDIO"),
        ),
    ),
    documents=(
        Document(document=Identifier(value="D-1", authority="CARDIO"), finality=Finality.FINAL, at=AT, message=21),
    ),
)
MLLP = MllpTransport(host="127.0.0.1", port=2600)
FAX = FaxTransport(gateway="faxserver", number="+12175550199")
CHANNEL = Channel(
    name="cardiology",
    title="Lakeside Cardiology",
    npi="1093817465",
    specialty="cardiology",
    match=Matcher(),
    transport=MLLP,
    message=MessageSettings(receiving_application="LAKESIDE", receiving_facility="CARDIO"),
    policy=Policy(calendar=Calendar(zone=CHICAGO)),
    patient=PatientText(address="12 Shore Rd, Suite 4", parking="Park in lot B."),
)
BOOK = Book(
    engine=Engine(
        identity=Identity(oid="1.2.840.114350.7"),
        practice=Practice(name="Springfield Clinic", phone="217-555-0100"),
        patients=Outreach(scheduling_link="https://book.example.org/s"),
        ehr=EhrSettings(),
    ),
    channels={"cardiology": CHANNEL},
    feeds={"ehr": Feed(name="ehr", patient_authority="SPRINGFIELD")},
)

ORM = (
    "MSH|^~\\&|EPIC|SPRINGFIELD|REFERRAL_ENGINE|REFERRALS|20260301080000-0600|SECRET|ORM^O01^ORM_O01|MSG00001|T|2.3"
    "|17||AL|NE|USA|8859/1\r"
    "PID|1||MRN77001^^^SPRINGFIELD^MR||Quimbleton^Ottoline^M||19580412|F|||9 Elm St^^Springfield^IL^62701||(217)555-0147\r"
    "PV1|1|O\r"
    "IN1|1|PPO1^Preferred PPO|BCBS|Blue Cross||||GRP7||||||||Quimbleton^Ottoline||||||||||||||||||||POL-88120\r"
    "ORC|NW|ORD-1001^EHR|||||^^^^^R||20260301080000|||1234567893^Harker^Mina\r"
    "OBR|1|ORD-1001^EHR||93000^Cardiology consult^L|||||||||Palpitations since May|||1234567893^Harker^Mina"
    "||||||||||||1093817465|||I48.91^Atrial fibrillation, café onset\r"
    "NTE|1||Patient prefers mornings.~Uses a walker.\r"
    "DG1|1||I48.91^Unspecified atrial fibrillation^I10|||W\r"
    "OBX|1|TX|8480-6^Blood pressure^LN||142/88||||||F\r"
    "ZPI|1|internal only\r"
).encode("latin-1")
ORU = (
    "MSH|^~\\&|LAKESIDE|CARDIO|REFERRAL_ENGINE|REFERRALS|20260311091500-0500||ORU^R01^ORU_R01|L77|P|2.5.1||||||8859/1\r"
    "PID|1||S-9^^^CARDIO^MR||Quimbleton^Ottoline||19580412|F\r"
    "ORC|RE|ORD-1001^EHR|F-55\r"
    "OBR|1|ORD-1001^EHR|D-1^CARDIO|11488-4^Consult note^LN|||20260310103000-0500|||||||||1234567893^Harker^Mina||||||20260311090000-0500|||F\r"
    "OBX|1|TX|11488-4^Consult note^LN||Café-au-lait \\T\\ palpitations; Müller sign negative.||||||F|||20260311090000-0500||987^Seward^John\r"
    "OBX|2|TX|11488-4^Consult note^LN||Plan: ablation.||||||F\r"
).encode("latin-1")
MDM = (
    "MSH|^~\\&|LAKESIDE|CARDIO|REFERRAL_ENGINE|REFERRALS|20260311091500-0500||MDM^T02|L78|P|2.4||||||UNICODE UTF-8\r"
    "EVN|T02|20260311091500\r"
    "PID|1||S-9^^^CARDIO^MR||Quimbleton^Ottoline\r"
    "PV1|1|O\r"
    "TXA|1|CN|TX|20260310103000||20260310110000|||987^Seward^John|||D-1^CARDIO||ORD-1001^EHR|||AU||AV\r"
    "OBX|1|TX|||Zażółć: no finding.\r"
    "OBX|2|ED|PDF^Scan^L||^application^pdf^Base64^JVBERi0xLjQK||||||F\r"
).encode()
REF = (
    b"MSH|^~\\&|EPIC|SPRINGFIELD|REFERRAL_ENGINE|REFERRALS|20260301080000-0600||REF^I12^REF_I12|MSG00001|P|2.5.1\r"
    b"RF1|P|R|MED|WR||ORD-1001^EHR|20260301080000-0600|||S^Second opinion|EX1^HUB\r"
    b"PRD|RP|Harker^Mina|||||1234567893^UPIN\r"
    b"PRD|RT|Lakeside Cardiology|||||1093817465^UPIN\r"
    b"PID|1||MRN77001^^^SPRINGFIELD^MR||Quimbleton^Ottoline^M||19580412|F\r"
    b"DG1|1||I48.91^Unspecified atrial fibrillation^I10|||W\r"
    b"OBR|1|||93000^Cardiology consult^L\r"
    b"PV1|1|O\r"
)


def setting(**changes: object) -> Setting:
    """The usual setting."""
    known: dict[str, object] = {"book": BOOK, "channel": CHANNEL, "at": AT, "wire_id": "RE0000004201", **changes}
    return Setting(**known)  # type: ignore[arg-type]  # a test names its fields


def to(recipient: Recipient, purpose: Purpose, about: str = "", message: int = 0) -> Send:
    """One effect."""
    return Send(to=recipient, purpose=purpose, about=about, message=message)


def by_fax(channel: Channel = CHANNEL, **changes: object) -> Channel:
    """The channel as a fax office."""
    return replace(channel, transport=replace(FAX, **changes))  # type: ignore[arg-type]  # a test names its fields


def engine_with(**changes: object) -> Book:
    """The book with another conf/engine.toml."""
    return replace(BOOK, engine=replace(BOOK.engine, **changes))  # type: ignore[arg-type]  # a test names its fields


def later(days: int) -> datetime:
    """Some days on."""
    return AT + timedelta(days=days)
