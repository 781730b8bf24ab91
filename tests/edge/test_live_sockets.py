"""What only a kernel can show: keepalive, half-closed and blocked sockets, ports in TIME_WAIT, no descriptors left."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import MutableMapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from structlog.testing import capture_logs
from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from referral_engine.base.errors import JournalError
from referral_engine.channels.engine import Listener, Tls
from referral_engine.channels.partner import Limits, Partner
from referral_engine.flow.inputs import Input, Receipt
from referral_engine.service.connection import MllpConnection
from referral_engine.service.listener import MllpListener
from referral_engine.transports.wire import socket_of
from tests.edge.live import connected, ended, exchanged, serving, until
from tests.service import certificates
from tests.service.doubles import RecordingStep

ROOT = Path(__file__).parents[2]
KEEPALIVE = {
    "SO_KEEPALIVE": (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    "TCP_KEEPIDLE": (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    "TCP_KEEPINTVL": (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    "TCP_KEEPCNT": (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    "TCP_USER_TIMEOUT": (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 90_000),
    "TCP_NODELAY": (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
}


class SlowStep(RecordingStep):
    """Commits when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.may = threading.Event(), threading.Event()

    def run(self, inputs: Sequence[Input]) -> list[Receipt]:
        self.began.set()
        assert self.may.wait(20)
        return super().run(inputs)


def _only(listener: MllpListener) -> MllpConnection:
    """The one connection there is."""
    (connection,) = listener._connections
    assert isinstance(connection, MllpConnection)
    return connection


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates.make(tmp_path_factory.mktemp("pem"))


@pytest.mark.parametrize("tls", [None, Tls(cert="server.pem")])
@pytest_twisted.ensureDeferred
async def test_every_accepted_socket_is_watched_by_the_kernel(tls: Tls | None, pem: Path) -> None:  # H019, F-D01
    async with serving(Listener(port=0, tls=tls), pem=pem) as listener:
        wire = await deferToThread(connected, listener.port)
        await until(lambda: listener._connections)
        accepted = socket_of(_only(listener).transport)
        assert accepted is not None

        found = {name: accepted.getsockopt(level, option) for name, (level, option, _) in KEEPALIVE.items()}
        wire.close()

    assert found == {name: value for name, (_, _, value) in KEEPALIVE.items()}


@pytest_twisted.ensureDeferred
async def test_a_half_closed_peer_gets_its_answer_and_costs_no_turns_of_the_reactor() -> None:  # H020
    step = SlowStep()
    async with serving(step=step) as listener:
        wire = await deferToThread(connected, listener.port)
        wire.sendall(b"\x0b1\x1c\r")
        wire.shutdown(socket.SHUT_WR)
        await deferToThread(step.began.wait, 10)
        connection = _only(listener)
        await until(lambda: connection._closing)

        watched = connection.transport in installed.getReaders()  # type: ignore[attr-defined]  # the installed reactor has it
        step.may.set()
        said = await deferToThread(ended, wire)
        wire.close()

    assert not watched
    assert said == b"\x0bACK 1\x1c\r"


