"""The EHR's and the specialists' ports, in a process of their own: they answer AA, so that couriers really deliver."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Final

_TRAILER: Final = b"\x1c\r"


class Sink(asyncio.Protocol):
    """Accepts every message by its MSH-10."""

    received = 0

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (end := self._rest.find(_TRAILER)) >= 0:
            frame, self._rest = self._rest[:end], self._rest[end + 2 :]
            fields = frame[: frame.index(b"\r")].split(b"|")
            Sink.received += 1
            answer = b"MSH|^~\\&|SINK|SINK|REFERRAL_ENGINE|SPRINGFIELD|20260101000000||ACK|A%d|P|2.5.1\rMSA|AA|%b\r"
            self._transport.write(b"\x0b" + answer % (Sink.received, fields[9]) + _TRAILER)


async def _serve(ports: int) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Sink, "127.0.0.1", 0) for _ in range(ports)]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():  # a line asks how many came, the end of stdin ends it
        print(Sink.received, flush=True)


def main() -> None:
    """Open free loopback ports, print them as JSON, answer until stdin ends; each of its lines asks for the count."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.sinks", description=main.__doc__)
    options.add_argument("--ports", type=int, default=3)
    asyncio.run(_serve(options.parse_args().ports))


if __name__ == "__main__":
    main()
