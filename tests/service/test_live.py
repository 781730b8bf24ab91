"""Real sockets on loopback: listeners plain and with TLS, the courier's client, and a whole daemon from start to stop."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.internet import reactor as installed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.threads import deferToThread

from referral_engine.base.errors import ConfigError, JournalError
from referral_engine.channels.book import Book
from referral_engine.channels.engine import EhrSettings, Engine, JournalSettings, Listener, Tls
from referral_engine.flow.inputs import Arrived
from referral_engine.hl7.ack import read_ack
from referral_engine.hl7.mllp import Deframer, enframe
from referral_engine.loop.events import Outcome
from referral_engine.service.assembly import EXIT_FENCED, Daemon
from referral_engine.service.clock import MachineClock
from referral_engine.service.control_client import ask
from referral_engine.service.door import Door
from referral_engine.service.executor import ThreadExecutor
from referral_engine.service.host import LocalHost
from referral_engine.service.listener import MllpListener
from referral_engine.service.places import Places
from referral_engine.service.world import World
from referral_engine.transports.mllp import TLS_FAILED, MllpPeer
from referral_engine.transports.reactor import Reactor
from referral_engine.transports.tls import client_context, server_context
from tests.service import certificates
from tests.service.doubles import RecordingStep
from tests.transports.peers import effect

reactor = cast("Reactor", installed)
Work = Callable[[int], Any]
MESSAGE = b"MSH|^~\\&|EHR|SPRINGFIELD|RE|RE|20260105||ADT^A08^ADT_A01|MSG1|P|2.5.1\rPID|1||1^^^X^MR||DOE^JANE\r"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates.make(tmp_path_factory.mktemp("pem"))


def _exchange(wire: socket.socket, *messages: bytes, close_first: bool = False) -> list[bytes]:
    """Send all messages at once and read that many answers, or up to the close."""
    wire.settimeout(5)
    wire.sendall(b"".join(enframe(message) for message in messages))
    if close_first:
        wire.shutdown(socket.SHUT_WR)
    deframer, answers = Deframer(), list[bytes]()
    while len(answers) < len(messages) and (chunk := wire.recv(65536)):
        answers += deframer.feed(chunk)
    return answers


async def _served(
    work: Work, *, step: RecordingStep | None = None, tls: Tls | None = None, pem: Path | None = None
) -> Any:
    """Run `work` in a thread against a live listener over a live journal thread."""
    executor = ThreadExecutor(reactor)
    door = Door(host=LocalHost(step=step or RecordingStep(), read=lambda: None, executor=executor), clock=reactor)
    context = server_context(tls, lambda name: (pem or Path()).joinpath(name).read_bytes(), "test") if tls else None
    listener = MllpListener(Listener(port=0, tls=tls), door=door, clock=reactor, tls=context)
    door.on_batch.append(listener.flush)
    door.on_fenced.append(listener.drop)
    listener.listen(reactor)
    try:
        return await deferToThread(work, listener.port)
    finally:
        await listener.stop()
        await executor.stop()


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest_twisted.ensureDeferred
async def test_a_burst_on_one_connection_is_answered_in_order() -> None:
    messages = [b"message %d" % number for number in range(200)]

    def work(port: int) -> list[bytes]:
        with closing(_connect(port)) as wire:
            return _exchange(wire, *messages)

    assert await _served(work) == [b"ACK " + message for message in messages]


@pytest_twisted.ensureDeferred
async def test_a_peer_that_half_closes_still_gets_its_answer() -> None:
    def work(port: int) -> Any:
        with closing(_connect(port)) as wire:
            return _exchange(wire, b"1", close_first=True), wire.recv(10)

    assert await _served(work) == ([b"ACK 1"], b"")


@pytest_twisted.ensureDeferred
async def test_the_answer_to_a_good_frame_survives_the_close_for_a_bad_one() -> None:
    def work(port: int) -> Any:
        with closing(_connect(port)) as wire:
            wire.settimeout(5)
            wire.sendall(enframe(b"1") + b"\x0bMSH|\x1cbinary")
            wire.sendall(b"and more that nobody will read" * 2000)
            deframer, answers = Deframer(), list[bytes]()
            while chunk := wire.recv(65536):
                answers += deframer.feed(chunk)
            return answers

    assert await _served(work) == [b"ACK 1"]


@pytest_twisted.ensureDeferred
async def test_a_fenced_journal_says_nothing_hangs_up_and_listens_no_more() -> None:
    step = RecordingStep()
    step.fails_with = JournalError("disk")

    def work(port: int) -> Any:
        with closing(_connect(port)) as wire:
            wire.settimeout(5)
            try:
                wire.sendall(enframe(b"1"))
                said = wire.recv(100)
            except ConnectionResetError:
                said = b""
        with pytest.raises(ConnectionRefusedError):
            _connect(port)
        return said

    assert await _served(work, step=step) == b""


def _tls_client(pem: Path, certificate: str = "", ca: str = "ca.pem") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pem / ca))
    if certificate:
        context.load_cert_chain(str(pem / certificate))
    return context


@pytest_twisted.ensureDeferred
async def test_tls_carries_messages_and_the_certificates_subject(pem: Path) -> None:
    step = RecordingStep()

    def work(port: int) -> list[bytes]:
        context = _tls_client(pem, "client.pem")
        with closing(_connect(port)) as raw, context.wrap_socket(raw, server_hostname="localhost") as wire:
            return _exchange(wire, b"1", b"2")

    settings = Tls(cert="server.pem", ca="ca.pem", require_client_cert=True)
    assert await _served(work, step=step, tls=settings, pem=pem) == [b"ACK 1", b"ACK 2"]
    assert {one.certificates for one in step.committed if isinstance(one, Arrived)} == {
        ("DNS:localhost", "IP:127.0.0.1", "CN:client")
    }


@pytest_twisted.ensureDeferred
async def test_tls_without_client_certificates_takes_anyone_who_trusts_us(pem: Path) -> None:
    def work(port: int) -> list[bytes]:
        with closing(_connect(port)) as raw, _tls_client(pem).wrap_socket(raw, server_hostname="localhost") as wire:
            return _exchange(wire, b"1")

    assert await _served(work, tls=Tls(cert="server.pem"), pem=pem) == [b"ACK 1"]


@pytest.mark.parametrize("certificate", ["", "stranger.pem", "late.pem"])
@pytest_twisted.ensureDeferred
async def test_without_a_certificate_of_our_ca_nothing_gets_through(pem: Path, certificate: str) -> None:
    step = RecordingStep()

    def work(port: int) -> list[bytes]:
        context = _tls_client(pem, certificate)
        try:
            with closing(_connect(port)) as raw, context.wrap_socket(raw, server_hostname="localhost") as wire:
                return _exchange(wire, b"1")
        except OSError:  # ssl.SSLError is one
            return []

    settings = Tls(cert="server.pem", ca="ca.pem", require_client_cert=True)
    assert await _served(work, step=step, tls=settings, pem=pem) == []
    assert step.committed == []


@pytest_twisted.ensureDeferred
async def test_tls_below_1_2_is_refused(pem: Path) -> None:
    def work(port: int) -> str:
        context = _tls_client(pem)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        try:
            with closing(_connect(port)) as raw, context.wrap_socket(raw, server_hostname="localhost"):
                return "connected"
        except OSError:
            return "refused"

    assert await _served(work, tls=Tls(cert="server.pem"), pem=pem) == "refused"


def test_a_listener_that_demands_certificates_must_know_who_signs_them(pem: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        server_context(Tls(cert="server.pem", require_client_cert=True), lambda name: (pem / name).read_bytes(), "x")

    assert "tls.ca" in caught.value.problems[0].sentence


@pytest.mark.parametrize("tls", [Tls(cert="missing.pem"), Tls(cert="server.pem", key="client.pem"), Tls(cert="ca.pem")])
def test_a_certificate_that_cannot_be_used_is_a_problem_of_the_configuration(pem: Path, tls: Tls) -> None:
    with pytest.raises(ConfigError):
        server_context(tls, lambda name: (pem / name).read_bytes(), "listener x")


async def _delivered(port: int, pem: Path, tls: Tls | None) -> Any:
    endpoint: Any = HostnameEndpoint(installed, "127.0.0.1", port)
    if tls is not None:
        endpoint = wrapClientTLS(
            client_context(tls, "127.0.0.1", lambda name: (pem / name).read_bytes(), "test"), endpoint
        )
    peer = MllpPeer(endpoint=endpoint, timer=reactor, peer="", tls=tls is not None, ack_timeout_seconds=5.0)
    try:
        return await peer.deliver(effect(wire_id="MSG1", body=MESSAGE), lambda: True)
    finally:
        peer.stop()


@pytest.mark.parametrize(
    ("server", "client", "expected"),
    [
        (None, None, Outcome.DELIVERED),
        (Tls(cert="server.pem"), Tls(ca="ca.pem"), Outcome.DELIVERED),
        (
            Tls(cert="server.pem", ca="ca.pem", require_client_cert=True),
            Tls(ca="ca.pem", cert="client.pem"),
            Outcome.DELIVERED,
        ),
        (Tls(cert="server.pem"), Tls(ca="others.pem"), Outcome.RETRY),
        (Tls(cert="server.pem"), Tls(ca="ca.pem", server_name="elsewhere.example"), Outcome.RETRY),
    ],
)
@pytest_twisted.ensureDeferred
async def test_the_client_speaks_to_whom_it_trusts_and_to_nobody_else(
    pem: Path, server: Tls | None, client: Tls | None, expected: Outcome
) -> None:
    step = RecordingStep()
    answer = b"MSH|^~\\&|||||||ACK|9|P|2.5.1\rMSA|AA|MSG1\r"
    from referral_engine.flow.inputs import Receipt

    step.answers = lambda _given: Receipt(answer=answer)
    executor = ThreadExecutor(reactor)
    door = Door(host=LocalHost(step=step, read=lambda: None, executor=executor), clock=reactor)
    context = server_context(server, lambda name: (pem / name).read_bytes(), "x") if server else None
    listener = MllpListener(Listener(port=0, tls=server), door=door, clock=reactor, tls=context)
    door.on_batch.append(listener.flush)
    listener.listen(reactor)

    attempt = await _delivered(listener.port, pem, client)
    await listener.stop()
    await executor.stop()

    assert attempt.outcome is expected
    if expected is Outcome.RETRY:
        assert attempt.reason == TLS_FAILED
        assert step.committed == []


# -- a whole daemon


def _daemon(tmp_path: Path, **engine: Any) -> Daemon:
    settings = Engine(
        listeners=(Listener(port=0),), journal=JournalSettings(), ehr=EhrSettings(port=9, host="127.0.0.1"), **engine
    )
    places = Places(root=tmp_path, state=tmp_path / "state", runtime=tmp_path / "run")
    world = World(reactor=reactor, clock=MachineClock(), places=places, chance=lambda: 0.5)
    (tmp_path / "state").mkdir(exist_ok=True)
    return Daemon(Book(engine=settings), world, questions={})


@pytest_twisted.ensureDeferred
async def test_a_daemon_starts_answers_over_both_sockets_and_stops_in_seconds(tmp_path: Path) -> None:
    daemon = _daemon(tmp_path)
    await daemon.start()

    def work() -> Any:
        with closing(_connect(daemon.ports["default"])) as wire:
            (answer,) = _exchange(wire, MESSAGE)
            return answer, ask(daemon.control_path, "status")

    answer, status = await deferToThread(work)
    silent = await deferToThread(_connect, daemon.ports["default"])
    started = time.monotonic()
    await daemon.stop()
    silent.close()

    assert read_ack(answer).control_id == "MSG1"
    assert status["listeners"][0]["frames"] == 1
    assert status["door"]["fenced"] == ""
    assert time.monotonic() - started < 5
    assert not daemon.ready
    assert not (tmp_path / "run" / "control.sock").exists()
    assert (tmp_path / "state" / "journal.db").exists()


@pytest_twisted.ensureDeferred
async def test_a_message_sent_again_after_a_restart_gets_the_first_answer(tmp_path: Path) -> None:
    answers: list[bytes] = []
    for _ in range(2):
        daemon = _daemon(tmp_path)
        await daemon.start()

        def work(port: int) -> list[bytes]:
            with closing(_connect(port)) as wire:
                return _exchange(wire, MESSAGE)

        answers += await deferToThread(work, daemon.ports["default"])
        await daemon.stop()

    assert answers[0] == answers[1]


@pytest_twisted.ensureDeferred
async def test_a_port_that_somebody_has_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        daemon = _daemon(tmp_path)
        settings = Engine(listeners=(Listener(port=taken.getsockname()[1]),))
        daemon._book = Book(engine=settings)

        with pytest.raises(ConfigError) as caught:
            await daemon.start()

    assert "cannot listen on 127.0.0.1" in caught.value.problems[0].sentence


@pytest_twisted.ensureDeferred
async def test_a_daemon_whose_disk_fails_finishes_with_74(tmp_path: Path) -> None:
    daemon = _daemon(tmp_path)
    await daemon.start()
    assert daemon._running is not None
    door, port = daemon._running.door, daemon.ports["default"]

    def failing(_inputs: object) -> Any:
        raise JournalError("disk")

    door.host._step.run = failing  # type: ignore[method-assign]

    def work() -> bytes:
        try:
            with closing(_connect(port)) as wire:
                wire.sendall(enframe(MESSAGE))
                return wire.recv(100)
        except ConnectionError:  # cut, or the daemon's own pulse found the fault before we came
            return b""

    said = await deferToThread(work)
    status = await daemon.finished
    await daemon.stop()

    assert (said, status) == (b"", EXIT_FENCED)


# -- the process

_PROGRAM = """
import os, sys
from referral_engine.service.daemon import run_daemon
def ready(daemon):
    print(daemon.ports["default"], flush=True)
