"""A request and its plain acknowledgment in, the application response that belongs to the request's type out.

ORM^O01 is answered by ORR^O02, OMG^O19 by ORG^O20, REF by RRI of the same trigger; any other type keeps its ACK.
Source: HL7 v2.5.1 4.4.2 (ORR), 4.4.5 (ORG), 11.3.1 (RRI).
"""

from __future__ import annotations

from typing import Final

from referral_engine.hl7.ack import at_least
from referral_engine.hl7.message import Message
from referral_engine.hl7.segment import Segment
from referral_engine.hl7.tables import OrderControl

ORDERS_MAX: Final = 20  # echoed; stops one answer from growing as long as its question
PROVIDERS_MAX: Final = 20
SEGMENT_LENGTH_MAX: Final = 2_000  # characters of one echoed segment; a longer one is left out

_PATIENT_FIELDS: Final = 8  # PID-1 to PID-8: enough to know whose order it was
_ORDER_FIELDS: Final = 3  # ORC-2 and ORC-3: the numbers
_RF1_FIELDS: Final = 11  # RF1-6 and RF1-11: the numbers
_PENDING: Final = "P"  # RF1-1, table 0283: whether it is accepted, the specialist will say

# Type of the request to type, trigger ("" is the request's own) and structure of the response.
_REPLIES: Final[dict[str, tuple[str, str, str]]] = {
    "ORM^O01": ("ORR", "O02", "ORR_O02"),
    "OMG^O19": ("ORG", "O20", "ORG_O20"),
    "REF^I12": ("RRI", "", "RRI_I12"),
    "REF^I13": ("RRI", "", "RRI_I12"),
    "REF^I14": ("RRI", "", "RRI_I12"),
}


def typed_reply(message: Message, plain: bytes) -> bytes:
    """The application response to `message` that says what `plain` says; `plain` itself where its type has none.

    plain: our acknowledgment AA, AE or AR, in the sender's delimiters and character set; a commit acknowledgment (CA,
    CE, CR) stays one. With AA, every order comes back as ORC-1 OK with its numbers; with AE or AR, and before v2.3,
    nothing of the orders. RRI has no ERR in any version, and always a provider and a patient.
    """
    known = _REPLIES.get(message.header.type)
    code = _code_of(plain)
    version = message.header.version
    if known is None or code not in (b"AA", b"AE", b"AR") or (version and not at_least(version, (2, 3))):
        return plain
    kind, trigger, structure = known
    separator = plain[3:4]
    msh, *rest = plain.rstrip(b"\r").split(b"\r")
    fields = msh.split(separator)
    parts = [kind, trigger or message.header.trigger]
    parts += [structure] if at_least(version, (2, 4)) else []
    fields[8] = message.delimiters.component.join(parts).encode("ascii")
    lines = [separator.join(fields), *rest]
    if kind == "RRI":
        lines = [line for line in lines if line[:3] != b"ERR"]
        echoed = _providers(message, accepted=code == b"AA")
    else:
        echoed = _orders(message) if code == b"AA" else []
    lines += [line.encode(message.charset, "replace") for line in echoed if len(line) <= SEGMENT_LENGTH_MAX]
    return b"\r".join([*lines, b""])


def _code_of(plain: bytes) -> bytes:
    """MSA-1 of an acknowledgment of ours."""
    return plain.partition(b"\rMSA")[2][1:3]


def _orders(message: Message) -> list[str]:
    """PID, and an ORC for each order of the request."""
    patient = message.first("PID")
    orders = message.all("ORC")[:ORDERS_MAX]
    if not orders:
        return []
    echoed = [] if patient is None else [_echo(patient, _PATIENT_FIELDS)]
    return echoed + [_echo(order, _ORDER_FIELDS, {1: OrderControl.ACCEPTED}) for order in orders]


def _providers(message: Message, *, accepted: bool) -> list[str]:
    """RF1 when the request was taken, every provider, and PID."""
    asked, patient = message.first("RF1"), message.first("PID")
    echoed = [_echo(asked, _RF1_FIELDS, {1: _PENDING})] if accepted and asked is not None else []
    echoed += [_echo(provider) for provider in message.all("PRD")[:PROVIDERS_MAX]]
    return [*echoed, *([] if patient is None else [_echo(patient, _PATIENT_FIELDS)])]


def _echo(segment: Segment, last: int = 0, changes: dict[int, str] | None = None) -> str:
    """A segment as it came, up to field `last` (0: all of it), with some fields of our own."""
    separator = segment.delimiters.field
    fields = segment.raw.split(separator)
    fields = fields[: last + 1] if last else fields
    for number, text in (changes or {}).items():
        fields += [""] * (number + 1 - len(fields))
        fields[number] = text
    return separator.join(fields).rstrip(separator)
