"""Everything the engine says to nobody in particular: log lines, and errors that nobody caught."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from referral_engine.service import assembly
from referral_engine.service.logs import only_allowed


@contextmanager
def hearing(logged: list[str], findings: list[str]) -> Iterator[None]:
    """Hear every log line; an error nobody caught is a finding; the collector, which looks at all tests' things, rests."""

    def observe(event: LogEvent) -> None:
        failure = event.get("log_failure")
        if isinstance(failure, Failure):
            findings.append(f"nobody caught {failure.value!r}\n{failure.getTraceback()}")

    before = structlog.get_config()
    collector = assembly.gc
    structlog.configure(
        processors=[structlog.processors.add_log_level, only_allowed, structlog.processors.JSONRenderer()],
        wrapper_class=before["wrapper_class"],
        logger_factory=lambda *_: _Logger(logged),
        cache_logger_on_first_use=False,
    )
    globalLogPublisher.addObserver(observe)
    assembly.gc = _NoCollector()  # type: ignore[assignment]  # what the assembly uses of it
    try:
        yield
    finally:
        assembly.gc = collector
        globalLogPublisher.removeObserver(observe)
        structlog.configure(**before)


class _NoCollector:
    """Stands for the garbage collector: in a process with many tests, freezing it would keep every dead daemon."""

    def collect(self) -> None: ...

    freeze = unfreeze = collect


class _Logger:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def msg(self, line: str) -> None:
        self._lines.append(line)

    debug = info = warning = error = critical = msg
