"""A TCP proxy that breaks connections: bytes go in on one side and come out late, in drips, twice, cut off or never."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from referral_engine.torture.wire import END, START, Chance, Cutter, framed, one_of

HOST: Final = "127.0.0.1"
CHUNK_BYTES: Final = 65_536
BYTES_BEFORE_MAX: Final = 6_000  # that pass before a fault begins: some messages get through whole
LATE_SECONDS_MAX: Final = 0.25
DRIP_BYTES_MAX: Final = 7
DRIPS_MAX: Final = 150  # of one chunk; what is left comes at once, or a large message would take minutes
DRIP_SECONDS: Final = 0.001
HOLE_SECONDS_MAX: Final = 3.0  # how long a dead connection stays open
TWICE_SHARE: Final = 0.4  # of the frames of a connection that says things twice
JUNK_SHARE: Final = 0.3  # of the frames that get junk before them
JUNK_BYTES_MAX: Final = 200
_NOW: Final = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class Mischief(StrEnum):
    """What may happen to one connection."""

    LATENCY = "latency"
    DRIP = "drip"
    CUT = "cut"
    RESET = "reset"
    BLACKHOLE = "blackhole"
    SWALLOW = "swallowed answer"
    DUPLICATE = "duplicate"
    GARBAGE = "garbage"


ALL: Final = tuple(Mischief)
HARMLESS: Final = (Mischief.LATENCY, Mischief.DRIP)


@dataclass(slots=True)
class _Fate:
    """What happens to one connection, in which direction, and after how many bytes."""

    mischief: Mischief | None
    forth: bool  # from whoever connected to the target
    bytes_before: int
    swallowing: bool = False


class Proxy:
    """Listens on a free loopback port and passes connections on to `target`, as well or as badly as chance says.

    `share` of the connections get one of `mischiefs`; both may be changed while it runs. `counts` says how often each
    took effect.
    """

    def __init__(self, target: int, chance: Chance, counts: Counter[str], *, share: float = 0.5) -> None:
        """Stand before a port of this machine; `open` listens."""
        self.target = target
        self.share = share
        self.mischiefs: tuple[Mischief, ...] = ALL
        self.port = 0
        self._chance = chance
        self._counts = counts
        self._server: asyncio.Server | None = None
        self._lives: set[asyncio.Task[None]] = set()

    async def open(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    def drop(self) -> None:
        """Cut every connection there is."""
        for life in list(self._lives):
            life.cancel()

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        self.drop()
        await asyncio.gather(*self._lives, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        life = asyncio.current_task()
        assert life is not None, "a connection is served by a task"
        self._lives.add(life)
        try:
            await self._live(reader, writer)
        except asyncio.CancelledError:
            _reset(writer)
        finally:
            self._lives.discard(life)

    async def _live(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self.target)
        except OSError:
            _reset(writer)
            return
        fate = self._fate()
        pumps = {
            asyncio.create_task(self._pump(reader, far_writer, fate, forth=True)),
            asyncio.create_task(self._pump(far_reader, writer, fate, forth=False)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for one in (writer, far_writer):
                if fate.mischief is Mischief.RESET:
                    _reset(one)
                one.close()

    def _fate(self) -> _Fate:
        chance = self._chance
        mischief = one_of(chance, self.mischiefs) if self.mischiefs and chance.random() < self.share else None
        forth = chance.random() < 0.5
        if mischief in {Mischief.DUPLICATE, Mischief.GARBAGE}:
            forth = True  # what the target must stand; an answer twice is no fault of a network
        if mischief is Mischief.SWALLOW:
            forth = False
        return _Fate(mischief, forth, chance.randrange(1, BYTES_BEFORE_MAX))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fate: _Fate, *, forth: bool
    ) -> None:
        """Carry one direction until it ends, or until its fate is fulfilled."""
        cutter = Cutter()
        bent = fate.mischief is not None and fate.forth == forth
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if fate.swallowing:
                    continue
                if not bent:
                    await put(writer, chunk)
                elif await self._bend(chunk, writer, fate, cutter):
                    return

    async def _bend(self, chunk: bytes, writer: asyncio.StreamWriter, fate: _Fate, cutter: Cutter) -> bool:
        """Pass a chunk on as its fate says; whether that was the end of the connection."""
        chance = self._chance
        match fate.mischief:
            case Mischief.LATENCY:
                self._count(fate)
                await asyncio.sleep(chance.uniform(0.0, LATE_SECONDS_MAX))
                await put(writer, chunk)
            case Mischief.DRIP:
                self._count(fate)
                await self._drip(chunk, writer)
            case Mischief.DUPLICATE | Mischief.GARBAGE:
                for frame in cutter.feed(chunk):
                    for piece in self._around(frame, fate):
                        await put(writer, piece)
            case _:
                return await self._break(chunk, writer, fate)
        return False

    async def _break(self, chunk: bytes, writer: asyncio.StreamWriter, fate: _Fate) -> bool:
        """Let the bytes through that come before the break, then break; whether that ended the connection."""
        passed, fate.bytes_before = chunk[: fate.bytes_before], fate.bytes_before - len(chunk)
        await put(writer, passed)
        if fate.bytes_before > 0:
            return False
        self._count(fate)
        if fate.mischief is Mischief.BLACKHOLE:
            fate.swallowing = True
            await asyncio.sleep(self._chance.uniform(0.1, HOLE_SECONDS_MAX))
            return True
        if fate.mischief is Mischief.SWALLOW:
            fate.bytes_before = 0  # from here on nothing of what comes back arrives
            return False
        return True

    async def _drip(self, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        place = 0
        for _ in range(DRIPS_MAX):
            size = self._chance.randrange(1, DRIP_BYTES_MAX + 1)
            await put(writer, chunk[place : place + size])
            place += size
            if place >= len(chunk):
                return
            await asyncio.sleep(DRIP_SECONDS)
        await put(writer, chunk[place:])

    def _around(self, frame: bytes, fate: _Fate) -> Iterable[bytes]:
        """A frame with what this connection adds to it."""
        chance = self._chance
        if fate.mischief is Mischief.DUPLICATE:
            yield framed(frame)
            if chance.random() < TWICE_SHARE:
                self._count(fate)
                yield framed(frame)
            return
        if chance.random() < JUNK_SHARE:
            self._count(fate)
            yield junk(chance)
        yield framed(frame)

    def _count(self, fate: _Fate) -> None:
        assert fate.mischief is not None, "only mischief is counted"
        self._counts[fate.mischief.value] += 1


def junk(chance: Chance) -> bytes:
    """Bytes that are no message: loose ones, or a frame with nothing readable inside."""
    loose = chance.randbytes(chance.randrange(1, JUNK_BYTES_MAX)).replace(START, b"?").replace(END, b"??")
    return framed(loose) if chance.random() < 0.5 else loose


async def put(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Write, and wait while the other side is slow.  Raises OSError once the connection is gone."""
    if writer.is_closing():
        raise ConnectionResetError
    writer.write(piece)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN."""
    wire = writer.get_extra_info("socket")
    if wire is not None:
        with suppress(OSError):
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
    writer.transport.abort()
