"""docs/first-channel.md, walked: a new office is written, broken, tested, compared, switched on and taken back.

All the while an interface engine keeps sending over one connection: no message is lost, none gets another answer than
AA, and the connection is never closed.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.support import ROOT, Line, Site, an_order, environment
from tests.e2e.transcript import Said, commands_in, fits

TOUR = ROOT / "docs" / "first-channel.md"
ORDER = "orm-o01-neurology.hl7"  # what nobody takes in the beginning
PORT_IN_THE_TOUR = "127.0.0.1:2575"
PAUSE_SECONDS = 0.05  # between two messages of the interface engine


class Traffic:
    """The hospital's interface engine: order after order over one connection, until it is told to stop."""

    def __init__(self, port: int) -> None:
        self.answers: dict[str, str] = {}  # MSH-10 to MSA-1
        self.broken = ""
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self) -> None:
        try:
            with closing(Line(self._port)) as line:
                while not self._over.is_set():
                    number = f"T{len(self.answers):05d}"
                    self.answers[f"C{number}"] = line.exchange(an_order(number))
                    self._over.wait(PAUSE_SECONDS)
        except (OSError, AssertionError) as error:
            self.broken = repr(error)

    def stop(self) -> None:
        """Wait for the last answer."""
        self._over.set()
        self._thread.join(30)


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A running site that looks like the project's root."""
    site = Site(tmp_path)
    try:
        site.lay_out(as_shipped=True)
        shutil.copytree(ROOT / "sample_messages", tmp_path / "sample_messages")
        (tmp_path / "docs").symlink_to(ROOT / "docs")  # the wizard names the schema where there is one
        site.start()
        monkeypatch.chdir(tmp_path)
        yield site
    finally:
        site.close()


def carry_out(site: Site, said: Said) -> list[str]:
    """What the command of the document prints here."""
    command = said.command.replace(PORT_IN_THE_TOUR, f"127.0.0.1:{site.port}")
    if command.startswith("referral-engine ") and not set(command) & set("|><;\n"):
        answer = site.ask(*shlex.split(command)[1:])
        printed = answer.out + answer.err
    else:
        done = subprocess.run(
            ["bash", "-c", command], cwd=site.root, env=environment(), text=True, capture_output=True, check=False
        )
        printed = done.stdout + done.stderr
    printed = printed.replace(f"127.0.0.1:{site.port}", PORT_IN_THE_TOUR)
    return printed.replace(f"{Path.cwd()}/", "").rstrip("\n").splitlines()


def test_an_analyst_walks_the_tour_while_the_hospital_keeps_sending(running: Site) -> None:
    steps = list(commands_in(TOUR.read_text()))
    assert ORDER in steps[0].command
    assert fits(steps[0].lines, carry_out(running, steps[0])), "the order of the tour is message 1"
    traffic = Traffic(running.port)

    for said in steps[1:]:
        printed = carry_out(running, said)
        assert fits(said.lines, printed), "\n".join(
            [
                f"docs/first-channel.md:{said.line}: $ {said.command}",
                "--- the document",
                *said.lines,
                "--- here",
                *printed,
            ]
        )
    traffic.stop()

    assert len(steps) > 20, "the tour is the whole way"
    assert traffic.broken == "", "the connection outlives every reload"
    assert set(traffic.answers.values()) == {"AA"}
    stored = {row["control_id"] for row in running.ask_json("messages", "--limit", "10000")}
    assert traffic.answers.keys() <= stored, "what was answered AA is in the journal"
