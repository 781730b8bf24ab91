"""strace on a running daemon: its next system calls fail, wait or are its last."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest

from referral_engine.torture.daemon import children_of

STRACE = shutil.which("strace")
SECONDS_MAX = 20


@cache
def why_not() -> str:
    """Why nothing can be injected here; "" when it can."""
    if STRACE is None:
        return "strace is not here (Debian: apt install strace)"
    with subprocess.Popen(["sleep", "30"]) as stranger:
        try:
            with injected(stranger.pid, "nanosleep", "delay_exit=1"):
                return ""
        except PermissionError:
            return "this user may not trace its own processes (kernel.yama.ptrace_scope)"
        finally:
            stranger.kill()


def needs_injection() -> None:
    """Skip the test where nothing can be injected."""
    if reason := why_not():
        pytest.skip(reason)


def writer_of(pid: int) -> int:
    """The process that writes the journal of a daemon: one it started, or itself."""
    return next(iter(children_of(pid)), pid)


@contextmanager
def injected(pid: int, calls: str, what: str) -> Iterator[None]:
    """While this lasts, `what` happens to these system calls of a process and its threads.

    calls: "fdatasync" or several with commas. what: as strace words it, "error=EIO:signal=KILL:when=1".
    Raises PermissionError when the process may not be traced.
    """
    assert STRACE is not None, "ask why_not first"
    words = [STRACE, "-f", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:{what}", "-p", str(pid)]
    tracer = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        assert tracer.stderr is not None, "it was asked for"
        line = tracer.stderr.readline()
        if "attached" not in line:
            raise PermissionError(line)
        yield
    finally:
        tracer.terminate()
        tracer.wait(SECONDS_MAX)
        if tracer.stderr is not None:
            tracer.stderr.close()
