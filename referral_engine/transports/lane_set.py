"""Every lane of a book: its channels, its patients, its EHR and its desks, each with a courier and a way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from twisted.internet.defer import Deferred, gatherResults, succeed

from referral_engine.base.clock import Clock
from referral_engine.channels.book import Book
from referral_engine.channels.channel import FaxTransport, MllpTransport, SpoolTransport
from referral_engine.channels.channel import Transport as Configured
from referral_engine.channels.engine import EhrSettings, Engine, Retry, Tls
from referral_engine.transports.courier import CLAIMED_AT_ONCE, LEASE_SECONDS, Courier, Submit
from referral_engine.transports.mllp import CONNECT_SECONDS_MAX, Endpoint, MllpPeer
from referral_engine.transports.reactor import Timer
from referral_engine.transports.spool import InThread, Spool
from referral_engine.transports.transport import Transport

EHR: Final = "ehr"
PATIENT: Final = "patient"
DESKS: Final = ("team", "payer", "billing")  # each a directory below the engine's spool
FALLBACK: Final = "/fallback"

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
        return [
            {
                "lane": courier.lane,
                "state": courier.state,
                "attempts": courier.counts.attempts,
                "delivered": courier.counts.delivered,
                "retried": courier.counts.retried,
                "failed": courier.counts.failed,
                "unknown": courier.counts.unknown,
                "last_reason": courier.counts.last_reason,
            }
            for courier in self._couriers.values()
        ]


def lanes_of(book: Book, world: Surroundings) -> tuple[Lane, ...]:
    """Every lane; a disabled channel keeps its own, so that what it owes already still leaves.  Raises ConfigError."""
    engine = book.engine
    lanes = [_ehr(engine.ehr, world)]
    for name in sorted(book.channels):
        channel = book.channels[name]
        lanes.append(_configured(name, channel.transport, engine, world))
        if channel.fallback is not None:
            lanes.append(_configured(name + FALLBACK, channel.fallback, engine, world))
    patient = _spool(PATIENT, engine.patients.directory, Retry(), world)
    lanes.append(replace(patient, claimed_at_once=1))  # a STOP must find what has not left yet
    lanes += [_spool(desk, f"{engine.spool_directory}/{desk}", Retry(), world) for desk in DESKS]
    return tuple(lanes)


def _configured(name: str, transport: Configured, engine: Engine, world: Surroundings) -> Lane:
    """The lane of a channel's transport."""
    match transport:
        case MllpTransport():
            peer = MllpPeer(
                endpoint=world.dial(transport.host, transport.port, transport.tls, name),
                timer=world.timer,
                peer=f"{transport.host}:{transport.port}",
                tls=transport.tls is not None,
                enhanced=transport.ack_mode == "enhanced",
                ack_timeout_seconds=transport.ack_timeout_seconds,
            )
            return _mllp(name, peer, transport.retry, transport.ack_timeout_seconds)
        case FaxTransport():
            return _spool(name, engine.gateways[transport.gateway].directory, transport.retry, world)
        case SpoolTransport():
            return _spool(name, transport.directory, transport.retry, world)


def _ehr(ehr: EhrSettings, world: Surroundings) -> Lane:
    peer = MllpPeer(
        endpoint=world.dial(ehr.host, ehr.port, ehr.tls, EHR),
        timer=world.timer,
        peer=f"{ehr.host}:{ehr.port}",
        tls=ehr.tls is not None,
        ack_timeout_seconds=ehr.ack_timeout_seconds,
    )
    return _mllp(EHR, peer, ehr.retry, ehr.ack_timeout_seconds)


def _mllp(name: str, peer: MllpPeer, retry: Retry, ack_timeout_seconds: float) -> Lane:
    """The lease outlasts the connection and both acknowledgments of enhanced mode."""
    lease = max(LEASE_SECONDS, CONNECT_SECONDS_MAX + 2 * ack_timeout_seconds + 30.0)
    return Lane(name=name, transport=peer, retry=retry, lease_seconds=lease)


def _spool(name: str, directory: str, retry: Retry, world: Surroundings) -> Lane:
    where = world.directory(directory)
    return Lane(name=name, transport=Spool(directory=where, in_thread=world.in_thread(where)), retry=retry)
