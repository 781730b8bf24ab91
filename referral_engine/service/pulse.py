"""The daemon's pulse: a real commit every few seconds, and a sign of life for systemd after a round trip."""

from __future__ import annotations

from typing import Final

from referral_engine.flow.inputs import Claim
from referral_engine.service.door import Door
from referral_engine.service.notify import Notify
from referral_engine.transports.reactor import Later, Timer

BEAT_SECONDS: Final = 2.0
QUIET_SECONDS_MAX: Final = 4.0  # without a commit of the day's work: make one
FRESH_SECONDS: Final = 10.0  # how old the newest commit may be for the daemon to call itself ready
NO_LANE: Final = "pulse"  # nothing is ever owed there


class Pulse:
    """Beats on the reactor's clock; what it proves is that the door can still commit."""

    def __init__(self, *, door: Door, timer: Timer, notify: Notify, watchdog_seconds: float) -> None:
        """Feed the watchdog every `watchdog_seconds`; 0.0 for none."""
        self._door = door
        self._timer = timer
        self._notify = notify
        self._watchdog_seconds = watchdog_seconds
        self._asking = False
        self._committing = False
        self._stopped = False
        self._laters: dict[str, Later] = {}

    def start(self) -> None:
        """Beat from now on."""
        self._beat()
        if self._watchdog_seconds > 0:
            self._prove_life()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped = True
        for later in self._laters.values():
            if later.active():
                later.cancel()

    @property
    def fresh(self) -> bool:
        """Whether a commit succeeded within the last ten seconds."""
        return self._timer.seconds() - self._door.counts.committed_at <= FRESH_SECONDS

    def _beat(self) -> None:
        if self._stopped:
            return
        quiet = self._timer.seconds() - self._door.counts.committed_at > QUIET_SECONDS_MAX
        if quiet and not self._committing:
            self._committing = True
            self._door.submit(Claim(lane=NO_LANE, limit=0)).addBoth(self._committed)
        self._laters["beat"] = self._timer.callLater(BEAT_SECONDS, self._beat)

    def _committed(self, _result: object) -> None:
        """Whether it worked is seen in the door's counts; a fenced door has said so itself."""
        self._committing = False

    def _prove_life(self) -> None:
        if self._stopped:
            return
        if not self._asking:
            self._asking = True
            self._door.ping().addCallbacks(self._alive, self._silent)
        self._laters["watchdog"] = self._timer.callLater(self._watchdog_seconds, self._prove_life)

    def _alive(self, _answer: None) -> None:
        self._asking = False
        self._notify.alive()

    def _silent(self, _failure: object) -> None:
        """No sign of life: systemd will draw its conclusion."""
        self._asking = False
