"""Handles batches with a note of what is in hand: a message that takes the engine down three times is set aside."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from referral_engine.base.ident import mark_of
from referral_engine.flow.inputs import Arrived, Blamed, Input, Receipt
from referral_engine.service.handling import Broken, aside, through
from referral_engine.service.handling import Step as Handles

ATTEMPTS_MAX: Final = 3  # as often as a message may take the engine down
REASON: Final = "the engine stopped three times with it in hand"
MARKS_MAX: Final = 4096  # of one batch
NOTE: Final = ".in-hand"  # behind the journal's own name

_COUNT: Final = struct.Struct("<Q")
_NOTE_BYTES: Final = _COUNT.size * (MARKS_MAX + 1)


class Step(Handles, Protocol):
    """A door that remembers whom it suspects."""

    @property
    def suspects(self) -> dict[int, int]:
        """Mark of a message to how often the engine stopped with it in hand."""
        ...


class Note:
    """What is in hand, in memory that outlives this process: a file that is mapped, and never waited for.

    A power cut may lose it; then nobody is suspected, and nobody was to blame.
    """

    def __init__(self, path: Path) -> None:
        """Make or open the file; it holds no more than checksums."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _NOTE_BYTES)  # a hole met by a full disk would be a SIGBUS
            self._map = mmap.mmap(descriptor, _NOTE_BYTES)
        finally:
            os.close(descriptor)

    def left(self) -> tuple[int, ...]:
        """What was in hand when the engine stopped last."""
        count = min(_COUNT.unpack_from(self._map)[0], MARKS_MAX)
        return struct.unpack_from(f"<{count}Q", self._map, _COUNT.size)

    def take(self, marks: Sequence[int]) -> None:
        """These are in hand now."""
        count = min(len(marks), MARKS_MAX)
        struct.pack_into(f"<{count}Q", self._map, _COUNT.size, *marks[:count])
        _COUNT.pack_into(self._map, 0, count)

    def drop(self) -> None:
        """Nothing is in hand."""
        _COUNT.pack_into(self._map, 0, 0)

    def close(self) -> None:
        """Let go of the memory."""
        self._map.close()


class Careful:
    """The door's batches, one after the other, each noted before it is handled."""

    def __init__(self, step: Step, note: Note | None) -> None:
        """Blame what was in hand when the engine stopped last; note: None remembers nothing."""
        self._step = step
        self._note = note
        if note is not None and (left := note.left()):
            step.run([Blamed(marks=left)])
            note.drop()

    def run(self, inputs: Sequence[Input]) -> list[Receipt | Broken]:
        """Handle a batch; suspects are handled alone, and no more than three times.  Raises JournalError only."""
        if self._note is None:
            return through(self._step, inputs)
        marks = [mark_of(one.raw) if isinstance(one, Arrived) else 0 for one in inputs]
        suspects = self._step.suspects
        if not suspects or not any(mark in suspects for mark in marks):
            return self._noted(inputs, marks)
        results: list[Receipt | Broken] = []
        for part in _parts(inputs, marks, suspects):
            results += self._suspected(*part)
        return results

    def close(self) -> None:
        """Let go of the note."""
        if self._note is not None:
            self._note.close()

    def _suspected(self, inputs: Sequence[Input], marks: Sequence[int]) -> list[Receipt | Broken]:
        """A part of a batch; one suspect, or any number of others."""
        given = inputs[0]
        if isinstance(given, Arrived) and self._step.suspects.get(marks[0], 0) >= ATTEMPTS_MAX:
            kept = aside(self._step, given, REASON)
            return [Broken(kind=REASON, where="", receipt=kept)]
        return self._noted(inputs, marks)

    def _noted(self, inputs: Sequence[Input], marks: Sequence[int]) -> list[Receipt | Broken]:
        assert self._note is not None, "only a careful one is asked"
        self._note.take([mark for mark in marks if mark])
        results = through(self._step, inputs)
        self._note.drop()
        return results


def _parts(
    inputs: Sequence[Input], marks: Sequence[int], suspects: dict[int, int]
) -> Iterator[tuple[Sequence[Input], Sequence[int]]]:
    """The batch in order, cut so that each suspect stands alone."""
    start = 0
    for at, mark in enumerate(marks):
        if mark in suspects:
            if start < at:
                yield inputs[start:at], marks[start:at]
            yield inputs[at : at + 1], marks[at : at + 1]
            start = at + 1
    if start < len(inputs):
        yield inputs[start:], marks[start:]


def note_beside(journal: str) -> Note | None:
    """The note beside a journal's file; None for one in memory."""
    return None if journal == ":memory:" else Note(Path(journal + NOTE))
