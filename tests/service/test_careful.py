"""A message that takes the whole engine down, again and again: the third time it is set aside, and the rest goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from referral_engine.base.ident import mark_of
from referral_engine.flow.inputs import Arrived, Blamed, Ticked
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import Disposition
from referral_engine.service.careful import ATTEMPTS_MAX, REASON, Careful, Note
from tests.flow.stage import ORDER, arrived, door, sample
from tests.service.doubles import RecordingStep

BOMB, FINE = "orm-o01-electrophysiology-ppo.hl7", ORDER

# The engine as it would be with a fault that ends the process: no exception, no last word.
ENGINE = """
import os, sys
from pathlib import Path
from referral_engine.flow import arrivals
from referral_engine.service.careful import Careful, note_beside
from tests.flow.stage import arrived, door, sample

real = arrivals.consider

def consider(turn, message, party, sequence):
    if message.raw == sample(sys.argv[2]):
        os.kill(os.getpid(), 9)
    return real(turn, message, party, sequence)

arrivals.consider = consider
step, journal = door(Path(sys.argv[1]))
careful = Careful(step, note_beside(sys.argv[1]))
print("started", flush=True)
for one in careful.run([arrived(sample(sys.argv[3])), arrived(sample(sys.argv[2]))]):
    print(getattr(one, "kind", "") or one.disposition or "again", flush=True)
journal.close()
"""


def run_engine(path: Path) -> list[str]:
    """Start it on a journal and send both messages; what it said before it ended."""
    ended = subprocess.run(
        [sys.executable, "-c", ENGINE, str(path), BOMB, FINE], capture_output=True, text=True, check=False, timeout=60
    )
    return ended.stdout.split()


def test_the_third_time_it_is_set_aside_and_its_neighbour_was_never_lost(tmp_path: Path) -> None:  # F-A07, P14
    path = tmp_path / "journal.db"

    said = [run_engine(path) for _ in range(ATTEMPTS_MAX + 1)]

    assert said[0] == ["started"]  # both were in one batch: nothing is stored, nobody was answered
    assert said[1] == ["started"]  # each alone; the neighbour is stored
    assert said[2] == ["started"]
    assert said[3][0] == "started"
    assert " ".join(said[3]).endswith(REASON)
    journal = Journal.open(str(path), None)
    lines = journal.read().messages()
    assert sorted(line.disposition for line in lines) == [Disposition.APPLIED, Disposition.QUARANTINED]
    assert journal.suspects == {}
    journal.close()


def test_what_was_in_hand_when_the_engine_stopped_is_handled_alone(tmp_path: Path) -> None:
    step, journal = door(tmp_path / "journal.db")
    note = Note(tmp_path / "note")
    note.take([mark_of(sample(BOMB))])
    recording = _Suspicious(step)

    Careful(recording, Note(tmp_path / "note")).run([arrived(sample(FINE)), arrived(sample(BOMB)), Ticked()])

    assert [[type(one) for one in batch] for batch in recording.batches] == [
        [Blamed], [Arrived], [Arrived], [Ticked],
    ]  # fmt: skip
    assert step.suspects == {}  # it was handled: the suspicion is gone, for good
    journal.close()


def test_a_batch_that_ended_leaves_nothing_in_hand(tmp_path: Path) -> None:
    step, journal = door(tmp_path / "journal.db")
    note = Note(tmp_path / "note")

    Careful(step, note).run([arrived(sample(FINE))])

    assert Note(tmp_path / "note").left() == ()
    journal.close()


def test_suspicions_that_were_rolled_back_are_as_they_were(tmp_path: Path) -> None:
    step, journal = door(tmp_path / "journal.db")
    step.run([Blamed(marks=(7,))])

    with pytest.raises(ZeroDivisionError), journal.batch(1) as unit:  # noqa: PT012  # it breaks after its work
        unit.blame([7, 8])
        raise ZeroDivisionError

    assert step.suspects == {7: 1}
    journal.close()


class _Suspicious(RecordingStep):
    """Hands on to a real door, and remembers the batches."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self._real = step

    @property
    def suspects(self) -> dict[int, int]:
        return self._real.suspects

    def run(self, inputs):  # type: ignore[no-untyped-def,override]
        self.batches.append(list(inputs))
        return self._real.run(inputs)
