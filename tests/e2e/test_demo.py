"""`demo`: six stories over real sockets, in a process of its own, as `make demo` shows them."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.e2e.support import PATIENCE_SECONDS, ROOT, SAMPLES, environment, program

SECONDS: Final = 60.0
SHORT: Final = "09-another-patient.toml"


def one_story(directory: Path, old: str = "", new: str = "") -> Path:
    """A folder with all messages and one scenario, which may be spoilt in one place."""
    samples = directory / "samples"
    shutil.copytree(SAMPLES, samples, ignore=shutil.ignore_patterns("scenarios"))
    (samples / "scenarios").mkdir()
    text = (SAMPLES / "scenarios" / SHORT).read_text()
    assert not old or old in text
    (samples / "scenarios" / SHORT).write_text(text.replace(old, new, 1) if old else text)
    return samples


def test_six_loops_end_as_they_should() -> None:
    said = program("demo", seconds=SECONDS)

    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.splitlines()[-1] == "6 loops, 6 closed or escalated as they should, 0 not"
    assert "FAIL" not in said.stdout
    assert said.stdout.count("on 127.0.0.1: demo ") == 6, "each story has an engine of its own"
    assert said.stdout.count("Ordered by the EHR") >= 6, "each loop's timeline is shown"
    assert said.stderr == ""


def test_it_can_be_cut_after_some_days() -> None:
    said = program("demo", "--days", "3", seconds=SECONDS)

    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.splitlines()[-1].startswith("6 loops, 6 ")


def test_a_story_that_does_not_end_as_its_file_says_makes_it_exit_1(tmp_path: Path) -> None:
    samples = one_story(tmp_path, 'status = "closed"', 'status = "ended"')

    said = program("demo", "--samples", str(samples), seconds=SECONDS)

    assert said.returncode == 1
    assert "status: expected ended; got closed" in said.stdout
    assert said.stdout.splitlines()[-1] == "1 loops, 0 closed or escalated as they should, 1 not"


def test_a_message_that_is_missing_is_named_without_a_traceback(tmp_path: Path) -> None:
    samples = one_story(tmp_path)
    for file in samples.glob("orm-o01-cardiology-stress-test.hl7"):
        file.unlink()

    said = program("demo", "--samples", str(samples), seconds=SECONDS)

    assert said.returncode == 1
    assert said.stderr == f"a story names {samples}/orm-o01-cardiology-stress-test.hl7, which is not there\n"


def test_with_stay_the_last_engine_answers_from_another_terminal_until_ctrl_c(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "referral_engine", "demo", "--stay", "--samples", str(one_story(tmp_path))]
    with subprocess.Popen(words, cwd=ROOT, env=environment(), text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            told = ""
            while "referral-engine list" not in told:
                line = process.stdout.readline()
                assert line, told
                told += line
            control = next(line for line in told.splitlines() if "REFERRAL_ENGINE_SOCKET=" in line).split("=")[1]

            asked = subprocess.run(
                [sys.executable, "-m", "referral_engine", "list"],
                cwd=ROOT, env=environment() | {"REFERRAL_ENGINE_SOCKET": control}, text=True, capture_output=True,
                timeout=PATIENCE_SECONDS,
            )  # fmt: skip
            process.send_signal(signal.SIGINT)
            status = process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()

    assert asked.returncode == 0, asked.stderr
    assert "closed" in asked.stdout
    assert status == 0
    assert not Path(control).exists(), "nothing is left behind"
