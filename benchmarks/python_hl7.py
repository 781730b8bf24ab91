"""The peer: python-hl7's own asyncio MLLP server; it parses each message, answers with `create_ack`, keeps nothing."""

from __future__ import annotations

import asyncio
import gc
from typing import Final

import hl7.mllp

LIMIT_BYTES: Final = 1024 * 1024  # of one block; its own limit is 64 KiB


async def answer(reader: hl7.mllp.HL7StreamReader, writer: hl7.mllp.HL7StreamWriter) -> None:
    """As its documentation shows it: a message in, its acknowledgement out."""
    try:
        while not writer.is_closing():
            message = await reader.readmessage()
            writer.writemessage(message.create_ack())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _serve() -> None:
    server = await hl7.mllp.start_hl7_server(answer, "127.0.0.1", 0, limit=LIMIT_BYTES, encoding="utf-8", backlog=512)
    gc.freeze()
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Listen on a free loopback port, print it, and answer until the process is ended."""
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
