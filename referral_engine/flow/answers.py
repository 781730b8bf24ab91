"""The acknowledgment of one received message, in the mode the sender asked for."""

from __future__ import annotations

from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.ident import control_id
from referral_engine.channels.partner import AckMode
from referral_engine.flow.turn import Turn
from referral_engine.hl7.ack import (
    AckError,
    Code,
    Step,
    acknowledge,
    answer_for_unreadable,
    application_after,
    is_enhanced,
    wanted,
)
from referral_engine.hl7.message import Message
from referral_engine.hl7.typed_reply import typed_reply

_COMMIT: Final[dict[Code, Code]] = {"AA": "CA", "AE": "CE", "AR": "CR"}
_AGREED: Final[dict[AckMode, tuple[Step, ...]]] = {"original": ("application",), "enhanced": ("commit",)}
ANSWER_ORDINAL: Final = 1023  # of MSH-10: answers share the sequence of the message they answer
SECOND_ORDINAL: Final = 1022  # of the application answer that follows a commit answer


def answer(
    turn: Turn,
    message: Message,
    sequence: int,
    code: Code,
    fault: MessageFault | None = None,
    mode: AckMode = "as-asked",
    *,
    typed: bool = False,
) -> tuple[str, bytes]:
    """MSA-1 and the bytes of the answer; ("", b"") when the sender wants none.

    A sender that asks for both answers gets the commit answer first; see `second_answer`.
    mode: the partner's own, where it does not mean what it asks for.
    typed: the sender's feed wants ORR, ORG or RRI; a commit answer stays a plain ACK.
    """
    header = message.header
    steps = wanted(header, code) if mode == "as-asked" else _AGREED[mode]
    if not steps:
        return "", b""
    final: Code = _COMMIT[code] if steps[0] == "commit" else code
    errors = (_error(fault),) if fault else ()
    identity = turn.book.engine.identity
    made = acknowledge(
        header,
        message.delimiters,
        message.charset,
        code=final,
        control_id=control_id(turn.node, sequence, ANSWER_ORDINAL),
        at=turn.now,
        text=fault.sentence if fault else "",
        errors=errors,
        sending_application=identity.application,
        sending_facility=identity.facility,
    )
    return final, typed_reply(message, made) if typed else made


def second_answer(
    turn: Turn,
    message: Message,
    sequence: int,
    first: bytes,
    mode: AckMode = "as-asked",
    *,
    typed: bool = False,
) -> bytes:
    """The application answer that follows a commit answer, in a frame of its own; b"" when none is wanted.

    first: the commit answer as stored, so that a message sent again hears the same bytes twice. typed: as in `answer`.
    Source: HL7 v2.5.1 2.9.3.2; PROMISES, rule 6 of the edge.
    """
    header = message.header
    if not first or mode != "as-asked" or not is_enhanced(header) or len(wanted(header, _outcome(first))) < 2:
        return b""
    made = application_after(first, control_id(turn.node, sequence, SECOND_ORDINAL))
    return typed_reply(message, made) if typed else made


def _outcome(answer: bytes) -> Code:
    """What a commit answer of ours says: AA or one of the others."""
    accepted = answer.partition(b"\rMSA")[2][1:3] == b"CA"
    return "AA" if accepted else "AE"


def answer_unreadable(turn: Turn, raw: bytes, sequence: int, fault: MessageFault) -> tuple[str, bytes]:
    """The best AR that unreadable bytes allow; ("", b"") when there is nobody to answer."""
    made = answer_for_unreadable(
        raw,
        control_id=control_id(turn.node, sequence, ANSWER_ORDINAL),
        at=turn.now,
        error=_error(fault),
        sending_application=turn.book.engine.identity.application,
        sending_facility=turn.book.engine.identity.facility,
    )
    return ("AR", made) if made else ("", b"")


def _error(fault: MessageFault) -> AckError:
    return AckError(path=fault.path, code=fault.code, sentence=fault.sentence)
