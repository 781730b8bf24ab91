"""What came back for our message in, what that says about its delivery out; and which answers are due at all."""

from __future__ import annotations

import re
from typing import Final, Literal

from referral_engine.base.errors import MessageFault
from referral_engine.channels.naks import NakAction, NakMeaning
from referral_engine.hl7.ack import Ack, wanted
from referral_engine.hl7.message import Message
from referral_engine.loop.events import Outcome
from referral_engine.transports.transport import Attempt

SAMPLE_BYTES_MAX: Final = 16  # enough to recognise who speaks; stops a diagnostic from becoming a copy
_CODE: Final = re.compile(r"[0-9A-Za-z]{1,8}")  # of table 0357 or a local one; anything longer may be prose
_WORD: Final = re.compile(r"[A-Z]{1,2}")  # of table 0119 or 0283
_SAYS_MORE: Final = {"ORR": "ORC-1", "ORG": "ORC-1", "RRI": "RF1-1"}  # what typed answers say of the order
# How answers begin that hold nobody's name: only these letters are shown.
_OPENINGS: Final = re.compile(rb"\s*(MSH|MSA|FHS|BHS|ACK|HTTP/1\.[01] [0-9]{3}|<!DOCTYPE|<html|<HTML|<\?xml|SSH-)")

Step = Literal["commit", "application"]


def verdict(ack: Ack, frame: bytes, nak: NakMeaning) -> Attempt:
    """What an acknowledgment of our message says about its delivery; a refusal means what the partner's file says.

    Source: HL7 v2.5.1 2.9.2, MSA-1 table 0008, ERR-3 table 0357.
    """
    said = f"MSA-1 was {ack.code}{_of_the_order(ack, frame)}"
    if ack.accepted:
        return Attempt(outcome=Outcome.DELIVERED, reason=said, reply=frame)
    code = ack.error_code if _CODE.fullmatch(ack.error_code) else ""
    said += f", error {code}" if code else ""
    refused = _refused(nak.error if ack.code in ("AE", "CE") else nak.reject, said, frame)
    if code not in nak.transient_codes:
        return refused
    return Attempt(
        outcome=Outcome.RETRY,
        reason=f"{said}: a passing reason",
        reply=frame,
        holds=refused.holds,
        if_it_stays=refused,
    )


def _of_the_order(ack: Ack, frame: bytes) -> str:
    """What an application response says of the order beside MSA-1: an interface may take what its office will not."""
    path = _SAYS_MORE.get(ack.message_type[:3])
    if path is None:
        return ""
    said = Message.parse(frame).value(path).strip().upper()
    return f", {path} was {said}" if _WORD.fullmatch(said) else ""


def _refused(action: NakAction, reason: str, frame: bytes) -> Attempt:
    if action == "person":
        return Attempt(outcome=Outcome.FAILED, reason=reason, reply=frame)
    return Attempt(outcome=Outcome.RETRY, reason=reason, reply=frame, holds=action == "hold")


def answers_due(body: bytes, *, enhanced: bool) -> tuple[Step, ...] | None:
    """Which answers a message that is accepted gets; None when not even a refused one gets any.

    enhanced: whether the peer obeys MSH-15 and MSH-16; one that does not answers once, whatever they say.
    Source: HL7 v2.5.1 2.9.3, table 0155.
    """
    if not enhanced:
        return ("application",)
    try:
        header = Message.parse(body).header
    except MessageFault:
        return ("application",)
    due = wanted(header, "AA")
    return due if due or wanted(header, "AE") else None


def unframed(count: int, sample: bytes) -> str:
    """A sentence about bytes that came without a start byte.

    The sample is hexadecimal; letters and digits behind a well-known opening are left out, for they may be a patient's.
    """
    begins = _OPENINGS.match(sample)
    known = begins.end() if begins is not None else 0
    shown = " ".join(
        f"{byte:02X}" if at < known or not _is_said(byte) else "xx" for at, byte in enumerate(sample[:SAMPLE_BYTES_MAX])
    )
    return f"{count} bytes received without start byte ({shown})"


def _is_said(byte: int) -> bool:
    """Whether a byte may be part of a word."""
    return byte > 0x7F or chr(byte).isalnum()
