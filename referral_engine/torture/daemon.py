"""The real daemon as a child process: started, stopped, paused and killed; its exit status and its log are read."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

START_SECONDS_MAX: Final = 60.0  # for a busy machine with a large journal
STOP_SECONDS_MAX: Final = 40.0  # SIGTERM must have ended it by then
SOCKET: Final = "var/control.sock"


class NotReady(Exception):
    """The daemon did not say that it is ready; the text is its exit status and the end of its log."""


class Child:
    """At most one daemon on one scratch site."""

    def __init__(self, root: Path) -> None:
        """Run in `root`, which holds conf/engine.toml."""
        self.root = root
        self.starts = 0
        self.exit_status: int | None = None  # of the newest one, once it has ended
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Of the one that runs; 0 when none does."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    @property
    def pids(self) -> list[int]:
        """Of the one that runs and of the processes it started, its own first; empty when none runs."""
        return [self.pid, *children_of(self.pid)] if self.pid else []

    @property
    def socket(self) -> str:
        """Where its control socket is."""
        return str(self.root / SOCKET)

    @property
    def log(self) -> str:
        """All that any of them said on stderr."""
        path = self.root / "stderr.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    async def start(self) -> float:
        """Start it and wait until it is ready; how many seconds that took.  Raises NotReady."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self.starts += 1
        self.exit_status = None
        with (self.root / "stderr.log").open("ab") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "referral_engine", "run", "--conf", "conf/engine.toml",
                cwd=self.root, env=_environment(), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=log, start_new_session=True,
            )  # fmt: skip
        assert process.stdout is not None, "it was asked for"
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS_MAX)
        except TimeoutError:
            line = b""
        if b"is ready" not in line:
            status = await self._end(signal.SIGKILL)
            raise NotReady(f"exit status {status}: {_tail(self.log)}")
        return loop.time() - begun

    async def kill(self) -> None:
        """End it and all that it started, as a power cut would."""
        for pid in self.pids[1:]:
            _signal(pid, signal.SIGKILL)
        await self._end(signal.SIGKILL)

    async def kill_alone(self) -> None:
        """End it, and leave what it started to notice that, as when memory runs out."""
        await self._end(signal.SIGKILL)

    async def kill_journal(self) -> int | None:
        """End what it started, and leave it to notice that; its exit status, None when it had started nothing."""
        others = self.pids[1:]
        for pid in others:
            _signal(pid, signal.SIGKILL)
        return await self._end(None) if others else None

    async def stop(self) -> int:
        """End it as systemd would; its exit status."""
        return await self._end(signal.SIGTERM)

    async def pause(self, seconds: float) -> None:
        """Let it and all that it started stand still, as a suspended machine does."""
        pids = self.pids
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)

    async def ended(self, seconds: float) -> int | None:
        """Its exit status, if it ends by itself within so many seconds."""
        if self._process is None:
            return self.exit_status
        with suppress(TimeoutError):
            self.exit_status = await asyncio.wait_for(self._process.wait(), seconds)
            return self.exit_status
        return None

    async def _end(self, number: signal.Signals | None) -> int:
        process = self._process
        assert process is not None, "it was started"
        if number is not None:
            with suppress(ProcessLookupError):
                process.send_signal(number)
        try:
            self.exit_status = await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
        except TimeoutError:
            process.kill()
            self.exit_status = await process.wait()
        self._process = None
        return self.exit_status


def environment_of(ours: dict[str, str]) -> dict[str, str]:
    """What the daemon is given: nothing of systemd's directories, and no other engine's control socket."""
    kept = {name: value for name, value in ours.items() if not re.match(r"(\w+_DIRECTORY|REFERRAL_ENGINE_\w+)$", name)}
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def children_of(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, path.read_text(encoding="ascii").split())
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _environment() -> dict[str, str]:
    return environment_of(dict(os.environ))


def _tail(text: str) -> str:
    return text[-2000:] or "it said nothing"
