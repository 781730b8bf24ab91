"""Log lines: a fixed sentence and allow-listed fields in, one line of JSON on stderr out; no patient gets through."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any, Final, TextIO, cast

import structlog
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogBeginner
from twisted.python.failure import Failure

from referral_engine.base.clock import Clock, rfc3339
from referral_engine.transports.reactor import Timer

FIELDS: Final = frozenset(
    {
        "attempt", "backlog", "batch", "bytes", "channel", "code", "config", "connections", "count", "effect", "error",
        "fingerprint", "frames", "kind", "lane", "limit", "listener", "offset", "outcome", "path", "peer", "peers",
        "pid", "port", "purpose", "reason", "repeated", "seconds", "signal", "state", "transport", "version", "where",
        "wire_id",
    }
)  # fmt: skip
VALUE_CHARACTERS_MAX: Final = 200  # stops a value from becoming a document
SPARING_SECONDS: Final = 10.0  # stops a hostile peer from filling the disk with refusals

Fields = MutableMapping[str, Any]  # structlog's own name for it is an alias of the same


def start_logging(clock: Clock, stream: TextIO | None = None) -> None:
    """Send every log line, Twisted's too, as JSON to `stream` (stderr)."""
    out = stream if stream is not None else sys.stderr

    def stamp(_logger: object, _method: str, fields: Fields) -> Fields:
        return {"at": rfc3339(clock.now()), **fields}

    structlog.configure(
        processors=[structlog.processors.add_log_level, only_allowed, stamp, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    observer = cast("ILogObserver", tell_twisted)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)


def only_allowed(_logger: object, _method: str, fields: Fields) -> Fields:
    """Drop every field that is not on the list, and every value that is no short scalar."""
    kept: dict[str, Any] = {
        "level": fields.get("level", ""),
        "event": str(fields.get("event", ""))[:VALUE_CHARACTERS_MAX],
    }
    for name in sorted(fields.keys() & FIELDS):
        value = fields[name]
        if isinstance(value, str):
            kept[name] = str(value)[:VALUE_CHARACTERS_MAX]
        elif value is None or isinstance(value, bool | int | float):
            kept[name] = value
    return kept


def where(error: BaseException) -> str:
    """The place an error came from, "module.py:function:line"; never its text, which may name a patient."""
    return _place(error.__traceback__)


def _place(trace: TracebackType | None) -> str:
    steps = traceback.extract_tb(trace)
    if not steps:
        return ""
    last = steps[-1]
    return f"{last.filename.rsplit('/', 1)[-1]}:{last.name}:{last.lineno}"


def tell_twisted(event: LogEvent) -> None:
    """Turn what Twisted wants to log into one of our lines: what is wrong, where, and no words of its own."""
    level = event.get("log_level", LogLevel.info)
    if level not in (LogLevel.warn, LogLevel.error, LogLevel.critical):
        return
    failure = event.get("log_failure")
    log = structlog.get_logger()
    if isinstance(failure, Failure):
        kind = failure.type.__name__ if failure.type is not None else ""
        log.error("Twisted caught an error.", error=kind, where=_place(failure.getTracebackObject()))
    else:
        log.warning("Twisted has a warning.", kind=str(event.get("log_namespace", "")))


class Sparingly:
    """Says each sentence at most once in `SPARING_SECONDS`, with how often it was due in between."""

    def __init__(self, timer: Timer) -> None:
        """Count time with `timer`."""
        self._timer = timer
        self._said: dict[str, tuple[float, int]] = {}  # sentences are fixed, so this stays small
        self._log = structlog.get_logger()

    def warning(self, sentence: str, fields: Mapping[str, object]) -> None:
        """Log a warning, or only count it."""
        now = self._timer.seconds()
        at, silent = self._said.get(sentence, (float("-inf"), 0))
        if now - at < SPARING_SECONDS:
            self._said[sentence] = (at, silent + 1)
            return
        self._said[sentence] = (now, 0)
        cast("structlog.stdlib.BoundLogger", self._log).warning(sentence, repeated=silent, **fields)
