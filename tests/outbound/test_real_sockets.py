"""Real sockets on loopback: four partners that answer, beside one that swallows connections and one that says nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, cast

import pytest_twisted
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol

from referral_engine.hl7.mllp import Deframer
from referral_engine.transports.mllp import MllpPeer
from referral_engine.transports.reactor import Reactor
from tests.outbound.site import Site, accepts, total_queue

reactor = cast("Reactor", installed)
LIVE = ("heart", "brain", "bones", "lungs")
EACH = 40


class Partner(Factory):
    """Answers AA to everything, keeps a ledger, and may hang up after each answer."""

    noisy = False

    def __init__(self, *, hangs_up: bool = False) -> None:
        self.arrivals: list[str] = []
        self.copies: dict[str, set[bytes]] = {}
        self.hangs_up = hangs_up
        self.all: Deferred[None] = Deferred()
        self.port: Any = reactor.listenTCP(0, cast("Any", self), 50, "127.0.0.1")

    def buildProtocol(self, addr: object) -> Protocol:
        return _Conversation(self)

    def took(self, message: bytes) -> str:
        control_id = message.split(b"|", 10)[9].decode()
        self.arrivals.append(control_id)
        self.copies.setdefault(control_id, set()).add(message)
        if len(self.copies) == EACH and not self.all.called:
            self.all.callback(None)
        return control_id


class _Conversation(Protocol):
    def __init__(self, partner: Partner) -> None:
        self.partner = partner
        self.deframer = Deframer()

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        for message in self.deframer.feed(data):
            self.transport.write(accepts(self.partner.took(message)))
            if self.partner.hangs_up:
                self.transport.loseConnection()


@contextmanager
def _swallowing() -> Iterator[int]:
    """A port whose queue is full: the kernel drops every SYN."""
    with ExitStack() as stack:
        server = stack.enter_context(closing(socket.socket()))
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        for _ in range(3):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


@contextmanager
def _silent() -> Iterator[int]:
    """A port that accepts and never says a word."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(5)
        yield server.getsockname()[1]


def _dial(site: Site, lane: str, port: int) -> None:
    endpoint = cast("Any", HostnameEndpoint(reactor, "127.0.0.1", port))
    site.carry(MllpPeer(endpoint=endpoint, timer=reactor, peer=lane, ack_timeout_seconds=30.0), lane)


# H024, H034, F-G02, P10
@pytest_twisted.ensureDeferred
async def test_two_dead_destinations_hold_up_none_of_the_four_that_live() -> None:
    site = Site(clock=reactor)
    partners = {lane: Partner() for lane in LIVE}
    with _swallowing() as swallowing, _silent() as silent:
        for lane, partner in partners.items():
            _dial(site, lane, partner.port.getHost().port)
        _dial(site, "swallows", swallowing)
        _dial(site, "silent", silent)
        for lane in site.couriers:
            site.owe(*[f"{lane}{number:02d}" for number in range(EACH)], lane=lane)
        for courier in site.couriers.values():
            courier.start()

        for partner in partners.values():
            await partner.all

        dead = [site.couriers[lane] for lane in ("swallows", "silent")]
        assert [(one.counts.attempts, one.counts.retried) for one in dead] == [(1, 0), (1, 0)], (
            "the dead ones have not even been given up once: nobody waited for them"
        )
        for courier in site.couriers.values():
            await courier.stop()
        for partner in partners.values():
            await partner.port.stopListening()

    for lane, partner in partners.items():
        assert partner.arrivals == [f"{lane}{number:02d}" for number in range(EACH)]
    ledger = total_queue(site, *cast("Any", partners.values()))
    assert (ledger["lost"], ledger["changed"], ledger["unexpected"]) == (set(), set(), set())
    assert {name[:4] for name in ledger["unfinished"]} <= {"swal", "sile"}
    assert {row.state.value for row in site.rows()} == {"delivered", "queued"}


# H022
@pytest_twisted.ensureDeferred
async def test_a_peer_that_hangs_up_after_every_answer_gets_every_message_once() -> None:
    site = Site(clock=reactor)
    partner = Partner(hangs_up=True)
    _dial(site, "heart", partner.port.getHost().port)
    names = [f"heart{number:02d}" for number in range(EACH)]
    site.owe(*names, lane="heart")
    courier = site.couriers["heart"]
    courier.start()

    await partner.all
    await courier.stop()
    await partner.port.stopListening()

    assert list(dict.fromkeys(partner.arrivals)) == names
    assert total_queue(site, cast("Any", partner))["changed"] == set()


# H028
@pytest_twisted.ensureDeferred
async def test_a_lane_to_a_dead_peer_can_be_stopped_and_leaves_nothing_behind() -> None:
    for dead in (_swallowing, _silent):
        site = Site(clock=reactor)
        with dead() as port:
            _dial(site, "heart", port)
            site.owe("M1", "M2", lane="heart")
            courier = site.couriers["heart"]
            courier.start()
            await courier.stop()

        assert courier.state == "stopped"
        assert {row.state.value for row in site.rows()} == {"queued"}
