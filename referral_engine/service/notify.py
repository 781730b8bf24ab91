"""What systemd wants to hear: ready, a line of status, still alive, stopping; silent where there is no systemd."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

MICROSECONDS: Final = 1_000_000
PINGS_PER_TIMEOUT: Final = 3  # two may be late before systemd loses patience

Send = Callable[[bytes], None]


class Notify:
    """Speaks the sd_notify protocol."""

    def __init__(self, send: Send | None) -> None:
        """Send with `send`; None where nobody listens."""
        self._send = send

    def ready(self, status: str) -> None:
        """Start-up is over; `status` is a short line without a patient."""
        self._say(f"READY=1\nSTATUS={status}")

    def reloading(self, seconds: float) -> None:
        """Other files are being taken up, until `ready` is said again; `seconds` of the clock that nobody sets."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={int(seconds * MICROSECONDS)}")

    def status(self, status: str) -> None:
        """Show a line in `systemctl status`."""
        self._say(f"STATUS={status}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """Shutting down has begun."""
        self._say("STOPPING=1")

    def _say(self, text: str) -> None:
        if self._send is not None:
            self._send(text.encode())


def notify_from(environ: Mapping[str, str]) -> Notify:
    """The way to the systemd that started us, NOTIFY_SOCKET; a silent one when there is none."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return Notify(None)
    if address.startswith("@"):
        address = "\0" + address[1:]  # a name in the abstract space

    def send(text: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as wire:
            try:
                wire.sendto(text, address)
            except OSError:
                return  # systemd restarts or is busy; the next word comes soon

    return Notify(send)


def watchdog_seconds(environ: Mapping[str, str]) -> float:
    """How often to feed the watchdog; 0.0 when there is none, or it is not ours."""
    meant_for = environ.get("WATCHDOG_PID", "")
    if meant_for and meant_for != str(os.getpid()):
        return 0.0
    micros = environ.get("WATCHDOG_USEC", "")
    return int(micros) / MICROSECONDS / PINGS_PER_TIMEOUT if micros.isascii() and micros.isdigit() else 0.0
