"""Every lane of a book: its channels, its patients, its EHR and its desks, each with a courier and a way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred, gatherResults, succeed

from referral_engine.base.clock import Clock
from referral_engine.channels.book import Book
from referral_engine.channels.channel import FaxTransport, MllpTransport, SpoolTransport
from referral_engine.channels.channel import Transport as Configured
from referral_engine.channels.engine import EhrSettings, Engine, Retry, Tls
from referral_engine.flow.lanes import DESKS, EHR, FALLBACK, PATIENT
from referral_engine.transports.courier import CLAIMED_AT_ONCE, LEASE_SECONDS, Courier, Submit
from referral_engine.transports.mllp import CONNECT_SECONDS_MAX, Endpoint, MllpPeer
from referral_engine.transports.reactor import Timer
from referral_engine.transports.session import InTurns, Session
from referral_engine.transports.spool import InThread, Spool
from referral_engine.transports.transport import Transport

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One way out and how patient it is."""

    name: str
    transport: Transport
    retry: Retry
    lease_seconds: float = LEASE_SECONDS
    claimed_at_once: int = CLAIMED_AT_ONCE


class LaneSet:
    """The couriers of all lanes."""

    def __init__(self, lanes: tuple[Lane, ...], world: Surroundings) -> None:
        """One courier a lane."""
        self._couriers = {
            lane.name: Courier(
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
            for lane in lanes
        }

    def start(self) -> None:
        """Let every courier look for work."""
        for courier in self._couriers.values():
            courier.start()

    def poke(self, lanes: frozenset[str]) -> None:
        """These lanes have new work."""
        for name in sorted(lanes & self._couriers.keys()):
            self._couriers[name].poke()

    def poke_all(self) -> None:
        """Every lane may have work."""
        self.poke(frozenset(self._couriers))

    def stop(self) -> Deferred[None]:
        """Fires when no courier has anything in flight."""
        ends = [courier.stop() for courier in self._couriers.values()]
        return gatherResults(ends).addCallback(lambda _: None) if ends else succeed(None)

    def give_up(self) -> None:
        """The journal takes nothing more: end everything at once."""
        for courier in self._couriers.values():
            courier.give_up()

    def status(self) -> list[dict[str, object]]:
        """What `status` shows of each lane."""
        return [courier.status() for courier in self._couriers.values()]


def lanes_of(book: Book, world: Surroundings) -> tuple[Lane, ...]:
    """Every lane; a disabled channel keeps its own, so that what it owes already still leaves.  Raises ConfigError."""
    engine = book.engine
    lines = _Lines(book, world)
    lanes = [lines.lane(EHR, engine.ehr, enhanced=False)]
    for name in sorted(book.channels):
        channel = book.channels[name]
        lanes.append(_configured(name, channel.transport, engine, lines))
        if channel.fallback is not None:
            lanes.append(_configured(name + FALLBACK, channel.fallback, engine, lines))
    patient = _spool(PATIENT, engine.patients.directory, Retry(), world)
    lanes.append(replace(patient, claimed_at_once=1))  # a STOP must find what has not left yet
    lanes += [_spool(desk, f"{engine.spool_directory}/{desk}", Retry(), world) for desk in DESKS]
    return tuple(lanes)


class _Lines:
    """The MLLP lanes of a book; those to one peer that takes a single connection share it."""

    def __init__(self, book: Book, world: Surroundings) -> None:
        self.world = world
        ways = [book.engine.ehr, *(channel.transport for channel in book.channels.values())]
        ways += [channel.fallback for channel in book.channels.values() if channel.fallback is not None]
        self._sessions = {
            (way.host, way.port): Session()
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
        return Lane(name=name, transport=transport, retry=to.retry, lease_seconds=lease)


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
    return Lane(name=name, transport=Spool(directory=where, in_thread=world.in_thread(where)), retry=retry)
