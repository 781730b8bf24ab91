"""P1: once one byte of AA has left, the message is kept, whatever happens to the process.

The power cuts are in tests/power, the long mixtures of all faults in tests/torture and tests/e2e.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.e2e.support import Line, Site, an_order, control_id, eventually, sample
from tests.torture.injection import injected, needs_injection, writer_of

ATTEMPTS = 3  # to hit the moment: what else the daemon says cannot be told apart from outside


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose daemon runs; each test leaves it running."""
    needs_injection()
    made = Site(tmp_path_factory.mktemp("custody"))
    try:
        made.lay_out()
        made.start()
        yield made
    finally:
        made.close()


def settled(site: Site) -> None:
    """Wait until nothing is on its way, so that the next system calls are about what comes next."""
    site.send(sample("adt-a08-new-phone.hl7", {"MSH-10": f"W{time.monotonic_ns()}"}))
    eventually(lambda: site.ask_json("status")["outbox"]["in-flight"] == 0, "nothing is in flight")


def killed_at(site: Site, pid: int, calls: str, message: bytes, *, when: int = 1) -> None:
    """Send a message; a process is killed by its `when`th system call of these, not carried out. No answer comes."""
    with closing(Line(site.port)) as line, injected(pid, calls, f"error=EIO:signal=KILL:when={when}"):
        with pytest.raises(OSError):  # noqa: PT011  # reset or closed, as the kernel likes
            line.exchange(message)
        assert site.exit_status() != 0


def times_kept(site: Site, message: bytes) -> int:
    """How many rows of the journal are this message."""
    return sum(row["control_id"] == control_id(message) for row in site.ask_json("messages"))


# F-A01 F-D08 H071 H072
def test_killed_between_commit_and_answer_the_message_is_kept_and_the_same_again_is_answered(site: Site) -> None:
    for attempt in range(ATTEMPTS):
        order = an_order(f"C1{attempt}")
        settled(site)
        pid = site.pid
        killed_at(site, pid, "sendto", order, when=2 if writer_of(pid) != pid else 1)  # after the one to the journal
        site.start()
        if times_kept(site, order):
            break
    else:
        pytest.fail("it was never killed after the commit")

    assert site.send(order) == ["AA"]
    assert times_kept(site, order) == 1
    referral = site.referral_of(f"P-C1{attempt}")
    eventually(lambda: site.sendings(referral, kind="order", state="delivered"), "the packet went out")
    assert len(site.sendings(referral, kind="order")) == 1


# F-A02
def test_killed_between_frame_and_commit_nothing_is_kept_and_the_same_again_is_kept_once(site: Site) -> None:
    order = an_order("C2")
    settled(site)

    killed_at(site, writer_of(site.pid), "pwrite64", order)
    site.start()

    assert times_kept(site, order) == 0
    assert site.send(order) == ["AA"]
    assert times_kept(site, order) == 1


# M3
@pytest.mark.torture
def test_killed_by_the_sync_of_a_commit_the_same_again_is_kept_once(site: Site) -> None:
    order = an_order("C3")
    settled(site)

    killed_at(site, writer_of(site.pid), "fsync,fdatasync", order)
    site.start()

    assert times_kept(site, order) in (0, 1), "what was written and not synced may be there"
    assert site.send(order) == ["AA"]
    assert times_kept(site, order) == 1


# F-D07
def test_a_sender_that_hangs_up_before_its_answer_is_not_forgotten(site: Site) -> None:
    order = an_order("C4")
    with closing(Line(site.port)) as line:
        line._wire.sendall(b"\x0b" + order + b"\x1c\r")

    eventually(lambda: times_kept(site, order) == 1, "it is kept")

    assert site.send(order) == ["AA"]
    assert times_kept(site, order) == 1