@pytest_twisted.ensureDeferred
async def test_a_peer_that_never_reads_fills_no_memory_and_is_cut_while_others_are_served(  # H031
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("referral_engine.service.patience.WRITE_STALL_SECONDS_MAX", 0.2)
    monkeypatch.setattr("referral_engine.service.listener.LOOK_SECONDS", 0.05)
    letter = b"x" * 65_536
    frame = b"\x0b" + letter + b"\x1c\r"

    def flood(port: int) -> int:
        with closing(connected(port)) as wire:
            sent = 0
            try:
                while sent < 4_000:
                    wire.sendall(frame)
                    sent += 1
            except OSError:  # we are read no more, and then cut
                pass
            return sent

    async with serving() as listener:
        flooding = deferToThread(flood, listener.port)
        other = await deferToThread(connected, listener.port)
        while not listener.counts.errors:
            assert await deferToThread(exchanged, other, b"1") == [b"ACK 1"]
        sent = await flooding
        other.close()

    assert listener.counts.errors == {"answers-not-read": 1}
    assert sent < 4_000
    assert listener.counts.frames - listener.counts.answers <= 32 + 1


@pytest_twisted.ensureDeferred
async def test_a_port_in_time_wait_is_bound_again_at_once() -> None:  # H029
    async with serving() as listener:
        port = listener.port
        wire = await deferToThread(connected, port)
        await deferToThread(exchanged, wire, b"1")
        await listener.stop()  # our side closes first, so the port goes into TIME_WAIT
        await deferToThread(ended, wire)
        wire.close()

    async with serving(Listener(port=port)) as again:
        wire = await deferToThread(connected, port)
        assert await deferToThread(exchanged, wire, b"2") == [b"ACK 2"]
        wire.close()
    assert again.counts.accepted == 1


@pytest_twisted.ensureDeferred
async def test_a_port_that_somebody_took_during_a_pause_is_tried_again_until_it_is_free(  # H029, F-B03
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("referral_engine.service.listener.BIND_RETRY_SECONDS", 0.02)
    with capture_logs() as said:
        await _bound_again(said)


async def _bound_again(said: list[MutableMapping[str, Any]]) -> None:
    async with serving() as listener:
        port = listener.port
        listener.pause("disk-nearly-full")
        await deferLater(installed, 0)  # Twisted closes ports in the next turn
        with closing(socket.socket()) as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            thief.bind(("127.0.0.1", port))
            thief.listen()
            listener.resume_listening()
            await until(lambda: listener.counts.bind_failures >= 3)
            meanwhile = listener.status()
        await until(lambda: listener.listening)
        wire = await deferToThread(connected, port)
        answers = await deferToThread(exchanged, wire, b"1")
        wire.close()

    assert (meanwhile["listening"], meanwhile["port"]) == (False, 0)
    assert answers == [b"ACK 1"]
    assert any("cannot be bound again yet" in str(line["event"]) for line in said)


@pytest_twisted.ensureDeferred
async def test_a_paused_listener_refuses_connections_and_reads_again_afterwards() -> None:  # F-B04
    async with serving() as listener:
        port = listener.port
        wire = await deferToThread(connected, port)
        first = await deferToThread(exchanged, wire, b"1")
        listener.pause("disk-nearly-full")
        await deferLater(installed, 0)
        with pytest.raises(ConnectionRefusedError):
            await deferToThread(connected, port)
        answering = deferToThread(exchanged, wire, b"2")
        await deferLater(installed, 0.1)
        unread = listener.counts.frames
        listener.resume_listening()
        second = await answering
        wire.close()

    assert (first, unread, second) == ([b"ACK 1"], 1, [b"ACK 2"])


@pytest_twisted.ensureDeferred
async def test_busy_reaches_a_peer_that_is_still_sending() -> None:  # H051
    step = RecordingStep()
    step.fails_with = JournalError("disk full")
    heart = Partner(name="heart", when_unavailable="busy")

    def work(port: int) -> bytes:
        with closing(connected(port)) as wire:
            wire.sendall(b"\x0b1\x1c\r")
            wire.sendall(b"\x0b" + b"x" * 5_000_000)  # thrown away; a reset might cost the peer its answer
            return wire.recv(100) + wire.recv(100)

    async with serving(step=step, partner_of=lambda _peer, _shown: heart, busy=lambda _raw: b"later") as listener:
        said = await deferToThread(work, listener.port)

    assert said == b"\x0blater\x1c\r"


@pytest_twisted.ensureDeferred
async def test_health_checkers_leave_no_error_and_hold_no_seat() -> None:  # F-D12
    def check(port: int) -> None:
        for number in range(30):
            with closing(connected(port)) as wire:
                if number % 2:
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # leave with a reset

    async with serving(Listener(port=0, per_peer_max=100)) as listener:
        await deferToThread(check, listener.port)
        await until(lambda: listener.counts.silent == 30)

    assert (listener.counts.errors, listener.counts.refused, listener.status()["connections"]) == ({}, {}, 0)


@pytest_twisted.ensureDeferred
async def test_the_partners_of_one_machine_share_its_cap() -> None:  # F-D03
    heart = Partner(name="heart", limits=Limits(connections_max=2))

    def work(port: int) -> list[bytes]:
        with ExitStack() as stack:
            wires = [stack.enter_context(closing(connected(port))) for _ in range(3)]
            return [*exchanged(wires[0], b"1"), ended(wires[2])]

    async with serving(partner_of=lambda _peer, _certificates: heart) as listener:
        assert await deferToThread(work, listener.port) == [b"ACK 1", b""]

    assert listener.counts.refused == {"per-partner-max": 1}


# -- no descriptors left

_PROGRAM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from twisted.internet import reactor
from referral_engine.channels.engine import Listener
from referral_engine.service.door import Door
from referral_engine.service.executor import SynchronousExecutor
from referral_engine.service.host import LocalHost
from referral_engine.service.listener import MllpListener
from tests.service.doubles import RecordingStep

class Step(RecordingStep):
    def run(self, inputs):
        if sys.argv[1] != "0":
            with open("/dev/null"), open("/dev/null"):  # the journal needs files of its own
                pass
        return super().run(inputs)

host = LocalHost(step=Step(), read=lambda: None, executor=SynchronousExecutor())
door = Door(host=host, clock=reactor)
settings = Listener(port=0, per_peer_max=500)
listener = MllpListener(settings, door=door, clock=reactor, descriptors_max=int(sys.argv[1]))
door.on_batch.append(listener.flush)
listener.listen(reactor)
print("port", listener.port, flush=True)
reactor.run()
"""


def _flood(port: int, stack: ExitStack) -> list[socket.socket]:
    """Two hundred connections; a few may be cut while they are still being made."""
    wires = []
    for _ in range(200):
        with suppress(ConnectionError):
            wires.append(stack.enter_context(closing(connected(port))))
    return wires


def _served_sooner_or_later(port: int) -> list[bytes]:
    """The engine needs a moment to see that the flood is gone."""
    for _ in range(1000):
        with suppress(ConnectionError), closing(connected(port)) as late:
            if answers := exchanged(late, b"3"):
                return answers
    return []


@pytest.mark.parametrize("descriptors_max", [64, 0])  # 0: nothing is kept back, and accept itself fails
def test_a_process_without_descriptors_keeps_serving_and_recovers_without_a_restart(  # H033, F-A10
    descriptors_max: int,
) -> None:
    command: list[Any] = [sys.executable, "-c", _PROGRAM, str(descriptors_max)]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            port = int(next(line for line in process.stdout if line.startswith("port ")).split()[1])
            with closing(connected(port)) as early:
                before = exchanged(early, b"1")
                with ExitStack() as stack:
                    refused = sum(ended(wire) == b"" for wire in _flood(port, stack)[-20:])
                    during = exchanged(early, b"2")
                after = _served_sooner_or_later(port)
            alive = process.poll() is None
        finally:
            process.kill()

    assert (before, during, after) == ([b"ACK 1"], [b"ACK 2"], [b"ACK 3"])
    assert (refused, alive) == (20, True)
