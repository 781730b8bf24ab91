"""What a typed answer to a sending of ours says of the order: an interface may take what its office will not."""

from __future__ import annotations

from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.flow.turn import Turn
from referral_engine.hl7.message import Message
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.effects import OpenTask, Recipient, TaskKind

HEADER_BYTES: Final = 400  # where MSH-9 of an answer is looked for: most answers are plain, and not parsed again
_KINDS: Final[dict[str, str]] = {"ORR": "ORC-1", "ORG": "ORC-1", "RRI": "RF1-1"}  # type to what says it
_MARKS: Final = tuple(kind.encode() for kind in _KINDS)
_REFUSED: Final[dict[tuple[str, str], str]] = {  # tables 0119 and 0283
    ("ORC-1", "UA"): "it does not accept the order",
    ("ORC-1", "UC"): "it could not cancel",
    ("ORC-1", "UD"): "it could not discontinue",
    ("ORC-1", "UX"): "it could not take the change",
    ("ORC-1", "DE"): "there is an error in the order",
    ("RF1-1", "R"): "it rejects the referral",
}


def heed(turn: Turn, row: EffectRow, reply: bytes) -> None:
    """Show a person what a specialist's system refused in the answer that took our message; nothing else follows.

    The office itself has not spoken: a decline of its own comes as a message.
    """
    if row.recipient != Recipient.SPECIALIST or not any(mark in reply[:HEADER_BYTES] for mark in _MARKS):
        return
    try:
        message = Message.parse(reply)
        path = _KINDS.get(message.header.message_code, "")
        said = message.value(path).strip().upper() if path else ""
    except MessageFault:
        return
    sentence = _REFUSED.get((path, said))
    referral = turn.unit.referral(row.referral) if sentence else None
    if referral is not None:
        reason = f"the specialist's system took our message and answered that {sentence} ({path} {said})"
        task = OpenTask(kind=TaskKind.ANOMALY, reason=reason)
        turn.open_task(task, referral=referral.id, channel=referral.channel)
