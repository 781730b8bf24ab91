"""A site of its own for an end-to-end test: files with free ports, partners that keep a ledger, the real daemon."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from click.testing import CliRunner

from referral_engine.cli.main import main
from referral_engine.hl7.ack import Code, acknowledge, read_ack
from referral_engine.hl7.message import Message
from referral_engine.hl7.mllp import Deframer, enframe

ROOT: Final = Path(__file__).resolve().parents[2]
SAMPLES: Final = ROOT / "sample_messages"
HOST: Final = "127.0.0.1"
PATIENCE_SECONDS: Final = 40.0  # for a busy machine; nothing waits that long when all is well
LOOK_SECONDS: Final = 0.02
PORTS: Final = range(20_000, 32_000)  # below those the kernel gives to outgoing connections
T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """The first true answer of `look`; fails with `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:.0f} seconds: {what}; last seen: {found!r}"
        time.sleep(LOOK_SECONDS)


def free_port() -> int:
    """A port nobody listens on, and that no outgoing connection is given."""
    chance = random.SystemRandom()
    while True:
        port = chance.choice(PORTS)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


def sample(name: str, changes: dict[str, str] | None = None) -> bytes:
    """A sample message, with these fields changed."""
    raw = (SAMPLES / name).read_bytes()
    return Message.parse(raw).with_fields(changes) if changes else raw


def an_order(number: str, name: str = "orm-o01-cardiology-ppo.hl7", **changes: str) -> bytes:
    """A new order of a new patient: `number` (letters and digits) is in MSH-10, the order number and the MRN."""
    own = {
        "MSH-10": f"C{number}", "ORC-2.1": f"P-{number}", "OBR-2.1": f"P-{number}", "PID-3.1": f"M{number}",
        "PID-5.1": f"Family{number}",
    }  # fmt: skip
    return sample(name, own | {path.replace("_", "-", 1).replace("_", "."): value for path, value in changes.items()})


def control_id(message: bytes) -> str:
    """MSH-10."""
    return Message.parse(message).value("MSH-10")


@dataclass
class Partner:
    """One made-up EHR or specialist on a thread: an MLLP server that remembers every byte and answers as told."""

    answers: Code = "AA"
    ledger: list[tuple[str, bytes]] = field(default_factory=list)  # MSH-10 and the message, as they came
    port: int = 0
    _server: socketserver.ThreadingTCPServer | None = None

    def open(self) -> None:
        """Listen on a free port."""
        partner = self

        class Line(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                deframer = Deframer()
                with suppress(OSError):
                    while chunk := self.request.recv(65536):
                        for frame in deframer.feed(chunk):
                            self.request.sendall(enframe(partner.answer(frame)))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 64

        self._server = Server((HOST, 0), Line)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, frame: bytes) -> bytes:
        """Keep the message, then say what was told to say."""
        message = Message.parse(frame)
        self.ledger.append((message.value("MSH-10"), frame))
        return acknowledge(
            message.header, message.delimiters, message.charset,
            code=self.answers, control_id=f"A{len(self.ledger):06d}", at=datetime.now(UTC),
        )  # fmt: skip

    def received(self, wire_id: str) -> list[bytes]:
        """Every message that came under this MSH-10."""
        return [frame for number, frame in list(self.ledger) if number == wire_id]

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit status."""

    exit_status: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.out, f"exit status {self.exit_status}: {self.err}"
        return json.loads(self.out)


@dataclass
class Site:
    """One directory with conf/, channels/ and var/, its partners, and at most one daemon."""

    root: Path
    port: int = 0
    partners: dict[str, Partner] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    ready_line: str = ""

    def lay_out(self, *, as_shipped: bool = False) -> None:
        """Copy the project's files; every port is replaced, and retries come at once, unless all else is as shipped."""
        shutil.copytree(ROOT / "conf", self.root / "conf")
        shutil.copytree(ROOT / "channels", self.root / "channels")
        self.port = free_port()
        for name in ("ehr", "cardiology-heart-group", "imaging-northside"):
            self.partners[name] = Partner()
            self.partners[name].open()
        self._rewrite("conf/engine.toml", r"port( +)= 2575", rf"port\1= {self.port}")
        self._rewrite("conf/engine.toml", r"port( +)= 2576", rf"port\1= {self.partners['ehr'].port}")
        for name, port in (("cardiology-heart-group", 6661), ("imaging-northside", 6662)):
            self._rewrite(f"channels/{name}.toml", rf"port( +)= {port}", rf"port\1= {self.partners[name].port}")
        if as_shipped:
            return
        self._rewrite("channels/orthopaedics-lakeside.toml", r"(?m)^send_hours = .*\n", "")  # whatever day it is today
        soon = 'first = "1 second", longest = "2 seconds"'
        for name in ("conf/engine.toml", "channels/cardiology-heart-group.toml"):
            self._rewrite(name, r'first = "30 seconds", longest = "15 minutes"', soon)

    def add(self, name: str, text: str) -> None:
        """One more line at the end of a file."""
        path = self.root / name
        path.write_text(path.read_text() + text)

    def lines_of(self, table: str, *lines: str) -> None:
        """More lines in a table of conf/engine.toml."""
        self._rewrite("conf/engine.toml", rf"(?m)^\[{table}\]$", "\n".join((f"[{table}]", *lines)))

    def _rewrite(self, name: str, pattern: str, replacement: str) -> None:
        path = self.root / name
        text, count = re.subn(pattern, replacement, path.read_text())
        assert count == 1, f"{name}: {pattern} is there {count} times"
        path.write_text(text)

    @property
    def var(self) -> Path:
        """Where the daemon keeps everything."""
        return self.root / "var"

    @property
    def log(self) -> str:
        """All the daemon ever said on stderr."""
        path = self.root / "stderr.log"
        return path.read_text() if path.exists() else ""

    @property
    def pid(self) -> int:
        """Of the daemon that runs."""
        assert self.process is not None, "it was started"
        return self.process.pid

    def start(self) -> str:
        """Start the daemon and wait for its ready line, which is returned."""
        self.spawn()
        assert self.process is not None
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline()
        assert "is ready" in self.ready_line, self.ready_line + self.log
        return self.ready_line

    def spawn(self) -> None:
        """Start a daemon process on this site, ready or not."""
        with (self.root / "stderr.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "referral_engine", "run", "--conf", "conf/engine.toml"],
                cwd=self.root, env=environment(), text=True, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip

    def exit_status(self) -> int:
        """Wait until the daemon has ended by itself; its exit status."""
        return self._end(None)

    def kill(self) -> None:
        """End the daemon as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End the daemon as systemd would; its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals | None) -> int:
        process = self.process
        assert process is not None, "it was started"
        if number is not None:
            process.send_signal(number)
        status = process.wait(PATIENCE_SECONDS)
        if process.stdout is not None:
            process.stdout.close()
        self.process = None
        return status

    def close(self) -> None:
        """End what is still there."""
        if self.process is not None:
            self.kill()
        for partner in self.partners.values():
            partner.close()

    def ask(self, *words: str) -> Said:
        """A command in this process, about the daemon of this site."""
        control = str(self.var / "control.sock")
        result = CliRunner().invoke(main, words, env={"REFERRAL_ENGINE_SOCKET": control}, catch_exceptions=False)
        return Said(result.exit_code, result.stdout, result.stderr)

    def ask_json(self, *words: str) -> Any:
        """The JSON a command prints."""
        return self.ask(*words, "--json").json()

    def send(self, *messages: bytes) -> list[str]:
        """Messages over one connection, one by one; the code of each answer."""
        with closing(Line(self.port)) as line:
            return [line.exchange(message) for message in messages]

    def referral_of(self, placer_number: str) -> str:
        """The id of the referral with this order number."""
        return str(self.ask_json("show", placer_number)["id"])

    def sendings(self, referral: str, **wanted: str) -> list[dict[str, Any]]:
        """Everything ever owed for a referral, oldest first, where all of `wanted` holds."""
        rows = [row for row in self.ask_json("outbox", "--all", "--limit", "10000") if row["referral"] == referral]
        return [row for row in reversed(rows) if all(row[name] == value for name, value in wanted.items())]


class Line:
    """A sender's connection to the engine."""

    def __init__(self, port: int) -> None:
        self._wire = socket.create_connection((HOST, port), timeout=PATIENCE_SECONDS)
        self._deframer = Deframer()

    def exchange(self, message: bytes) -> str:
        """One message out, the code of its answer in.  Raises OSError when there is none."""
        self._wire.sendall(enframe(message))
        while chunk := self._wire.recv(65536):
            for frame in self._deframer.feed(chunk):
                ack = read_ack(frame)
                assert ack.control_id == control_id(message), "answers come in order"
                return ack.code
        raise ConnectionResetError("closed without an answer")

    def close(self) -> None:
        """Hang up."""
        self._wire.close()


def environment() -> dict[str, str]:
    """What a process of the project needs; nothing of systemd's."""
    ours = {name: value for name, value in os.environ.items() if not name.endswith("_DIRECTORY")}
    return {**ours, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}


def program(*words: str, cwd: Path = ROOT, seconds: float = 90.0) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "referral_engine", *words],
        cwd=cwd, env=environment(), text=True, capture_output=True, timeout=seconds,
    )  # fmt: skip
