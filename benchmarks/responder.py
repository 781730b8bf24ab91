"""The cheapest listener Python can write: AA by MSH-10, and nothing else is read; what load can reach at most."""

from __future__ import annotations

import gc
import select
import socket
from typing import Final

READ_BYTES: Final = 256 * 1024
_TRAILER: Final = b"\x1c\r"
_ANSWER: Final = (
    b"\x0bMSH|^~\\&|REFERRAL_ENGINE|SPRINGFIELD|EHR|SPRINGFIELD|20260101000000||ACK|1|P|2.5.1\rMSA|AA|%b\r\x1c\r"
)


def serve(listener: socket.socket) -> None:
    """Answer until the process is ended."""
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    wires: dict[int, socket.socket] = {}
    rests: dict[int, bytes] = {}
    while True:
        for number, _ in epoll.poll():
            if number == listener.fileno():
                wire = listener.accept()[0]
                wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wires[wire.fileno()], rests[wire.fileno()] = wire, b""
                epoll.register(wire.fileno(), select.EPOLLIN)
                continue
            wire = wires[number]
            try:
                came = wire.recv(READ_BYTES)
            except OSError:
                came = b""
            if not came:
                epoll.unregister(number)
                wires.pop(number).close()
                continue
            frames = (rests[number] + came).split(_TRAILER)
            rests[number] = frames.pop()
            if frames:
                wire.sendall(b"".join([_ANSWER % frame.split(b"|", 10)[9] for frame in frames]))


def main() -> None:
    """Listen on a free loopback port, print it, and answer until the process is ended."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    gc.freeze()
    print(listener.getsockname()[1], flush=True)
    serve(listener)


if __name__ == "__main__":
    main()
