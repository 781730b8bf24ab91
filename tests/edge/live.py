"""A live listener on loopback over a live door, and blocking clients in a thread of their own."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as installed
from twisted.internet.task import deferLater

from referral_engine.channels.engine import Listener, Tls
from referral_engine.channels.partner import ANYONE, Partner
from referral_engine.hl7.mllp import Deframer, enframe
from referral_engine.service.busy import Busy, silence
from referral_engine.service.door import Door
from referral_engine.service.executor import ThreadExecutor
from referral_engine.service.host import LocalHost
from referral_engine.service.listener import MllpListener
from referral_engine.transports.reactor import Reactor
from referral_engine.transports.tls import server_context
from tests.service.doubles import RecordingStep

reactor = cast("Reactor", installed)
PartnerOf = Callable[[str, tuple[str, ...]], Partner]


@asynccontextmanager
async def serving(
    settings: Listener | None = None,
    *,
    step: Any = None,
    pem: Path | None = None,
    partner_of: PartnerOf = lambda _peer, _certificates: ANYONE,
    busy: Busy = silence,
) -> AsyncIterator[MllpListener]:
    """A listener that listens on a free port until the block ends."""
    settings = settings or Listener(port=0)
    executor = ThreadExecutor(reactor)
    host = LocalHost(step=step or RecordingStep(), read=lambda: None, executor=executor)
    door = Door(host=host, clock=reactor)
    tls: Tls | None = settings.tls
    context = server_context(tls, lambda name: (pem or Path()).joinpath(name).read_bytes(), "test") if tls else None
    listener = MllpListener(settings, door=door, clock=reactor, tls=context, partner_of=partner_of, busy=busy)
    door.on_batch.append(listener.flush)
    door.on_room.append(listener.resume)
    door.on_fenced.append(listener.drop)
    listener.listen(reactor)
    try:
        yield listener
    finally:
        await listener.stop()
        await executor.stop()


def connected(port: int) -> socket.socket:
    """A blocking client."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def exchanged(wire: socket.socket, *messages: bytes) -> list[bytes]:
    """Send all messages at once; read that many answers, or up to the close."""
    wire.sendall(b"".join(enframe(message) for message in messages))
    deframer, answers = Deframer(), list[bytes]()
    while len(answers) < len(messages) and (chunk := wire.recv(65536)):
        answers += deframer.feed(chunk)
    return answers


def ended(wire: socket.socket) -> bytes:
    """What still comes until the other side has closed."""
    said = b""
    try:
        while chunk := wire.recv(65536):
            said += chunk
    except ConnectionResetError:
        pass
    return said


async def until(condition: Callable[[], object]) -> None:
    """Let the reactor turn until it holds; a test that waits in vain fails instead of hanging."""
    for _ in range(1000):
        if condition():
            return
        await deferLater(installed, 0.01)
    raise AssertionError("it never came to that")
