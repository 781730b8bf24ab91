"""Every lane of a book: its channels, its patients, its EHR and its desks, each with a courier and a way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from twisted.internet.defer import Deferred, gatherResults, succeed

from referral_engine.base.clock import Clock
from referral_engine.channels.book import Book
from referral_engine.channels.channel import FaxTransport, MllpTransport, SpoolTransport
from referral_engine.channels.channel import Transport as Configured
from referral_engine.channels.engine import EhrSettings, Engine, Retry, Tls
from referral_engine.flow.lanes import DESKS, EHR, PATIENT
from referral_engine.transports.courier import CLAIMED_AT_ONCE, LEASE_SECONDS, Courier, Submit
from referral_engine.transports.mllp import CONNECT_SECONDS_MAX, Endpoint, MllpPeer
from referral_engine.transports.reactor import Later, Timer
from referral_engine.transports.session import InTurns, Session
from referral_engine.transports.spool import InThread, Spool
from referral_engine.transports.transport import Transport

LEAVING_SECONDS: Final = 10.0  # between two looks at what lanes without a file still owe

Dial = Callable[[str, int, Tls | None, str], Endpoint]  # host, port, TLS settings, who they belong to


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What lanes need of the world."""

    submit: Submit
    timer: Timer
    clock: Clock
    chance: Callable[[], float]  # draws from [0, 1)
    dial: Dial
    in_thread: Callable[[str], InThread]  # a directory to the thread that writes there
    directory: Callable[[str], str]  # a directory as the files name it, to where it is
    credentials: Callable[[Tls | None], str] = lambda _tls: ""  # changes when a certificate, key or CA does
    owed: Callable[[], Deferred[Mapping[str, int]]] = lambda: succeed({})  # lane to sendings that are to leave there
    sessions: dict[tuple[str, int], Session] = field(default_factory=dict)  # of peers that take a single connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One way out and how patient it is."""

    name: str
    transport: Transport
    retry: Retry
    lease_seconds: float = LEASE_SECONDS
    claimed_at_once: int = CLAIMED_AT_ONCE
    way: object = None  # equal to another lane's when its courier would do the same


class LaneSet:
    """The couriers of all lanes, at most one a lane; after a reload those of the new files, and the leaving ones."""

    def __init__(self, lanes: tuple[Lane, ...], world: Surroundings) -> None:
        """One courier a lane."""
        self._world = world
        self._lanes = {lane.name: lane for lane in lanes}  # as each lane's courier is, or will be once it may begin
        self._couriers = {lane.name: self._courier(lane) for lane in lanes}
        self._retiring: set[str] = set()  # their couriers finish what is in flight, and another takes the lane
        self._leaving: dict[str, int | None] = {}  # no file asks for them any more: what they still owe, once known
        self._looking: Later | None = None
        self._stopped = False

    def start(self) -> None:
        """Let every courier look for work."""
        for courier in self._couriers.values():
            courier.start()

    def follow(self, lanes: tuple[Lane, ...]) -> None:
        """Work these lanes from now on.

        A lane that is as it was keeps its courier. A changed one gets another, once the old one has finished what is in
        flight. One that no file asks for keeps its courier until nothing is owed there.
        """
        wanted = {lane.name: lane for lane in lanes}
        self._leaving = {name: self._leaving.get(name) for name in self._couriers if name not in wanted}
        for name, lane in wanted.items():
            before = self._lanes.get(name)
            self._lanes[name] = lane
            if before is None:
                self._begin(lane)
            elif before.way == lane.way and name not in self._retiring:
                self._lanes[name] = before  # the one that its courier has
            elif name not in self._retiring:
                self._retire(name)
        self._look_at_the_leaving()

    def poke(self, lanes: frozenset[str]) -> None:
        """These lanes have new work."""
        for name in sorted(lanes & self._couriers.keys()):
            self._couriers[name].poke()

    def poke_all(self) -> None:
        """Every lane may have work."""
        self.poke(frozenset(self._couriers))

    def stop(self) -> Deferred[None]:
        """Fires when no courier has anything in flight."""
        self._end()
        ends = [courier.stop() for courier in self._couriers.values()]
        return gatherResults(ends).addCallback(lambda _: None) if ends else succeed(None)

    def give_up(self) -> None:
        """The journal takes nothing more: end everything at once."""
        self._end()
        for courier in self._couriers.values():
            courier.give_up()

    def status(self) -> list[dict[str, object]]:
        """What `status` shows of each lane."""
        return [courier.status() | {"note": self._note(name)} for name, courier in self._couriers.items()]

    def _note(self, name: str) -> str:
        """What is out of the ordinary about a lane; "" when nothing is."""
        if name in self._leaving:
            owed = self._leaving[name]
            return "no file any more" if owed is None else f"no file any more, {owed} owed"
        return "its new settings wait for what is in flight" if name in self._retiring else ""

    def _courier(self, lane: Lane) -> Courier:
        world = self._world
        return Courier(
            lane=lane.name,
            transport=lane.transport,
            submit=world.submit,
            timer=world.timer,
            clock=world.clock,
            chance=world.chance,
            retry=lane.retry,
            lease_seconds=lane.lease_seconds,
            claimed_at_once=lane.claimed_at_once,
        )

    def _begin(self, lane: Lane) -> None:
        self._couriers[lane.name] = self._courier(lane)
        self._couriers[lane.name].start()

    def _retire(self, name: str) -> None:
        """Never two couriers on one lane: the next begins when this one has ended."""
        self._retiring.add(name)
        self._couriers[name].retire().addCallback(self._retired, name)

    def _retired(self, _nothing: None, name: str) -> None:
        if self._stopped:
            return
        self._retiring.discard(name)
        if self._leaving.get(name) == 0:
            del self._couriers[name], self._lanes[name], self._leaving[name]
        else:
            self._begin(self._lanes[name])

    def _look_at_the_leaving(self) -> None:
        """Ask what they owe, now and from time to time, until they have left."""
        if self._looking is not None and self._looking.active():
            self._looking.cancel()
        self._looking = None
        if self._leaving and not self._stopped:
            self._world.owed().addCallbacks(self._owed, lambda _: None).addCallback(self._look_again)

    def _owed(self, owed: Mapping[str, int]) -> None:
        for name in tuple(self._leaving):
            self._leaving[name] = owed.get(name, 0)
            if not self._leaving[name] and name not in self._retiring:
                self._retire(name)

    def _look_again(self, _nothing: None) -> None:
        if self._leaving and not self._stopped and self._looking is None:
            self._looking = self._world.timer.callLater(LEAVING_SECONDS, self._look_at_the_leaving)

    def _end(self) -> None:
        self._stopped = True
        if self._looking is not None and self._looking.active():
            self._looking.cancel()


