"""A real daemon whose disk is slow, that is paused, stopped under load, or started twice: nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from referral_engine.torture.daemon import children_of
from referral_engine.torture.wire import Cutter, answer_code, answered_for, framed
from tests.e2e.support import HOST, PATIENCE_SECONDS, Site, an_order, control_id, eventually
from tests.torture.budget import seconds
from tests.torture.injection import injected, needs_injection, writer_of

STORAGE_STATUS = 74
LOST_STATUS = 1  # systemd starts it again
SENDERS = 6
WINDOW = 6  # messages each sender has on their way at once
SLOW_MICROSECONDS = 300_000  # a sync, in `make test`
VERY_SLOW_MICROSECONDS = 2_000_000


@dataclass
class Pipe:
    """A sender that sends everything at once, and keeps what it was told in the order it came."""

    port: int
    messages: list[bytes]
    told: list[tuple[bytes, bytes]] = field(default_factory=list)  # MSA-2 and MSA-1

    def run(self) -> None:
        """Until all is answered, or nobody is there any more."""
        cutter = Cutter()
        try:
            with closing(socket.create_connection((HOST, self.port), timeout=PATIENCE_SECONDS)) as wire:
                for message in self.messages:
                    wire.sendall(framed(message))
                while len(self.told) < len(self.messages) and (chunk := wire.recv(65536)):
                    self.told += [(answered_for(answer), answer_code(answer)) for answer in cutter.feed(chunk)]
        except OSError:
            return


def all_at_once(pipes: list[Pipe]) -> list[threading.Thread]:
    """Let them all send; the threads they do it in."""
    threads = [threading.Thread(target=pipe.run, daemon=True) for pipe in pipes]
    for thread in threads:
        thread.start()
    return threads


def check_told(site: Site, pipes: list[Pipe]) -> None:
    """Everybody was told AA for the messages in their order; the rest is sent again; each is there once."""
    for pipe in pipes:
        expected = [(control_id(message).encode(), b"AA") for message in pipe.messages]
        assert pipe.told == expected[: len(pipe.told)], "answers come in the order of their messages"
        rest = pipe.messages[len(pipe.told) :]
        assert site.send(*rest) == ["AA"] * len(rest)
    sent = Counter(control_id(message) for pipe in pipes for message in pipe.messages)
    kept = Counter(row["control_id"] for row in site.ask_json("messages", "--limit", "10000"))
    assert {number: kept[number] for number in sent} == dict(sent)


def pipes_of(site: Site, prefix: str) -> list[Pipe]:
    """Senders with orders of their own."""
    return [
        Pipe(site.port, [an_order(f"{prefix}{sender}N{number}") for number in range(WINDOW)])
        for sender in range(SENDERS)
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose daemon runs; each test leaves it running."""
    made = Site(tmp_path_factory.mktemp("running"))
    try:
        made.lay_out()
        made.start()
        yield made
    finally:
        made.close()


# F-B14 H057
@pytest.mark.parametrize(
    "microseconds", [SLOW_MICROSECONDS, pytest.param(VERY_SLOW_MICROSECONDS, marks=pytest.mark.torture)]
)
def test_a_slow_disk_makes_the_batches_larger_and_keeps_the_answers_in_order(site: Site, microseconds: int) -> None:
    needs_injection()
    pipes = pipes_of(site, f"S{microseconds}")
    before = site.ask_json("status")["door"]["batches"]

    with injected(writer_of(site.pid), "fsync,fdatasync", f"delay_exit={microseconds}"):
        for thread in all_at_once(pipes):
            thread.join(PATIENCE_SECONDS)

    assert [len(pipe.told) for pipe in pipes] == [WINDOW] * SENDERS
    check_told(site, pipes)
    assert site.ask_json("status")["door"]["largest_batch"] >= SENDERS, "what waited was committed together"
    assert site.ask_json("status")["door"]["batches"] > before


# F-A13
def test_a_machine_that_sleeps_in_the_middle_of_the_load_goes_on_where_it_was(site: Site) -> None:
    pipes = pipes_of(site, "P")
    pids = [site.pid, *children_of(site.pid)]

    threads = all_at_once(pipes)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(0.5)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    for thread in threads:
        thread.join(PATIENCE_SECONDS)

    assert [len(pipe.told) for pipe in pipes] == [WINDOW] * SENDERS
    check_told(site, pipes)


# F-A11 H084
def test_a_second_daemon_on_the_same_journal_refuses_and_the_first_goes_on(site: Site) -> None:
    second = Site(site.root, port=site.port, partners=site.partners)

    second.spawn()

    assert second.exit_status() == STORAGE_STATUS
    assert "in use by another process" in site.log
    assert site.send(an_order("T1")) == ["AA"]


# F-A11
@pytest.mark.torture
def test_the_lock_of_a_daemon_that_was_killed_holds_nobody_up(site: Site) -> None:
    site.kill()

    site.start()

    assert site.send(an_order("T2")) == ["AA"]


def stopped_under_load(site: Site, prefix: str) -> None:
    """SIGTERM while everybody is sending; start again, and whoever was not told sends again."""
    pipes = pipes_of(site, prefix)
    threads = all_at_once(pipes)
    time.sleep(0.05)

    status = site.stop()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)

    assert status == 0
    site.start()
    check_told(site, pipes)


# F-A06
def test_sigterm_under_load_ends_with_0_and_whoever_was_not_told_sends_again(site: Site) -> None:
    stopped_under_load(site, "E")

    eventually(
        lambda: not [row for row in site.ask_json("outbox", "--limit", "10000") if row["state"] == "in-flight"],
        "no lease was left behind",
    )
    assert "Traceback" not in site.log


@pytest.mark.torture
def test_sigterm_under_load_again_and_again(site: Site) -> None:
    until = time.monotonic() + seconds(1 / 12)
    number = 0
    while time.monotonic() < until:
        number += 1
        stopped_under_load(site, f"G{number}")

    assert "Traceback" not in site.log


# F-A05, F-A09
def test_without_its_journals_process_the_daemon_answers_nobody_and_ends_so_that_it_is_started_again(
    site: Site,
) -> None:
    assert site.send(an_order("J1")) == ["AA"]
    (journal,) = children_of(site.pid)

    os.kill(journal, signal.SIGKILL)

    assert site.exit_status() == LOST_STATUS
    assert "The journal's process ended." in site.log
    site.start()
    assert site.send(an_order("J1")) == ["AA"]
    assert [row["control_id"] for row in site.ask_json("messages")].count(control_id(an_order("J1"))) == 1


def test_no_process_is_left_when_the_daemon_alone_is_killed(site: Site) -> None:
    (journal,) = children_of(site.pid)

    os.kill(site.pid, signal.SIGKILL)
    site.exit_status()

    eventually(lambda: not Path(f"/proc/{journal}").exists(), "the journal's process ended with it")
    site.start()  # the site is everybody's here
