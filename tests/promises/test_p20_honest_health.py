"""P20: a daemon that cannot commit, or does not move, is not ready and gives systemd no sign of life."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from referral_engine.service.control_client import ControlError, ask
from tests.e2e.support import Site, eventually
from tests.torture.injection import injected, needs_injection, writer_of

STUCK_MICROSECONDS = 60_000_000  # of each sync, for longer than anybody here looks
FRESH_SECONDS = 10.0  # after which a commit is no longer news


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose daemon runs."""
    made = Site(tmp_path_factory.mktemp("health"))
    try:
        made.lay_out()
        made.start()
        yield made
    finally:
        made.close()


def ready(site: Site) -> bool:
    """What `status` says, and the exit status that monitors look at."""
    said = site.ask("status", "--json")
    told = bool(said.json()["ready"])
    assert said.exit_status == (0 if told else 1)
    return told


def test_a_daemon_that_stands_still_says_nothing_rather_than_ready(site: Site) -> None:
    pid = site.pid
    eventually(lambda: ready(site), "it is ready after its first commit")

    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ControlError, match="did not answer"):
            ask(str(site.var / "control.sock"), "status", timeout_seconds=0.5)
    finally:
        os.kill(pid, signal.SIGCONT)

    eventually(lambda: ready(site), "it goes on, and is ready again after its next commit")


@pytest.mark.torture
def test_a_daemon_whose_disk_hangs_is_not_ready_after_ten_seconds(site: Site) -> None:
    needs_injection()
    eventually(lambda: ready(site), "it is ready after its first commit")

    def unready() -> bool:
        try:
            answer = ask(str(site.var / "control.sock"), "status", timeout_seconds=1.0)
        except ControlError:  # the journal cannot be asked: that is no "ready" either
            return True
        assert isinstance(answer, dict)
        return not answer["ready"]

    with injected(writer_of(site.pid), "fsync,fdatasync", f"delay_enter={STUCK_MICROSECONDS}"):
        eventually(unready, "it no longer says that it is ready", FRESH_SECONDS + 20)
        site.kill()
