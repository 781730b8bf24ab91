"""The processes a measurement needs: the daemon on a fresh encrypted journal, echo, sinks, load; each is ended."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from referral_engine.service.control_client import ask

ROOT: Final = Path(__file__).resolve().parents[1]
START_SECONDS_MAX: Final = 60
STOP_SECONDS_MAX: Final = 15
IDLE_PORT: Final = 9  # the discard port: nobody listens, so couriers are refused once and then wait

ENGINE: Final = """
[identity]
application = "REFERRAL_ENGINE"
facility = "SPRINGFIELD"
[listener]
bind = "127.0.0.1"
port = 0
per_peer_max = 1024
connections_max = 1024
[web]
port = 0
[ehr]
host = "127.0.0.1"
port = {ehr}
{retry}
[journal]
path = "var/journal.db"
key_file = "var/journal.key"
[gateway.rightfax]
directory = "var/spool/fax"
[calendar.chicago-clinic]
timezone = "America/Chicago"
"""
_IDLE_RETRY: Final = 'retry = { first = "1 hour", longest = "2 hours", give_up_after = "24 hours" }'
_PORT: Final = re.compile(r"^port +=.*$", re.MULTILINE)
_SEND_HOURS: Final = re.compile(r"(?m)^send_hours.*\n")  # what is measured leaves at any hour
_RETRY: Final = re.compile(r"^retry +=.*$", re.MULTILINE)
_READY: Final = re.compile(r"on port (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A process that listens."""

    process: subprocess.Popen[str]
    port: int
    folder: Path | None = None

    def pids(self) -> list[int]:
        """The process and those it started, in whatever number."""
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text(encoding="ascii").split())
        return found

    def memory_mib(self) -> tuple[float, float]:
        """VmRSS and VmHWM of all of them."""
        resident = peak = 0
        for pid in self.pids():
            text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
            found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", text, re.MULTILINE))
            resident += int(found["VmRSS"])
            peak += int(found["VmHWM"])
        return round(resident / 1024, 1), round(peak / 1024, 1)

    def descriptors(self) -> int:
        """How many files and sockets are open."""
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.pids())

    def cpu_seconds(self) -> float:
        """User and system time so far, of all of them."""
        ticks = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def status(self) -> dict[str, Any]:
        """What the daemon says of itself at its control socket."""
        assert self.folder is not None, "only the daemon has one"
        answer = ask(str(self.folder / "var" / "control.sock"), "status")
        assert isinstance(answer, dict), "status is an object"
        return answer

    def mean_batch(self) -> float:
        """Messages a commit, so far; 0.0 when the daemon does not say."""
        door = self.status().get("door", {})
        return float(door.get("inputs", 0)) / max(float(door.get("batches", 0)), 1.0)


def write_files(folder: Path, *, sinks: Sequence[int] = ()) -> Path:
    """The shipped configuration with loopback ports of ours; without sinks nobody is there and couriers wait."""
    ehr, *offices = sinks or (IDLE_PORT,)
    idle = "" if sinks else _IDLE_RETRY
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "conf", folder / "conf")
    (folder / "channels").mkdir()
    (folder / "conf" / "engine.toml").write_text(ENGINE.format(ehr=ehr, retry=idle), encoding="utf-8")
    for number, file in enumerate(sorted((ROOT / "channels").glob("*.toml"))):
        port = offices[number % len(offices)] if offices else IDLE_PORT
        head = file.read_text(encoding="utf-8").split("[[test]]", 1)[0]
        text = _SEND_HOURS.sub("", _PORT.sub(f"port = {port}", head))
        text = text if sinks else _RETRY.sub(_IDLE_RETRY, text)
        (folder / "channels" / file.name).write_text(text, encoding="utf-8")
    return folder / "conf" / "engine.toml"


@contextmanager
def daemon(*, sinks: Sequence[int] = ()) -> Iterator[Server]:
    """The real daemon on a journal of its own, encrypted."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with daemon_in(folder, write_files(folder, sinks=sinks)) as server:
            yield server


@contextmanager
def daemon_in(folder: Path, conf: Path) -> Iterator[Server]:
    """The real daemon with its state in `folder`/var, whatever is there already."""
    with (folder / "log").open("a", encoding="utf-8") as log:
        words = [sys.executable, "-m", "referral_engine", "run", "--conf", str(conf)]
        with running(words, cwd=folder, stderr=log) as process:
            line = _first_line(process)
            match = _READY.search(line)
            if match is None:
                raise RuntimeError(f"the daemon did not start: {line}{(folder / 'log').read_text(encoding='utf-8')}")
            yield Server(process=process, port=int(match[1]), folder=folder)


@contextmanager
def listening(module: str) -> Iterator[Server]:
    """A server of this folder that prints its port: "echo", "python_hl7", "responder"."""
    with running([sys.executable, "-m", f"benchmarks.{module}"]) as process:
        yield Server(process=process, port=int(_first_line(process)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sinks:
    """Ports that answer AA."""

    process: subprocess.Popen[str]
    ports: tuple[int, ...]

    def received(self) -> int:
        """How many messages came so far."""
        assert self.process.stdin is not None, "opened with a pipe"
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(_first_line(self.process))


@contextmanager
def sinks(count: int) -> Iterator[Sinks]:
    """As many sinks; the first stands for the EHR."""
    with running([sys.executable, "-m", "benchmarks.sinks", "--ports", str(count)], stdin=subprocess.PIPE) as process:
        yield Sinks(process=process, ports=tuple(json.loads(_first_line(process))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load generator that makes its messages while other things start."""

    process: subprocess.Popen[str]

    def against(self, port: int) -> dict[str, Any]:
        """Measure one listener; may be asked again, with the same messages."""
        assert self.process.stdin is not None, "opened with a pipe"
        self.process.stdin.write(f"{port}\n")
        self.process.stdin.flush()
        line = _first_line(self.process)
        if not line:
            raise RuntimeError("the load generator failed; what it says is above")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def load(words: Sequence[str]) -> Iterator[Load]:
    """The load generator with this command line."""
    with running([sys.executable, "-m", "benchmarks.load", *words], stdin=subprocess.PIPE) as process:
        yield Load(process=process)


@contextmanager
def running(
    words: Sequence[str], *, cwd: Path = ROOT, stdin: int = subprocess.DEVNULL, stderr: IO[str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended when the block ends, kindly first."""
    process = subprocess.Popen(
        words, cwd=cwd, env=_environment(), stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, text=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None, "opened with a pipe"
    return process.stdout.readline()


def _environment() -> dict[str, str]:
    """Ours, without systemd's directories, and with the project on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_DIRECTORY")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
