"""What goes on beside the door while the daemon lives: room on the disk, the journal's anchor, the weekly scrub."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, cast

import structlog
from twisted.internet.defer import Deferred, fail

from referral_engine.base.errors import Altered, JournalError
from referral_engine.channels.engine import Engine
from referral_engine.journal.room import Disk
from referral_engine.service.anchoring import Anchoring
from referral_engine.service.door import Door
from referral_engine.service.listening import Listening
from referral_engine.service.room import RoomWatch, room_for, watch_of
from referral_engine.transports.reactor import Later, Timer

SCRUB_DAYS: Final = 7.0  # from the end of one scrub to the next
SCRUB_PAUSE_SECONDS: Final = 2.0  # between two looks of a few milliseconds: a million rows in three hours
SCRUB_TURNS: Final = 1
VERIFY_TURNS: Final = 20  # of one question; what arrives meanwhile waits no longer than for a few large batches
FIRST_SCRUB_SECONDS: Final = 3600.0  # after the start: a restart has better things to do
_DAY_SECONDS: Final = 86_400.0

_log = structlog.get_logger()


class Keeping:
    """Starts and stops all of it."""

    def __init__(
        self,
        *,
        engine: Engine,
        path: str,
        door: Door,
        listening: Listening,
        timer: Timer,
        room: Callable[[str], Disk] | None,
    ) -> None:
        """path: of the journal.  room: looks at its disk; None watches none."""
        self._door = door
        self._timer = timer
        self._path = path
        self._room = room
        self._watch: RoomWatch | None = None
        if room is not None:
            watch = self._watch = watch_of(engine, path, timer, room)
            door.make_room = watch.make_room
            watch.on_low.append(partial(listening.pause, "disk-nearly-full"))
            watch.on_ample.append(listening.resume_listening)
        self._anchoring = Anchoring(anchor=door.host.anchor, timer=timer)
        self._later: Later | None = None
        self._stopped = False
        self._scrubbed_at: float | None = None
        self._rows = 0
        self._findings: dict[str, list[str]] = {}

    def start(self) -> None:
        """Keep from now on."""
        if self._watch is not None:
            self._watch.start()
        self._anchoring.start()
        self._scrub_in(FIRST_SCRUB_SECONDS)

    def follow(self, engine: Engine) -> None:
        """Keep as much room from now on as these files ask for."""
        if self._watch is not None and self._room is not None:
            self._watch.follow(*room_for(engine, self._path, self._room))

    def stop(self) -> None:
        """Keep no more."""
        self._stopped = True
        if self._watch is not None:
            self._watch.stop()
        self._anchoring.stop()
        if self._later is not None and self._later.active():
            self._later.cancel()

    def status(self) -> dict[str, object]:
        """What `status` shows of the disk and the newest scrub."""
        ago = None if self._scrubbed_at is None else round(self._timer.seconds() - self._scrubbed_at)
        return {
            "disk": {} if self._watch is None else self._watch.status(),
            "scrub": {"rows": self._rows, "ended_seconds_ago": ago, "findings": self._findings},
        }

    def verify(self) -> Deferred[dict[str, object]]:
        """The next part of a scrub for a person who waits; {"done", "rows"}, at the end the findings."""
        return self._look(VERIFY_TURNS)

    def _look(self, turns: int) -> Deferred[dict[str, object]]:
        if self._door.fenced:
            return fail(JournalError("the journal is fenced"))
        return self._door.host.scrub(turns).addCallback(self._looked)

    def _looked(self, found: dict[str, object]) -> dict[str, object]:
        self._rows = cast("int", found["rows"])
        if found["done"]:
            self._scrubbed_at = self._timer.seconds()
            self._findings = cast("dict[str, list[str]]", found["findings"])
            if not found["whole"]:
                self._door.fence(Altered("a row"))
            else:
                _log.info("The whole journal was looked at, and is whole.", count=self._rows)
        return found

    def _scrub_in(self, seconds: float) -> None:
        if not self._stopped:
            self._later = self._timer.callLater(seconds, self._beat)

    def _beat(self) -> None:
        self._look(SCRUB_TURNS).addCallbacks(self._again, self._failed)

    def _again(self, found: dict[str, object]) -> None:
        self._scrub_in(SCRUB_DAYS * _DAY_SECONDS if found["done"] else SCRUB_PAUSE_SECONDS)

    def _failed(self, _failure: object) -> None:
        """A journal that is fenced needs no scrub; the next start looks again."""
        self._stopped = True
