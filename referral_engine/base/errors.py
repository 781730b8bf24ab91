"""The few errors that may cross a floor, each named for who must act; anything else is a bug."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class ReferralEngineError(Exception):
    """The root; never raised itself."""


class WireError(ReferralEngineError):
    """The peer broke framing: close the connection, send no ACK.

    reason: a fixed word for counters, such as "frame-too-long".
    """

    def __init__(self, reason: str, sentence: str) -> None:
        """Carry the counter's word and the operator's sentence; never the peer's bytes."""
        super().__init__(sentence)
        self.reason = reason


class MessageFault(ReferralEngineError):
    """The content is unacceptable: keep the bytes in quarantine, answer AE or AR.

    code: table 0357, such as "101" (required field missing).
    path: where, as "PID-3" or "MSH-9.1"; "" when the whole message is meant.
    sentence: says what is wrong and never shows a value (no PHI).
    reject: True asks for AR (type, version, sender, processing id), False for AE.
    """

    def __init__(self, code: str, path: str, sentence: str, *, reject: bool = False) -> None:
        """Say where, with which code of table 0357, and whether the answer is AR."""
        super().__init__(f"{path}: {sentence}" if path else sentence)
        self.code = code
        self.path = path
        self.sentence = sentence
        self.reject = reject


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in one configuration file, located for an editor."""

    file: str  # as the analyst named it
    line: int  # from 1; 0 when the file as a whole is meant
    column: int  # from 1
    width: int = 1  # characters to underline
    code: str  # "CH103"; codes never change meaning
    sentence: str
    source: str = ""  # the line itself
    help: str = ""
    warning: bool = False


class ConfigError(ReferralEngineError):
    """The files are wrong: refuse to start or to reload; carries every problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Carry every problem found, in file order."""
        super().__init__(f"{len(problems)} problems in the configuration")
        self.problems = tuple(problems)


class JournalError(ReferralEngineError):
    """The disk is wrong: say nothing, hang up, stop. Nothing of this batch was stored."""

    lasting: ClassVar[bool] = True  # False: the journal goes on taking work; only this batch, or this question, failed


class OutcomeUnknown(JournalError):
    """COMMIT failed: the batch may or may not be stored. Say nothing; the peer will resend."""


class JournalLost(OutcomeUnknown):
    """The process that had the journal is gone: what it had in hand may be stored. Start again; senders will resend."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("The journal's process is gone; what it had in hand may or may not be stored.")


class NoRoom(JournalError):
    """The disk is full: nothing of this batch was stored, and all that was is safe. Say nothing, hang up, try later."""

    lasting = False


class TookTooLong(JournalError):
    """A question was cut off so that the door need not wait for it: ask for less."""

    lasting = False


class Altered(JournalError):
    """A stored row is not what was written: its hash does not fit. Say nothing, hang up, stop."""

    def __init__(self, what: str) -> None:
        """Name the row, "message 42"; never what is in it."""
        super().__init__(f"{what} is not what was stored: its hash does not fit. Restore a backup, or ask for help.")
        self.what = what


class Refused(ReferralEngineError):
    """A question that cannot be answered; its text is a sentence for the person who asked."""
