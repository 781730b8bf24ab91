"""Round after round: load, faults on every side and a way to end the daemon; then calm, and the books are compared."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from referral_engine.service.control_client import ControlError, ask
from referral_engine.torture import messages
from referral_engine.torture.checks import PATIENT_LANE, Findings, check_site
from referral_engine.torture.daemon import Child, NotReady
from referral_engine.torture.disk import Disk, disk_at
from referral_engine.torture.ledger import Ledger, Sent
from referral_engine.torture.proxy import ALL, HARMLESS, Proxy
from referral_engine.torture.receivers import Receiver
from referral_engine.torture.senders import Sender, Source, vandal
from referral_engine.torture.site import free_port, lay_out
from referral_engine.torture.wire import Chance, one_of

SENDERS: Final = 6
MESSAGES_PER_SECOND: Final = 60.0  # of all senders: a minute of them is compared in moments
ORDER_SHARE: Final = 0.3
FOLLOW_SHARE: Final = 0.3  # bookings and notes about earlier orders; the rest concerns no referral
LOAD_SECONDS: Final = (0.3, 3.0)  # of one round, before its blow
CALM_SECONDS_MAX: Final = 180.0  # for everything to be answered and delivered once nothing breaks any more
AGAIN_MAX: Final = 40  # answered messages each sender says once more at the end
FENCED_SECONDS: Final = 3.0  # for a daemon with a full disk to end, if it is going to
DISK_STATUS: Final = 74  # it says: my disk is wrong
JOURNAL_LINES: Final = 'low_water = "256 KiB"\nballast = "1 MiB"'  # a small disk is filled soon
LOST_STATUS: Final = 1  # it says: the process that has my journal is gone
BLOWS: Final = (
    *("kill",) * 8, *("kill the daemon alone",) * 2, *("kill the journal's process",) * 2, *("stop",) * 2,
    *("pause",) * 2, *("full disk",) * 2, *("network",) * 2,
)  # fmt: skip

Tell = Callable[[float, str], None]  # the share that is over, and what happens now


@dataclass(slots=True, kw_only=True)
class Plan:
    """What a run is made from."""

    root: Path  # an empty scratch directory
    seconds: float  # of rounds; calm and comparing come on top
    chance: Chance
    began_at: datetime  # what the messages say as their time
    tell: Tell = field(default=lambda _share, _what: None)
    keep: Path | None = None  # where everything is copied to in the end


class Torture:
    """One run on one scratch site."""

    def __init__(self, plan: Plan) -> None:
        """Set up nothing yet; `run` does."""
        self.ledger = Ledger()
        self.rounds = 0
        self._plan = plan
        self._chance = plan.chance
        self._child = Child(plan.root)
        self._receivers = [Receiver(name, self.ledger) for name in ("ehr", "heart", "imaging")]
        self._proxies: list[Proxy] = []
        self._source = Source(self._make)
        pause = SENDERS / MESSAGES_PER_SECOND
        self._senders = [Sender(self._source, self.ledger, plan.chance, pause_seconds=pause) for _ in range(SENDERS)]
        self._numbers = 0
        self._orders: list[int] = []
        self._followed: set[tuple[int, object]] = set()
        self._listener = 0
        self._full_disk_round = -1  # the newest
        self._shut = False  # it may be waiting for a minute of ample room, as it does after a full disk

    async def run(self) -> Findings:
        """All rounds, the calm after them, and what the books say.  Raises NotReady, OSError, JournalError."""
        plan = self._plan
        async with AsyncExitStack() as ending:
            disk = ending.enter_context(disk_at(plan.root / "var"))
            ending.callback(self._keep)
            self.ledger.notes.append(f"full disk: {disk.how}")
            await self._set_up(ending)
            loop = asyncio.get_running_loop()
            begun = loop.time()
            tasks = [asyncio.create_task(sender.run()) for sender in self._senders]
            tasks.append(asyncio.create_task(vandal(lambda: self._listener, plan.chance, self.ledger)))
            ending.push_async_callback(_end, tasks)
            while (over := loop.time() - begun) < plan.seconds:
                self.rounds += 1
                await self._round(disk, over / plan.seconds)
            plan.tell(1.0, "calm: everything is answered and delivered")
            tasks[-1].cancel()
            await self._calm()
            await _end(tasks)
            plan.tell(1.0, "the books are compared")
            status = await self._child.stop()
            if status != 0:
                self.ledger.exits.append(f"SIGTERM after calm ended with {status}")
            if "Traceback" in self._child.log:
                self.ledger.exits.append("a traceback in the log")
            return check_site(plan.root, self.ledger)

    async def _set_up(self, ending: AsyncExitStack) -> None:
        plan, counts = self._plan, self.ledger.faults
        ports: dict[str, int] = {}
        for receiver in self._receivers:
            proxy = Proxy(await receiver.open(), plan.chance, counts)
            ending.push_async_callback(receiver.close)
            ports[receiver.name] = await proxy.open()
            ending.push_async_callback(proxy.close)
            self._proxies.append(proxy)
        self._listener = free_port(plan.chance)
        front = Proxy(self._listener, plan.chance, counts)
        await front.open()
        ending.push_async_callback(front.close)
        self._proxies.append(front)
        for sender in self._senders:
            sender.port = front.port
        lay_out(plan.root, listener=self._listener, ports=ports, journal=JOURNAL_LINES)
        ending.push_async_callback(self._kill)
        await self._start()

    def _keep(self) -> None:
        """Copy the site away before its disk goes."""
        if self._plan.keep is not None:
            shutil.copytree(
                self._plan.root, self._plan.keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock")
            )

    async def _kill(self) -> None:
        if self._child.pid:
            await self._child.kill()

    async def _start(self) -> None:
        self._shut = False
        took = await self._child.start()
        self.ledger.slowest_start_seconds = max(self.ledger.slowest_start_seconds, took)

    async def _revive(self) -> None:
        """Start a daemon that ended by itself, which only a full disk excuses."""
        status = await self._child.ended(1.0)
        if status != DISK_STATUS or self.rounds > self._full_disk_round + 1:
            self.ledger.exits.append(f"round {self.rounds}: it ended by itself with {status}")
        await self._start()

    async def _round(self, disk: Disk, over: float) -> None:
        """Some load with a network that breaks more or less, then one blow."""
        chance, child = self._chance, self._child
        share = one_of(chance, (0.0, 0.2, 0.5, 0.9))
        for proxy in self._proxies:
            proxy.share, proxy.mischiefs = share, (HARMLESS if chance.random() < 0.2 else ALL)
        blow = one_of(chance, BLOWS)
        self._plan.tell(over, f"round {self.rounds}: {blow}, {self.ledger.told} acknowledged")
        await asyncio.sleep(chance.uniform(*LOAD_SECONDS))
        if not child.pid:
            await self._revive()
            return
        self.ledger.faults[blow] += 1
        await self._blows[blow](self, disk)
        if not child.pid:
            await self._start()

    async def _blow_kill(self, _disk: Disk) -> None:
        await self._child.kill()

    async def _blow_kill_alone(self, _disk: Disk) -> None:
        await self._child.kill_alone()

    async def _blow_kill_journal(self, _disk: Disk) -> None:
        status = await self._child.kill_journal()
        if status not in {None, LOST_STATUS}:
            self.ledger.exits.append(f"round {self.rounds}: without the journal's process it ended with {status}")

    async def _blow_stop(self, _disk: Disk) -> None:
        await self._stop()

    async def _stop(self) -> None:
        status = await self._child.stop()
        if status != 0:
            self.ledger.exits.append(f"round {self.rounds}: SIGTERM ended with {status}")

    async def _stop_and_start(self) -> None:
        await self._stop()
        await self._start()

    async def _blow_pause(self, _disk: Disk) -> None:
        await self._child.pause(self._chance.uniform(0.2, 2.5))

    async def _blow_network(self, _disk: Disk) -> None:
        for proxy in self._proxies:
            proxy.drop()

    async def _blow_full_disk(self, disk: Disk) -> None:
        """No room for a while; the daemon may wait or end with 74, and is then killed or goes on."""
        chance, child = self._chance, self._child
        self._full_disk_round, self._shut = self.rounds, True
        disk.fill(child.pids)
        try:
            status = await child.ended(chance.uniform(0.5, FENCED_SECONDS))
        finally:
            disk.free(child.pids)
        if status not in {None, DISK_STATUS}:
            self.ledger.exits.append(f"round {self.rounds}: a full disk ended it with {status}")
        if status is None and chance.random() < 0.5:
            await child.kill()

    _blows: Final[dict[str, Callable[[Torture, Disk], Coroutine[None, None, None]]]] = {
        "kill": _blow_kill,
        "kill the daemon alone": _blow_kill_alone,
        "kill the journal's process": _blow_kill_journal,
        "stop": _blow_stop,
        "pause": _blow_pause,
        "network": _blow_network,
        "full disk": _blow_full_disk,
    }

    async def _calm(self) -> None:
        """Nothing breaks any more: wait until all is answered and delivered, then hear every answer once more."""
        self._source.open = False
        for proxy in self._proxies:
            proxy.share = 0.0
            proxy.drop()
        for sender in self._senders:
            sender.calm_down()
        if self._shut and self._child.pid:
            await self._stop_and_start()
        loop = asyncio.get_running_loop()
        until = loop.time() + CALM_SECONDS_MAX
        while loop.time() < until and not all(sender.settled for sender in self._senders):
            await asyncio.sleep(0.1)  # whether all have their answers is many senders' state
            if not self._child.pid:
                await self._revive()
        await asyncio.gather(*(sender.say_again(AGAIN_MAX) for sender in self._senders))
        while loop.time() < until and await asyncio.to_thread(self._owed):  # noqa: ASYNC110  # the daemon sets no event
            await asyncio.sleep(0.3)

    def _owed(self) -> bool:
        """Whether the daemon says that anything but a text to a patient is still on its way."""
        with suppress(ControlError):
            rows = ask(self._child.socket, "outbox", {"limit": 10_000})
            assert isinstance(rows, list), "the outbox is a list"
            return any(row["state"] in {"queued", "in-flight"} and row["channel"] != PATIENT_LANE for row in rows)
        return True

    def _make(self) -> Sent:
        """The next message of the load."""
        chance, at = self._chance, self._plan.began_at
        self._numbers += 1
        number, kind = self._numbers, chance.random()
        if kind < ORDER_SHARE:
            self._orders.append(number)
            return self.ledger.send(messages.order(number, at), order=number)
        if kind < ORDER_SHARE + FOLLOW_SHARE and self._orders:
            about = one_of(chance, tuple(self._orders[-200:]))
            make = one_of(chance, (messages.booking, messages.note))
            if messages.office_of(about).books and (about, make) not in self._followed:
                self._followed.add((about, make))
                return self.ledger.send(make(about, at))
        return self.ledger.send(messages.registration(number, at))


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def torture(plan: Plan) -> tuple[Torture, Findings]:
    """One run; the run and what it found.  Raises NotReady, OSError, JournalError."""
    run = Torture(plan)
    return run, await run.run()


__all__ = ["NotReady", "Plan", "Torture", "torture"]
