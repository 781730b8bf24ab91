"""Values for tests: valid as they stand, so that a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.loop.calendar import Calendar, Hours, office_hours
from referral_engine.loop.events import Event, ReferralOrdered
from referral_engine.loop.policy import Capabilities, HoldRule, Policy
from referral_engine.loop.referral import (
    Document,
    Hold,
    Identifier,
    Moments,
    Order,
    Patient,
    PatientId,
    Provider,
    Referral,
    Rounds,
    Slot,
)
from referral_engine.loop.rules import Decision, decide
from referral_engine.loop.states import (
    Appointment,
    Authorization,
    Closure,
    Dispatch,
    Ending,
    Network,
    Note,
    Outreach,
    Urgency,
)

CHICAGO = ZoneInfo("America/Chicago")
ORDERED_AT = datetime(2026, 3, 2, 15, tzinfo=UTC)  # Monday, 09:00 in Chicago; clocks go forward on Sunday the 8th
CARDIOLOGIST = "1234567893"  # an NPI with a right check digit
CHANNEL = "heartland-cardiology"
PLACER = Identifier(value="RO-5001", authority="EHR")
GRETAS_IDS = (PatientId(value=Phi("MR100234"), authority="RIVERBEND"),)


def utc(text: str) -> datetime:
    """An instant, as "2026-03-02 15:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(text: str) -> datetime:
    """An instant by a clock on a wall in Chicago."""
    return datetime.fromisoformat(text).replace(tzinfo=CHICAGO).astimezone(UTC)


def mrn(value: str, authority: str = "RIVERBEND") -> PatientId:
    """A medical record number."""
    return PatientId(value=Phi(value), authority=authority)


def number(value: str, authority: str = "") -> Identifier:
    """An order's, appointment's or document's number."""
    return Identifier(value=value, authority=authority)


def a_patient(
    *,
    ids: tuple[PatientId, ...] = GRETAS_IDS,
    family: str = "Testing",
    given: str = "Greta",
    born_on: str = "19580312",
    sex: str = "F",
    phone: str = "+13125550142",
    phone_is_mobile: bool = True,
    language: str = "en",
    sms_consent: bool = True,
    portal: bool = False,
    deceased: bool = False,
) -> Patient:
    """A patient who may be sent text messages and has no portal."""
    return Patient(
        ids=ids,
        family=Phi(family),
        given=Phi(given),
        born_on=Phi(born_on),
        sex=Phi(sex),
        phone=Phi(phone),
        phone_is_mobile=phone_is_mobile,
        language=language,
        sms_consent=sms_consent,
        portal=portal,
        deceased=deceased,
    )


def an_order(
    *,
    placer: Identifier = PLACER,
    filler: Identifier | None = None,
    ordered_at: datetime = ORDERED_AT,
    service_code: str = "CARDIO",
    service_text: str = "Cardiology consult",
    specialty: str = "cardiology",
    urgency: Urgency = Urgency.ROUTINE,
    network: Network = Network.OUT,
    ordering_provider: Provider | None = None,
    referred_to: str = CARDIOLOGIST,
    payer: str = "PAYER1",
    plan: str = "",
    diagnosis: str = "I25.10",
    authorization_number: str = "",
    authorization_expires_on: date | None = None,
    message: int = 1,
) -> Order:
    """A routine cardiology order that needs no authorization."""
    return Order(
        placer=placer,
        filler=filler or Identifier(),
        ordered_at=ordered_at,
        service_code=service_code,
        service_text=service_text,
        specialty=specialty,
        urgency=urgency,
        network=network,
        ordering_provider=ordering_provider or Provider(number="1902345674", family="Order", given="Olive"),
        referred_to=referred_to,
        payer=payer,
        plan=plan,
        diagnosis=diagnosis,
        authorization_number=authorization_number,
        authorization_expires_on=authorization_expires_on,
        message=message,
    )


