"""The EHR and the specialists: whole frames in, an AA each out, and every frame in the ledger before its answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from referral_engine.torture.ledger import Ledger
from referral_engine.torture.proxy import HOST, put
from referral_engine.torture.wire import Cutter, acknowledgment, framed

CHUNK_BYTES: Final = 65_536


class Receiver:
    """One MLLP server on a free loopback port."""

    def __init__(self, name: str, ledger: Ledger) -> None:
        """Write down what comes under `name`, which is the lane's."""
        self.name = name
        self.port = 0
        self._ledger = ledger
        self._server: asyncio.Server | None = None
        self._lives: set[asyncio.Task[None]] = set()

    async def open(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        for life in list(self._lives):
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        life = asyncio.current_task()
        assert life is not None, "a connection is served by a task"
        self._lives.add(life)
        cutter = Cutter()
        try:
            with suppress(OSError, ValueError, asyncio.CancelledError):
                while chunk := await reader.read(CHUNK_BYTES):
                    for frame in cutter.feed(chunk):
                        if not frame.startswith(b"MSH"):
                            continue  # a proxy put it there
                        self._ledger.receive(self.name, frame)
                        await put(writer, framed(acknowledgment(frame)))
        finally:
            self._lives.discard(life)
            writer.close()
