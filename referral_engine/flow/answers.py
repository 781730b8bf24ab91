"""The acknowledgment of one received message, in the mode the sender asked for."""

from __future__ import annotations

from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.base.ident import control_id
from referral_engine.channels.partner import AckMode
from referral_engine.flow.turn import Turn
from referral_engine.hl7.ack import AckError, Code, Step, acknowledge, answer_for_unreadable, wanted
from referral_engine.hl7.message import Message

_COMMIT: Final[dict[Code, Code]] = {"AA": "CA", "AE": "CE", "AR": "CR"}
_AGREED: Final[dict[AckMode, tuple[Step, ...]]] = {"original": ("application",), "enhanced": ("commit",)}
ANSWER_ORDINAL: Final = 1023  # of MSH-10: answers share the sequence of the message they answer


def answer(
    turn: Turn,
    message: Message,
    sequence: int,
    code: Code,
    fault: MessageFault | None = None,
    mode: AckMode = "as-asked",
) -> tuple[str, bytes]:
    """MSA-1 and the bytes of the answer; ("", b"") when the sender wants none.

    A sender that asks for both answers gets the commit answer: custody is what it is waiting for.
    mode: the partner's own, where it does not mean what it asks for.
    """
    header = message.header
    steps = wanted(header, code) if mode == "as-asked" else _AGREED[mode]
    if not steps:
        return "", b""
    final: Code = _COMMIT[code] if steps[0] == "commit" else code
    errors = (_error(fault),) if fault else ()
    identity = turn.book.engine.identity
    return final, acknowledge(
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
