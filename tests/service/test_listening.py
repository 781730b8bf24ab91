"""The ports of other files: a kept one keeps its socket, a new one waits until it may, one nobody wants answers first."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock

from referral_engine.base.clock import EPOCH, ManualClock
from referral_engine.base.errors import ConfigError
from referral_engine.channels.book import Book
from referral_engine.channels.engine import Engine, Listener, Tls
from referral_engine.channels.partner import Limits, Partner
from referral_engine.service import listening as module
from referral_engine.service.door import Door
from referral_engine.service.host import LocalHost
from referral_engine.service.listening import Listening
from tests.service.doubles import PausedExecutor, RecordingStep, Wire, framed


class Port:
    """A port that is bound."""

    def __init__(self, net: Net, number: int, factory: Any) -> None:
        self.net, self.number, self.factory, self.reading = net, number, factory, True

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self.number)

    def stopReading(self) -> None:
        self.reading = False

    def startReading(self) -> None:
        self.reading = True

    def stopListening(self) -> None:
        del self.net.ports[self.number]


class Net(Clock):
    """A reactor with ports; those in `taken` are somebody else's."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: dict[int, Port] = {}
        self.taken: set[int] = set()

    def listenTCP(self, port: int, factory: Any, backlog: int, interface: str) -> Port:
        if port in self.ports or port in self.taken:
            raise CannotListenError(interface, port, OSError(98, "Address already in use"))
        self.ports[port] = Port(self, port, factory)
        return self.ports[port]

    def connect(self, port: int, peer: str = "10.0.0.7") -> Wire | None:
        protocol = self.ports[port].factory.buildProtocol(IPv4Address("TCP", peer, 40_000))
        if protocol is None:
            return None
        wire = Wire(peer)
        wire.protocol = protocol
        protocol.makeConnection(wire)
        return wire


class Site:
    """Listening over a door whose journal takes its time, with the ports of one book open."""

    def __init__(self, *listeners: Listener) -> None:
        self.net = Net()
        self.executor = PausedExecutor()
        host = LocalHost(step=RecordingStep(), read=lambda: None, executor=self.executor)
        self.door = Door(host=host, clock=self.net)
        self.listening = Listening(
            door=self.door, reactor=self.net, clock=ManualClock(EPOCH), credential=lambda _name: b""  # type: ignore[arg-type]  # what is used of one
        )  # fmt: skip
        self.door.on_batch.append(self.listening.flush)
        self.listening.open(book(*listeners))

    def follow(self, *listeners: Listener, **changes: Any) -> None:
        self.listening.prepare(book(*listeners, **changes)).carry_out()

    def commit(self) -> None:
        self.net.advance(0)
        while self.executor.waiting:
            self.executor.let_one_run()
            self.net.advance(0)


def book(*listeners: Listener, **changes: Any) -> Book:
    return Book(engine=Engine(listeners=listeners), **changes)


def connected(site: Site, port: int) -> Wire:
    wire = site.net.connect(port)
    assert wire is not None
    return wire


OLD = Listener(name="old", port=2575)


def test_a_port_that_stays_keeps_its_socket_and_the_connections_that_are_open() -> None:
    site = Site(OLD)
    port, wire = site.net.ports[2575], connected(site, 2575)

    site.follow(Listener(name="old", port=2575, connections_max=1))

    assert site.net.ports == {2575: port}
    wire.protocol.dataReceived(framed(b"1"))
    site.commit()
    assert (wire.value(), wire.ended) == (framed(b"ACK 1"), "")
    assert site.net.connect(2575) is None, "the new settings hold for whoever comes now"


def test_whoever_comes_after_it_is_met_by_the_partners_of_the_new_files() -> None:
    site = Site(OLD)
    lab = Partner(name="lab", addresses=("10.0.0.0/8",), limits=Limits(connections_max=1))

    site.follow(OLD, partners={"lab": lab})

    assert site.net.connect(2575) is not None
    assert site.net.connect(2575) is None


