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
from typing import IO, Final

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
_RETRY: Final = re.compile(r"^retry +=.*$", re.MULTILINE)
_READY: Final = re.compile(r"on port (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A process that listens."""

    process: subprocess.Popen[str]
    port: int
    folder: Path | None = None

    def memory_mib(self) -> tuple[float, float]:
        """VmRSS and VmHWM."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", text, re.MULTILINE))
        return round(int(found["VmRSS"]) / 1024, 1), round(int(found["VmHWM"]) / 1024, 1)

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write_files(folder: Path, *, sinks: Sequence[int] = ()) -> Path:
    """The shipped configuration with loopback ports of ours; without sinks nobody is there and couriers wait."""
    ehr, *offices = sinks or (IDLE_PORT,)
    idle = "" if sinks else _IDLE_RETRY
    shutil.copytree(ROOT / "conf", folder / "conf")
    (folder / "channels").mkdir()
    (folder / "conf" / "engine.toml").write_text(ENGINE.format(ehr=ehr, retry=idle), encoding="utf-8")
    for number, file in enumerate(sorted((ROOT / "channels").glob("*.toml"))):
        port = offices[number % len(offices)] if offices else IDLE_PORT
        head = file.read_text(encoding="utf-8").split("[[test]]", 1)[0]
        text = _PORT.sub(f"port = {port}", head)
        text = text if sinks else _RETRY.sub(_IDLE_RETRY, text)
        (folder / "channels" / file.name).write_text(text, encoding="utf-8")
    return folder / "conf" / "engine.toml"


@contextmanager
def daemon(*, sinks: Sequence[int] = ()) -> Iterator[Server]:
    """The real daemon on a journal of its own, encrypted."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        conf = write_files(folder, sinks=sinks)
        with (folder / "log").open("w", encoding="utf-8") as log:
            words = [sys.executable, "-m", "referral_engine", "run", "--conf", str(conf)]
            with running(words, cwd=folder, stderr=log) as process:
                line = _first_line(process)
                match = _READY.search(line)
                if match is None:
                    raise RuntimeError(
                        f"the daemon did not start: {line}{(folder / 'log').read_text(encoding='utf-8')}"
                    )
                yield Server(process=process, port=int(match[1]), folder=folder)


@contextmanager
def echo() -> Iterator[Server]:
    """The server without a journal."""
    with running([sys.executable, "-m", "benchmarks.echo"]) as process:
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


def load(port: int, words: Sequence[str]) -> dict[str, float]:
    """Run the load generator to its end; what it measured."""
    command = [sys.executable, "-m", "benchmarks.load", "--port", str(port), *words]
    done = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(f"the load generator failed: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


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
