"""A story on real sockets: the daemon on free ports, made-up partners around it, and a clock that is moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, cast

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import deferLater

from referral_engine.base.clock import ManualClock, from_micros, to_micros
from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.channels.channel import Channel, FaxTransport, MllpTransport, SpoolTransport
from referral_engine.channels.engine import Engine, Listener
from referral_engine.flow.comparison import Difference, Played, answered, compare, first_referral, sent, task_done, why
from referral_engine.flow.inputs import PatientReplied, Ticked
from referral_engine.flow.scenario import Moment, Scenario, Staff, wall_time
from referral_engine.flow.story import Samples, sample
from referral_engine.journal.answers import Story
from referral_engine.journal.reading import ROWS_MAX, Reading
from referral_engine.journal.rows import EffectState
from referral_engine.service.assembly import Daemon
from referral_engine.service.door import Door
from referral_engine.service.host import LocalHost
from referral_engine.service.partners import SENDERS, Partner, Sender
from referral_engine.service.places import Places
from referral_engine.service.world import World
from referral_engine.transports.reactor import Reactor

HOST: Final = "127.0.0.1"
LOOK_SECONDS: Final = 0.005  # between two looks at whether everything has settled
LOOKS_MAX: Final = 4_000  # twenty seconds; a partner that stays silent on purpose is not waited for
FAR_SECONDS: Final = 1e9  # the sweeper's own tick never comes: the stage ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """What a stage is built from."""

    book: Book
    samples: Samples
    root: Path  # a scratch directory: journal, key, spool, control socket
    reactor: Reactor
    chance: Callable[[], float]


class Stage:
    """One daemon and its partners, for one story."""

    def __init__(self, scenario: Scenario, built: Set) -> None:
        """Build nothing yet; `open` does."""
        self.scenario = scenario
        self.daemon: Daemon | None = None
        self._set = built
        calendars = built.book.engine.calendars
        self._zone = (calendars.get("default") or next(iter(calendars.values()))).zone
        self.clock = ManualClock(self._instant(scenario.scenario.start))
        self._partners: dict[str, Partner] = {}
        self._sender: Sender | None = None
        self._seen = 0

    async def open(self) -> dict[str, int]:
        """Start partners and daemon; the ports they listen on, by name."""
        book = self._with_partners()
        world = World(
            reactor=self._set.reactor,
            clock=self.clock,
            places=Places(root=self._set.root),
            chance=self._set.chance,
            tick_seconds=FAR_SECONDS,
        )
        self.daemon = Daemon(book, world)
        await self.daemon.start()
        port = next(iter(self.daemon.ports.values()))
        endpoint = TCP4ClientEndpoint(self._set.reactor, HOST, port)
        self._sender = cast("Sender", await endpoint.connect(cast("IProtocolFactory", SENDERS)))
        return {**self.daemon.ports, **{name: one.port for name, one in self._partners.items()}}

    async def play(self, told: Callable[[Played], None]) -> tuple[Story, ...]:
        """Play every step, tell each one, and give every referral's story at the end."""
        for number, moment in enumerate(self.scenario.step, 1):
            told(await self._step(number, moment))
        return await self._host.ask(_stories)

    async def close(self) -> None:
        """Stop the daemon and its partners."""
        if self._sender is not None:
            self._sender.hang_up()
        if self.daemon is not None:
            await self.daemon.stop()
        for partner in self._partners.values():
            await partner.close()

    def _instant(self, wall: str) -> datetime:
        return wall_time(wall).replace(tzinfo=self._zone)

    def _with_partners(self) -> Book:
        """The book with every MLLP peer replaced by a made-up one on a free port of this machine."""
        book = self._set.book
        channels = {name: self._near(channel) for name, channel in book.channels.items()}
        engine: Engine = replace(
            book.engine,
            listeners=(Listener(name="demo", bind=HOST, port=0),),
            ehr=replace(book.engine.ehr, host=HOST, port=self._partner("ehr"), tls=None),
        )
        return replace(book, engine=engine, channels=channels)

    def _near(self, channel: Channel) -> Channel:
        match channel.transport:
            case MllpTransport():
                port = self._partner(channel.name)
                return replace(channel, transport=replace(channel.transport, host=HOST, port=port, tls=None))
            case FaxTransport() | SpoolTransport():
                return channel

    def _partner(self, name: str) -> int:
        partner = Partner(name, self.clock, self.scenario.partners.get(name, "AA"))
        self._partners[name] = partner
        return partner.open(self._set.reactor, HOST)

    @property
    def _host(self) -> LocalHost[Reading]:
        """The journal is in this process: any question can be asked."""
        return cast("LocalHost[Reading]", self._door.host)

    @property
    def _door(self) -> Door:
        assert self.daemon is not None, "open first"
        return self.daemon.context.door

    async def _step(self, number: int, moment: Moment) -> Played:
        await self._move_to(self._instant(moment.at))
        for lane, answer in moment.partner.items():
            if lane in self._partners:
                self._partners[lane].answers = answer
        said, refused = "", ""
        if moment.receive:
            assert self._sender is not None, "open first"
            said = answered(await self._sender.send(sample(self._set.samples, moment)))
        if moment.staff is not None:
            refused = await self._staff(moment.staff, moment.of)
        if moment.reply:
            identity = await self._host.ask(lambda reading: first_referral(reading, moment.of))
            refused = (await self._door.submit(PatientReplied(referral=identity, answer=moment.reply))).refused
        await self._settled()
        owed = await self._host.ask(lambda reading: reading.owed_after(self._seen))
        self._seen = owed[-1].id if owed else self._seen
        sends = tuple(sent(row) for row in owed)
        differences, reason = await self._host.ask(lambda reading: _held_against(reading, moment, said, sends))
        if refused:
            differences += (Difference(what="staff", expected="done", got=refused),)
        return Played(
            number=number,
            at=self.clock.now(),
            say=moment.say,
            answer=said,
            sends=sends,
            differences=differences,
            why=reason if differences else "",
        )

    async def _staff(self, staff: Staff, placer: str) -> str:
        booked = self._instant(staff.booked) if staff.booked else None
        done = await self._host.ask(lambda reading: task_done(reading, staff, first_referral(reading, placer), booked))
        return (await self._door.submit(done)).refused if done else f"no open task {staff.task}"

    async def _move_to(self, instant: datetime) -> None:
        """Move the clock there; everything that falls due on the way happens at its own time."""
        target = to_micros(instant)
        while True:
            counts = await self._host.ask(lambda reading: reading.counts())
            dues = [at for at in (counts.oldest_deadline_at, counts.oldest_queued_at) if at is not None]
            due = max(min(dues), to_micros(self.clock.now())) if dues else target + 1
            if due > target:
                break
            self.clock.move_to(from_micros(due))
            while (await self._door.submit(Ticked())).more:
                pass
            assert self.daemon is not None, "open first"
            self.daemon.poke_lanes()
            await self._settled()
        self.clock.move_to(instant)

    async def _settled(self) -> None:
        """Wait until nothing is in flight and nothing could leave now."""
        for _ in range(LOOKS_MAX):
            counts = await self._host.ask(lambda reading: reading.counts())
            waiting = counts.oldest_queued_at is not None and counts.oldest_queued_at <= to_micros(self.clock.now())
            if not waiting and not counts.owed(EffectState.IN_FLIGHT):
                return
            await deferLater(self._set.reactor, LOOK_SECONDS, lambda: None)  # type: ignore[arg-type]  # our reactor protocol


def _held_against(
    reading: Reading, moment: Moment, said: str, sends: tuple[str, ...]
) -> tuple[tuple[Difference, ...], str]:
    identity = first_referral(reading, moment.of)
    return tuple(compare(moment.expect, reading, identity, said, sends)), why(reading, identity)


def _stories(reading: Reading) -> tuple[Story, ...]:
    found = (reading.story(line.id) for line in reversed(reading.referrals(limit=ROWS_MAX)))
    return tuple(story for story in found if story is not None)
