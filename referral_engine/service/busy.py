"""A frame that cannot be committed in, "try again later" out: AE or CE with 207, for partners who prefer it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from referral_engine.base.clock import Clock
from referral_engine.base.errors import MessageFault
from referral_engine.channels.engine import Identity
from referral_engine.hl7.ack import AckError, Code, acknowledge, carries_ack, wanted
from referral_engine.hl7.message import Message
from referral_engine.hl7.tables import ErrorCode

SENTENCE: Final = "not stored for certain: send it again later"
_SEVERAL: Final = 1_000_000  # answers of one second that get numbers of their own
_ANSWERS: Final[dict[str, Code]] = {"commit": "CE", "application": "AE"}

Busy = Callable[[bytes], bytes]  # a frame's content to the answer, b"" for none; never raises


def silence(_raw: bytes) -> bytes:
    """Say nothing: the connection is closed, and the peer sends it again."""
    return b""


class BusyAnswers:
    """Composes the answers; never AA, and never AR, which many engines take for final."""

    def __init__(self, clock: Clock, identity: Identity) -> None:
        """Sign with our names and the time of `clock`."""
        self._clock = clock
        self._identity = identity
        self._count = 0

    def __call__(self, raw: bytes) -> bytes:
        """The answer that MSH-15 and MSH-16 allow; b"" for an acknowledgment, an unreadable frame, or none wanted.

        Source: HL7 v2.5.1 2.9.2, 2.9.3; table 0357, 207.
        """
        try:
            message = Message.parse(raw)
        except MessageFault:
            return b""
        if carries_ack(message):
            return b""
        steps = wanted(message.header, "AE")
        if not steps:
            return b""
        at = self._clock.now()
        self._count = (self._count + 1) % _SEVERAL
        return acknowledge(
            message.header,
            message.delimiters,
            message.charset,
            code=_ANSWERS[steps[0]],
            control_id=f"B{int(at.timestamp())}{self._count:06d}",
            at=at,
            text=SENTENCE,
            errors=(AckError(path="", code=ErrorCode.INTERNAL_ERROR, sentence=SENTENCE),),
            sending_application=self._identity.application,
            sending_facility=self._identity.facility,
        )
