"""The HL7 code tables that are read or written here, as enums; a member's value is the code on the wire."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

Code = TypeVar("Code", bound=StrEnum)


def lookup(table: type[Code], code: str) -> Code | None:
    """The table's member for a code, blanks and case forgiven; None when the table does not have it."""
    try:
        return table(code.strip().upper())
    except ValueError:
        return None


class AckCode(StrEnum):
    """Table 0008, MSA-1."""

    APPLICATION_ACCEPT = "AA"
    APPLICATION_ERROR = "AE"
    APPLICATION_REJECT = "AR"
    COMMIT_ACCEPT = "CA"
    COMMIT_ERROR = "CE"
    COMMIT_REJECT = "CR"


class OrderStatus(StrEnum):
    """Table 0038, ORC-5."""

    SOME_RESULTS = "A"
    CANCELLED = "CA"
    COMPLETED = "CM"
    DISCONTINUED = "DC"
    ERROR = "ER"
    ON_HOLD = "HD"
    IN_PROCESS = "IP"
    REPLACED = "RP"
    SCHEDULED = "SC"


class ObservationStatus(StrEnum):
    """Table 0085, OBX-11."""

    CORRECTED = "C"
    DELETED = "D"
    FINAL = "F"
    ORDER_DETAIL = "O"
    IN_LABORATORY = "I"
    NOT_ASKED = "N"
    PRELIMINARY = "P"
    ENTERED_NOT_VERIFIED = "R"
    PARTIAL = "S"
    STATUS_CHANGED_TO_FINAL = "U"
    WRONG_PATIENT = "W"  # "post original as wrong": it was sent for another patient
    NOT_OBTAINABLE = "X"


class OrderControl(StrEnum):
    """Table 0119, ORC-1."""

    NEW = "NW"
    CANCEL = "CA"
    DISCONTINUE = "DC"
    HOLD = "HD"
    RELEASE = "RL"
    CHANGE = "XO"
    REPLACE = "RP"
    REPLACEMENT = "RO"
    STATUS_REQUEST = "SS"
    SEND_NUMBER = "SN"
    NUMBER_ASSIGNED = "NA"
    ACCEPTED = "OK"
    UNABLE_TO_ACCEPT = "UA"
    CANCELLED_AS_REQUESTED = "CR"
    UNABLE_TO_CANCEL = "UC"
    DISCONTINUED_AS_REQUESTED = "DR"
    UNABLE_TO_DISCONTINUE = "UD"
    HELD_AS_REQUESTED = "HR"
    UNABLE_TO_HOLD = "UH"
    RELEASED_AS_REQUESTED = "OR"
    UNABLE_TO_RELEASE = "UR"
    CHANGED_AS_REQUESTED = "XR"
    UNABLE_TO_CHANGE = "UX"
    REPLACED_AS_REQUESTED = "RQ"
    UNABLE_TO_REPLACE = "UM"
    REPLACED_UNSOLICITED = "RU"
    CANCELLED_BY_FILLER = "OC"  # what Cerner sends for every cancel
    DISCONTINUED_BY_FILLER = "OD"
    HELD_BY_FILLER = "OH"
    RELEASED_BY_FILLER = "OE"
    CHANGED_BY_FILLER = "XX"
    STATUS_CHANGED = "SC"
    STATUS_RESPONSE = "SR"
    OBSERVATIONS_FOLLOW = "RE"
    PARENT = "PA"
    CHILD = "CH"
    CONTENT_ERROR = "DE"
    REQUEST_RECEIVED = "RR"


class AckCondition(StrEnum):
    """Table 0155, MSH-15 and MSH-16."""

    ALWAYS = "AL"
    NEVER = "NE"
    ON_ERROR = "ER"
    ON_SUCCESS = "SU"


class DocumentAvailability(StrEnum):
    """Table 0273, TXA-19."""

    AVAILABLE = "AV"
    CANCELLED = "CA"
    OBSOLETE = "OB"
    UNAVAILABLE = "UN"


class ErrorCode(StrEnum):
    """Table 0357, ERR-3."""

    ACCEPTED = "0"
    SEGMENT_SEQUENCE = "100"
    REQUIRED_FIELD_MISSING = "101"
    WRONG_TYPE = "102"
    NOT_IN_TABLE = "103"
    UNSUPPORTED_MESSAGE_TYPE = "200"
    UNSUPPORTED_EVENT = "201"
    UNSUPPORTED_PROCESSING_ID = "202"
    UNSUPPORTED_VERSION = "203"
    UNKNOWN_KEY = "204"
    DUPLICATE_KEY = "205"
    RECORD_LOCKED = "206"  # transient
    INTERNAL_ERROR = "207"  # transient


ERROR_TEXTS = {
    ErrorCode.ACCEPTED: "Message accepted",
    ErrorCode.SEGMENT_SEQUENCE: "Segment sequence error",
    ErrorCode.REQUIRED_FIELD_MISSING: "Required field missing",
    ErrorCode.WRONG_TYPE: "Data type error",
    ErrorCode.NOT_IN_TABLE: "Table value not found",
    ErrorCode.UNSUPPORTED_MESSAGE_TYPE: "Unsupported message type",
    ErrorCode.UNSUPPORTED_EVENT: "Unsupported event code",
    ErrorCode.UNSUPPORTED_PROCESSING_ID: "Unsupported processing id",
    ErrorCode.UNSUPPORTED_VERSION: "Unsupported version id",
    ErrorCode.UNKNOWN_KEY: "Unknown key identifier",
    ErrorCode.DUPLICATE_KEY: "Duplicate key identifier",
    ErrorCode.RECORD_LOCKED: "Application record locked",
    ErrorCode.INTERNAL_ERROR: "Application internal error",
}
TRANSIENT_ERRORS = frozenset({ErrorCode.RECORD_LOCKED, ErrorCode.INTERNAL_ERROR})  # a later retry may succeed
