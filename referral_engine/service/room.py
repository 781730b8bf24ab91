"""Watches the room on the journal's disk: shuts the doors before it is full, opens them when there is room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from referral_engine.channels.engine import Engine
from referral_engine.journal.room import Ballast, Disk, Level, Marks, Water, marks_of, next_level
from referral_engine.transports.reactor import Later, Timer

LOOK_SECONDS: Final = 5.0
LOG_BYTES_MAX: Final = 1024 * 1024 * 1024  # of a log that is copied every 32 MiB: somebody must look why it is not

_log = structlog.get_logger()


class RoomWatch:
    """Looks at the disk on the reactor's clock.

    on_low   is called when nothing new may be accepted or read; what is in the door is finished.
    on_ample is called when there has been room again for a minute.
    """

    def __init__(
        self,
        *,
        look: Callable[[], Disk],
        timer: Timer,
        marks: Marks,
        ballast: Ballast,
        every_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Watch with `look`, which may raise OSError; nothing is touched before `start`."""
        self._look = look
        self._timer = timer
        self._marks = marks
        self._ballast = ballast
        self._every_seconds = every_seconds
        self._level = Level()
        self._seen: Disk | None = None
        self._log_is_long = False
        self._later: Later | None = None
        self.on_low: list[Callable[[], None]] = []
        self.on_ample: list[Callable[[], None]] = []

    @property
    def water(self) -> Water:
        """How the disk stands."""
        return self._level.water

    def start(self) -> None:
        """Look now, and from now on; take the ballast when there is room for it."""
        disk = self._see()
        if disk is None or disk.free_bytes >= self._marks.low + self._marks.ballast:
            self._take_ballast()
        self._beat()

    def follow(self, marks: Marks, ballast: Ballast) -> None:
        """Watch by other marks from the next look on; ballast that is held becomes as large as it now should be."""
        if marks == self._marks:
            return
        held = self._ballast.release()
        self._marks, self._ballast = marks, ballast
        if held:
            self._take_ballast()

    def stop(self) -> None:
        """Look no more; the ballast stays, so that nobody else takes the room."""
        if self._later is not None and self._later.active():
            self._later.cancel()

    def make_room(self) -> bool:
        """The disk refused a commit: throw the ballast off; whether that is worth another try."""
        released = self._ballast.release()
        self._become(Level(water=Water.OUT))
        return released

    def status(self) -> dict[str, object]:
        """What `status` shows."""
        return {
            "water": self._level.water.value,
            "free_bytes": None if self._seen is None else self._seen.free_bytes,
            "low_water_bytes": self._marks.low,
            "ballast": self._ballast.held,
            "log_bytes": None if self._seen is None else self._seen.log_bytes,
        }

    def _beat(self) -> None:
        disk = self._see()
        if disk is not None:
            self._become(next_level(self._level, self._marks, free=disk.free_bytes, seconds=self._timer.seconds()))
        self._later = self._timer.callLater(self._every_seconds, self._beat)

    def _see(self) -> Disk | None:
        """A disk that cannot be looked at leaves everything as it is: the next commit says what is wrong."""
        try:
            disk = self._look()
        except OSError as error:
            _log.error("The journal's disk cannot be looked at.", error=type(error).__name__)
            self._seen = None
            return None
        self._seen = disk
        long = disk.log_bytes > LOG_BYTES_MAX
        if long and not self._log_is_long:
            _log.error("The journal's log is long: it cannot be copied into the file.", bytes=disk.log_bytes)
        self._log_is_long = long
        return disk

    def _become(self, level: Level) -> None:
        before, self._level = self._level.water, level
        if level.water is before:
            return
        if level.water is Water.OUT:
            self._ballast.release()
        elif level.water is Water.AMPLE and not self._ballast.held:
            self._take_ballast()
        fields = {
            "state": level.water.value,
            "bytes": None if self._seen is None else self._seen.free_bytes,
            "limit": self._marks.low,
        }
        if level.water is Water.AMPLE:
            _log.warning("There is room on the journal's disk again; messages are accepted.", **fields)
            for call in self.on_ample:
                call()
        else:
            _log.critical("The journal's disk is nearly full; no message is accepted until there is room.", **fields)
            if before is Water.AMPLE:
                for call in self.on_low:
                    call()

    def _take_ballast(self) -> None:
        try:
            self._ballast.make()
        except OSError as error:
            _log.error("The ballast could not be written.", error=type(error).__name__)


def watch_of(engine: Engine, journal: str, timer: Timer, look: Callable[[str], Disk]) -> RoomWatch:
    """The watch over the disk of the journal at this path, with the marks that the files ask for.

    look: usually `journal.room.look_at_disk`.
    """
    marks, ballast = room_for(engine, journal, look)
    return RoomWatch(look=lambda: look(journal), timer=timer, marks=marks, ballast=ballast)


def room_for(engine: Engine, journal: str, look: Callable[[str], Disk]) -> tuple[Marks, Ballast]:
    """How much room the files ask for on the journal's disk, and what is thrown off when there is none."""
    settings = engine.journal
    try:
        disk_bytes = look(journal).all_bytes
    except OSError:
        disk_bytes = 0  # then there is no mark to keep, and the first commit says what is wrong
    marks = marks_of(
        low_water=None if settings.low_water is None else settings.low_water.bytes,
        ballast=settings.ballast.bytes,
        frame_bytes_max=max((one.frame_bytes_max for one in engine.listeners), default=0),
        connections_max=sum(one.connections_max for one in engine.listeners),
        disk_bytes=disk_bytes,
    )
    return marks, Ballast(journal, marks.ballast)