def complain(error):
    print("complaint", *[problem.code for problem in getattr(error, "problems", ())], flush=True)
sys.exit(run_daemon(sys.argv[1], os.environ, announce=ready, complain=complain))
"""


def _process(tmp_path: Path, text: str) -> subprocess.Popen[str]:
    engine = tmp_path / "conf" / "engine.toml"
    engine.parent.mkdir()
    engine.write_text(text)
    environ = {**os.environ, "STATE_DIRECTORY": str(tmp_path / "state"), "RUNTIME_DIRECTORY": str(tmp_path / "run")}
    (tmp_path / "state").mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(engine)],
        env=environ, cwd=Path(__file__).parents[2], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_sigterm_ends_the_process_cleanly_within_five_seconds_even_with_a_silent_peer(tmp_path: Path) -> None:
    with _process(tmp_path, '[[listener]]\nname = "default"\nport = 0\n') as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.strip().isdigit(), said + (process.stderr.read() if process.stderr else "")
        with closing(_connect(int(said))) as wire:
            wire.settimeout(5)
            wire.sendall(enframe(MESSAGE))
            answered = wire.recv(65536)
            wire.sendall(b"\x0bMSH|half a frame")
            started = time.monotonic()
            process.terminate()
            _, log = process.communicate(timeout=10)

    assert b"MSA|" in answered
    assert process.returncode == 0, log
    assert time.monotonic() - started < 5
    assert "DOE" not in log
    assert all(json.loads(line)["event"] for line in log.splitlines())


def test_wrong_files_end_the_process_with_78(tmp_path: Path) -> None:
    with _process(tmp_path, "[listener\n") as process:
        said, _ = process.communicate(timeout=30)

    assert process.returncode == 78
    assert said.startswith("complaint")
