"""Everything that may be owed after an event, as a closed union of four."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Recipient(StrEnum):
    """Who is owed something."""

    SPECIALIST = "specialist"
    EHR = "ehr"
    PATIENT = "patient"
    TEAM = "team"
    PAYER = "payer"
    BILLING = "billing"


class Purpose(StrEnum):
    """What a sending is for; with its recipient it decides the bytes."""

    ORDER = "order"
    FALLBACK_ORDER = "fallback-order"
    SECOND_NOTICE = "second-notice"
    ORDER_CHANGE = "order-change"
    CANCEL = "cancel"
    STATUS_CHECK = "status-check"
    NOTE_PING = "note-ping"
    RECORDS_REQUEST = "records-request"
    STATUS = "status"
    APPOINTMENT = "appointment"
    TASK = "task"
    PROVIDER_NOTICE = "provider-notice"
    CLOSURE = "closure"
    CORRECTION = "correction"
    RETRACTION = "retraction"
    PROMPT = "prompt"
    REMINDER = "reminder"
    ATTENDED_PROMPT = "attended-prompt"
    RESCHEDULE_PROMPT = "reschedule-prompt"
    TEAM_POST = "team-post"
    AUTHORIZATION_REQUEST = "authorization-request"
    BILLING_NOTICE = "billing-notice"


ORDERS: Final = frozenset({Purpose.ORDER, Purpose.FALLBACK_ORDER})
WITH_ORDER: Final = ORDERS | {Purpose.ORDER_CHANGE}  # each tells the office the whole order
NOTICES_TO_SPECIALIST: Final = frozenset(
    {Purpose.SECOND_NOTICE, Purpose.STATUS_CHECK, Purpose.NOTE_PING, Purpose.RECORDS_REQUEST}
)
TO_PATIENT: Final = frozenset({Purpose.PROMPT, Purpose.REMINDER, Purpose.ATTENDED_PROMPT, Purpose.RESCHEDULE_PROMPT})

# Whose arrival moves a track; that anything else arrived is told by the outbox alone, that it failed by a task.
HEARD: Final = ORDERS | TO_PATIENT | {Purpose.CLOSURE}


class TaskKind(StrEnum):
    """What a person is asked to do."""

    CALL_PATIENT = "call-patient"
    UNDELIVERABLE = "undeliverable"
    UNDELIVERABLE_EHR = "undeliverable-ehr"
    UNKNOWN_DELIVERY = "unknown-delivery"
    CALL_SPECIALIST = "call-specialist"
    SCHEDULE = "schedule"
    STALE = "stale"
    PREAUTH = "preauth"
    BILLING = "billing"
    NO_SHOW_REVIEW = "no-show-review"
    CHASE_NOTE = "chase-note"
    RECORDS_REQUEST = "records-request"
    FIND_SPECIALIST = "find-specialist"
    WRONG_PATIENT = "wrong-patient"
    UNROUTABLE_ORDER = "unroutable-order"
    MATCH_REVIEW = "match-review"
    ANOMALY = "anomaly"
    QUARANTINE = "quarantine"
    VERIFY_CONTACT = "verify-contact"


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Something is to leave: to whom, what for, about what."""

    to: Recipient
    purpose: Purpose
    about: str = ""  # a status word, an appointment's change, a task's kind
    message: int = 0  # the journal sequence of the message whose content it carries


class OpenTask(msgspec.Struct, frozen=True, kw_only=True):
    """A person must act; one open task of a kind a referral."""

    kind: TaskKind
    reason: str
    urgent: bool = False


class CloseTasks(msgspec.Struct, frozen=True, kw_only=True):
    """What happened made these tasks pointless."""

    kinds: frozenset[TaskKind]


class Withdraw(msgspec.Struct, frozen=True, kw_only=True):
    """What has not left yet must not leave."""

    purposes: frozenset[Purpose]


Effect = Send | OpenTask | CloseTasks | Withdraw