def test_a_new_port_is_bound_beforehand_and_lets_nobody_in_before_all_goes_over() -> None:
    site = Site(OLD)

    change = site.listening.prepare(book(OLD, Listener(name="new", port=2600)))
    held = site.net.ports[2600].reading
    change.carry_out()

    assert (held, site.net.ports[2600].reading) == (False, True)
    assert site.listening.ports() == {"old": 2575, "new": 2600}
    assert site.listening.listening


def test_a_port_that_somebody_else_has_changes_nothing_and_gives_the_others_back() -> None:
    site = Site(OLD)
    site.net.taken.add(2601)

    with pytest.raises(ConfigError) as caught:
        site.listening.prepare(book(Listener(name="a", port=2600), Listener(name="b", port=2601)))

    assert caught.value.problems[0].sentence == "listener b: cannot listen on 127.0.0.1:2601: Address already in use"
    assert (list(site.net.ports), site.listening.ports()) == ([2575], {"old": 2575})


def test_what_was_prepared_and_given_up_leaves_no_port_behind() -> None:
    site = Site(OLD)

    site.listening.prepare(book(Listener(name="new", port=2600))).abandon()

    assert list(site.net.ports) == [2575]


def test_a_port_nobody_asks_for_any_more_answers_what_it_has_before_it_closes() -> None:
    site = Site(OLD, Listener(name="leaving", port=2600))
    busy, idle = connected(site, 2600), connected(site, 2600)
    busy.protocol.dataReceived(framed(b"1"))
    site.net.advance(0)

    site.follow(OLD)
    assert (2600 in site.net.ports, idle.ended, busy.ended) == (False, "closed", "")
    assert [one["name"] for one in site.listening.status()] == ["old", "leaving"]
    site.commit()

    assert (busy.value(), busy.ended) == (framed(b"ACK 1"), "closed")
    assert [one["name"] for one in site.listening.status()] == ["old"]
    assert site.listening.frames == 1


def test_a_port_of_another_name_takes_new_connections_under_it_and_ends_the_old_ones() -> None:
    site = Site(OLD)
    port, wire = site.net.ports[2575], connected(site, 2575)

    site.follow(Listener(name="other", port=2575))

    assert (site.net.ports[2575], wire.ended) == (port, "closed")
    assert site.listening.ports() == {"other": 2575}


def test_tls_may_come_to_an_open_port_and_plain_connections_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from referral_engine.service import listener

    site = Site(OLD)
    port, wire = site.net.ports[2575], connected(site, 2575)
    monkeypatch.setattr(module, "server_context", lambda tls, _read, _owner: tls)
    monkeypatch.setattr(listener, "TLSMemoryBIOFactory", _Wrapped)

    site.follow(Listener(name="old", port=2575, tls=Tls(cert="first.pem")))
    first = site.net.ports[2575].factory.buildProtocol(IPv4Address("TCP", "10.0.0.7", 1))
    site.follow(Listener(name="old", port=2575, tls=Tls(cert="renewed.pem")))
    second = site.net.ports[2575].factory.buildProtocol(IPv4Address("TCP", "10.0.0.7", 2))

    assert (site.net.ports[2575], wire.ended) == (port, "closed")
    assert (first, second) == ("behind first.pem", "behind renewed.pem")


class _Wrapped:
    """Stands for Twisted's TLS in front of a factory."""

    def __init__(self, context: Any, _is_client: bool, _factory: Any) -> None:
        self._context = context

    def protocol(self, _factory: Any, _inner: Any) -> str:
        return f"behind {self._context.cert}"


def test_a_port_that_opens_while_the_disk_is_nearly_full_is_paused_like_the_others() -> None:
    site = Site(OLD)
    site.listening.pause("disk-nearly-full")

    site.follow(OLD, Listener(name="new", port=2600))
    paused = [one["paused"] for one in site.listening.status()]
    site.listening.resume_listening()

    assert paused == ["disk-nearly-full", "disk-nearly-full"]
    assert site.listening.listening


def test_a_fenced_journal_cuts_the_leaving_ones_too() -> None:
    site = Site(OLD, Listener(name="leaving", port=2600))
    wire = connected(site, 2600)
    wire.protocol.dataReceived(framed(b"1"))
    site.follow(OLD)

    site.listening.drop()

    assert wire.ended == "cut"
