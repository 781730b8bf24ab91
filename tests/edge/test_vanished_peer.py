"""A peer that vanishes without a FIN, in a network of our own: the kernel gives the seat back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALONE = ["unshare", "--map-root-user", "--net"]  # util-linux; a network with nothing but a loopback

# The engine's own settings, in seconds in place of minutes. Taking the loopback down loses every packet silently.
_PROGRAM = """
import fcntl, socket, struct
from twisted.internet import reactor
from referral_engine.channels.engine import Listener
from referral_engine.service.door import Door
from referral_engine.service.executor import SynchronousExecutor
from referral_engine.service.host import LocalHost
from referral_engine.service.listener import MllpListener
from referral_engine.transports import wire
from tests.service.doubles import RecordingStep

def loopback(up):
    with socket.socket() as control:
        flags = struct.unpack("16sh", fcntl.ioctl(control, 0x8913, struct.pack("16sh", b"lo", 0)))[1]
        fcntl.ioctl(control, 0x8914, struct.pack("16sh", b"lo", flags | 1 if up else flags & ~1))

wire.KEEPALIVE_IDLE_SECONDS = wire.KEEPALIVE_EVERY_SECONDS = 1
wire.UNACKNOWLEDGED_MILLISECONDS = 2000
loopback(True)
host = LocalHost(step=RecordingStep(), read=lambda: None, executor=SynchronousExecutor())
door = Door(host=host, clock=reactor)
listener = MllpListener(Listener(port=0), door=door, clock=reactor)
door.on_batch.append(listener.flush)
listener.listen(reactor)
peer = socket.create_connection(("127.0.0.1", listener.port))

def look(turns, seen=0):
    now = listener.status()["connections"]
    if seen and not now:
        print("gone", dict(listener.counts.errors), flush=True)
        reactor.stop()
    elif turns == 0:
        print("still there", flush=True)
        reactor.stop()
    else:
        if now and not seen:
            loopback(False)
        reactor.callLater(0.1, look, turns - 1, seen or now)

reactor.callLater(0, look, 100)
reactor.run()
"""


def _has_networks() -> bool:
    try:
        return subprocess.run([*ALONE, "true"], capture_output=True, timeout=10).returncode == 0
    except OSError:
        return False


@pytest.mark.torture
def test_a_peer_behind_a_dead_line_is_noticed_by_keepalive_and_that_is_no_error() -> None:  # H019, F-D01
    if not _has_networks():
        pytest.skip("no network namespaces here (unshare of util-linux, and a kernel that lets users have their own)")

    done = subprocess.run(
        [*ALONE, sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.splitlines()[-1] == "gone {}", done.stderr
