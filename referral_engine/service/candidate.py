"""The reader of new files, a program of its own: what it meets can crash, hang or fill only itself."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from referral_engine.base.errors import ConfigError, Problem
from referral_engine.base.values import replace
from referral_engine.channels.book import Book, read_book
from referral_engine.service.files import changed_meanwhile, passed_over, read_files
from referral_engine.service.found import Found, GaveUp, Reached, Said, Wanted, pack, read_wanted, write
from referral_engine.service.lengths import LENGTH
from referral_engine.service.sample_files import SampleFiles
from referral_engine.service.standing import needs_restart
from referral_engine.service.trials import chosen, try_out

SECOND_LOOK_SECONDS: Final = 0.05  # a file that is saved in two writes is another one then
MEMORY_BYTES_MAX: Final = 1 << 30  # of addresses; a thousand channels take a fifth of it
NICENESS: Final = 10  # what arrives meanwhile comes first
GC_ALLOCATIONS: Final = 50_000  # between two looks of the collector: what is read stays
_EASY_TO_KILL: Final = "1000"  # for the kernel, when memory runs out: rather this process than the engine
_DIE_WITH_PARENT: Final = 1  # prctl PR_SET_PDEATHSIG

Tell = Callable[[Reached], None]


def look(wanted: Wanted, tell: Tell, wait: Callable[[float], object]) -> Found:
    """Read the files twice, make them a book, and play the tests that they must pass.

    tell: hears how far it has come; wait: waits so many seconds between the two looks.
    """
    try:
        files = _files(wanted.engine_file, wait)
    except ConfigError as error:
        return Found(problems=list(error.problems))
    tell(Reached(stage="files", of=len(files)))
    samples = SampleFiles(wanted.engine_file, files)
    try:
        book = read_book(files, samples.names(), today=wanted.today)
    except ConfigError as error:
        return Found(files=files, problems=list(error.problems))
    problems = list(needs_restart(wanted.standing, book, files))
    warnings = [*book.warnings, *passed_over(wanted.engine_file)]
    same = Found(config=book.version, files=files, problems=[*problems, *warnings])
    if problems:
        return same
    same = replace(same, book=pack(book))
    return same if book.version == wanted.config else _tried(same, book, wanted.in_force, samples, tell)


def _files(engine_file: str, wait: Callable[[float], object]) -> dict[str, str]:
    """The texts, the same in two looks.  Raises ConfigError."""
    before = read_files(engine_file)
    wait(SECOND_LOOK_SECONDS)
    after = read_files(engine_file)
    problems: list[Problem] = list(changed_meanwhile(before, after))
    if problems:
        raise ConfigError(problems)
    return after


def _tried(found: Found, book: Book, before: Mapping[str, str], samples: SampleFiles, tell: Tell) -> Found:
    """The same with what became of the tests that new files must pass."""
    cases = chosen(book, before, found.files)
    tried = try_out(book, cases, samples, lambda done: tell(Reached(stage="tests", done=done, of=len(cases))))
    return replace(
        found,
        problems=[*tried.problems, *found.problems],
        failures=list(tried.failures),
        tests=tried.played,
        unplayed=tried.unplayed,
    )


def main() -> None:
    """Answer the one request on the socket whose number is the first argument, for the daemon of the second."""
    ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != int(sys.argv[2]):  # it died before we could ask to die with it
        return
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)  # the daemon hears them
    _step_back()
    gc.set_threshold(GC_ALLOCATIONS)
    line = socket.socket(fileno=int(sys.argv[1]))

    def say(said: Said) -> None:
        body = write(said)
        line.sendall(LENGTH.pack(len(body)) + body)

    try:
        say(look(read_wanted(_request(line)), say, threading.Event().wait))
    except Exception as error:  # noqa: BLE001  # its name is all that may leave; the daemon refuses the files
        say(GaveUp(kind=type(error).__name__))


def _step_back() -> None:
    """Run behind the engine, within bounds; a machine that forbids to ask for less is asked no more."""
    with suppress(OSError):
        os.nice(NICENESS)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123  # the kernel's
        file.write(_EASY_TO_KILL)


def _request(line: socket.socket) -> bytes:
    """The bytes of the one request."""
    with line.makefile("rb") as file:
        (length,) = LENGTH.unpack(file.read(LENGTH.size))
        return file.read(length)


if __name__ == "__main__":
    main()