def lanes_of(book: Book, world: Surroundings) -> tuple[Lane, ...]:
    """Every lane; a disabled channel keeps its own, so that what it owes already still leaves.  Raises ConfigError."""
    engine = book.engine
    lines = _Lines(book, world)
    lanes = [lines.lane(EHR, engine.ehr, enhanced=False)]
    for name in sorted(book.channels):
        channel = book.channels[name]
        lanes += [_configured(lane, transport, engine, lines) for lane, transport in channel.lanes]
    patient = _spool(PATIENT, engine.patients.directory, Retry(), world)
    lanes.append(replace(patient, claimed_at_once=1))  # a STOP must find what has not left yet
    lanes += [_spool(desk, f"{engine.spool_directory}/{desk}", Retry(), world) for desk in DESKS]
    return tuple(lanes)


class _Lines:
    """The MLLP lanes of a book; those to one peer that takes a single connection share it."""

    def __init__(self, book: Book, world: Surroundings) -> None:
        self.world = world
        ways = [book.engine.ehr, *(way for channel in book.channels.values() for _, way in channel.lanes)]
        self._sessions = {
            (way.host, way.port): world.sessions.setdefault((way.host, way.port), Session())
            for way in ways
            if isinstance(way, EhrSettings | MllpTransport) and way.single_session
        }

    def lane(self, name: str, to: EhrSettings | MllpTransport, *, enhanced: bool) -> Lane:
        """One lane: half its lease outlasts the connection, the other half both acknowledgments of enhanced mode."""
        peer = MllpPeer(
            endpoint=self.world.dial(to.host, to.port, to.tls, name),
            timer=self.world.timer,
            peer=f"{to.host}:{to.port}",
            tls=to.tls is not None,
            enhanced=enhanced,
            ack_timeout_seconds=to.ack_timeout_seconds,
            nak=to.nak,
            trailer=to.trailer,
        )
        session = self._sessions.get((to.host, to.port))
        transport: Transport = InTurns(peer, session) if session is not None else peer
        lease = max(LEASE_SECONDS, 2 * (CONNECT_SECONDS_MAX + 2 * to.ack_timeout_seconds) + 30.0)
        way = (to, enhanced, session is not None, self.world.credentials(to.tls))
        return Lane(name=name, transport=transport, retry=to.retry, lease_seconds=lease, way=way)


def _configured(name: str, transport: Configured, engine: Engine, lines: _Lines) -> Lane:
    """The lane of a channel's transport."""
    match transport:
        case MllpTransport():
            return lines.lane(name, transport, enhanced=transport.ack_mode == "enhanced")
        case FaxTransport():
            return _spool(name, engine.gateways[transport.gateway].directory, transport.retry, lines.world)
        case SpoolTransport():
            return _spool(name, transport.directory, transport.retry, lines.world)


def _spool(name: str, directory: str, retry: Retry, world: Surroundings) -> Lane:
    where = world.directory(directory)
    spool = Spool(directory=where, in_thread=world.in_thread(where))
    return Lane(name=name, transport=spool, retry=retry, way=(where, retry))