def a_referral(
    *,
    id: str = "A-0001",  # noqa: A002  # the field has this name
    channel: str = CHANNEL,
    patient: Patient | None = None,
    order: Order | None = None,
    hold: Hold | None = None,
    authorization: Authorization = Authorization.NOT_REQUIRED,
    dispatch: Dispatch = Dispatch.QUEUED,
    outreach: Outreach = Outreach.NOT_DUE,
    appointment: Appointment = Appointment.NONE,
    note: Note = Note.NONE,
    closure: Closure = Closure.OPEN,
    ending: Ending | None = None,
    duplicate_of: str = "",
    slots: tuple[Slot, ...] = (),
    documents: tuple[Document, ...] = (),
    moments: Moments | None = None,
    rounds: Rounds | None = None,
    fallback_used: bool = False,
    config: str = "test",
) -> Referral:
    """An open referral whose packet was queued when it was ordered; other states by name."""
    return Referral(
        id=id,
        channel=channel,
        patient=patient or a_patient(),
        order=order or an_order(),
        hold=hold or Hold(),
        authorization=authorization,
        dispatch=dispatch,
        outreach=outreach,
        appointment=appointment,
        note=note,
        closure=closure,
        ending=ending,
        duplicate_of=duplicate_of,
        slots=slots,
        documents=documents,
        moments=moments or Moments(released_at=ORDERED_AT, queued_at=ORDERED_AT),
        rounds=rounds or Rounds(release=1, packet=1),
        fallback_used=fallback_used,
        config=config,
    )


def a_slot(
    *, number: int = 1, starts_at: datetime, booked_at: datetime = ORDERED_AT, appointment: Identifier | None = None
) -> Slot:
    """One booked time."""
    return Slot(number=number, starts_at=starts_at, booked_at=booked_at, appointment=appointment or Identifier())


def a_calendar(
    *,
    zone: ZoneInfo = CHICAGO,
    hours: Mapping[int, Hours] | None = None,
    holidays: frozenset[date] = frozenset(),
) -> Calendar:
    """Monday to Friday, 08:00 to 17:00, in Chicago."""
    return Calendar(zone=zone, hours=hours or office_hours(), holidays=holidays)


def span(opens: str, closes: str) -> tuple[time, time]:
    """Opening hours, as ("08:00", "17:00")."""
    return time.fromisoformat(opens), time.fromisoformat(closes)


def a_policy(
    *,
    calendar: Calendar | None = None,
    capabilities: Capabilities | None = None,
    no_show_attempts: int = 1,
    fallbacks: int = 0,
    provisional_notes: bool = False,
) -> Policy:
    """The default clocks for an office that can do everything and has one way to be reached."""
    return Policy(
        calendar=calendar or a_calendar(),
        capabilities=capabilities or Capabilities(),
        no_show_attempts=no_show_attempts,
        fallbacks=fallbacks,
        provisional_notes=provisional_notes,
    )


def ordered(
    *,
    patient: Patient | None = None,
    order: Order | None = None,
    hold: Hold | None = None,
    duplicate_of: str = "",
    policy: Policy | None = None,
) -> Decision:
    """What the door makes of a new order: the referral's first decision."""
    patient, order, hold = patient or a_patient(), order or an_order(), hold or Hold()
    new = Referral(id="A-0001", channel=CHANNEL, patient=patient, order=order)
    event = ReferralOrdered(at=order.ordered_at, patient=patient, order=order, hold=hold, duplicate_of=duplicate_of)
    return decide(new, event, policy or a_policy())


def held(*, billing: bool = False, notify: str = "", rule: HoldRule = HoldRule.HOLD) -> Referral:
    """A referral whose packet waits for an authorization since it was ordered."""
    return ordered(hold=Hold(rule=rule, reason="cardiology needs one", billing=billing, notify=notify)).referral


def told(referral: Referral, *events: Event, policy: Policy | None = None) -> Referral:
    """The referral after these events, in order."""
    for event in events:
        referral = decide(referral, event, policy or a_policy()).referral
    return referral


def urgent(referral: Referral) -> Referral:
    """The same referral, ordered as urgent."""
    return replace(referral, order=replace(referral.order, urgency=Urgency.URGENT))
