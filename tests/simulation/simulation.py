"""One seeded simulation: the real daemon among senders, receivers and people, while everything fails; findings out.

Safety: faults all the time, and nothing wrong may ever have happened.  Liveness: after a while everything is healed, and
then everything must come to its end within bounded virtual time.  The seed decides all of it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

from referral_engine.base.clock import MICROSECONDS, to_micros
from referral_engine.base.errors import JournalError
from referral_engine.base.values import replace
from referral_engine.flow.inputs import OutboxDecision, PatientReplied, TaskDone
from referral_engine.journal.journal import Journal
from referral_engine.journal.reading import Reading
from referral_engine.journal.rows import EffectState
from referral_engine.stories.script import Line
from tests.simulation import checkers, made_messages
from tests.simulation.actors import Around, Receiver, Sender
from tests.simulation.faults import Ground
from tests.simulation.hearing import hearing
from tests.simulation.ledgers import Ledger, Received
from tests.simulation.life import JOURNAL, Life
from tests.simulation.made_messages import CLINICS, FAX, HEART, IMAGING, Pen, Visit
from tests.simulation.network import Network
from tests.simulation.options import Options, options_of
from tests.simulation.reviewing import word_of_a_reviewer
from tests.simulation.scheduler import START, Scheduler, WallClock
from tests.simulation.site import DEADLY, EHR_PORT, POISON, PORT, site_book
from tests.simulation.told_stories import family_in, placer_in, stranger, told_stories

QUIET_SECONDS_MAX: Final = 900.0  # after everything is healed, how long until all must be at its end
GRACE_SECONDS: Final = 20.0  # a sending that is due may be under way
YEAR_SECONDS: Final = 365 * 86_400.0
STEPS: Final = (-20.0, -1.0, 1.0, 30.0, 600.0)  # by which a clock is set that nobody watches
TRACE_MAX: Final = 4_000
IN_MEMORY: Final = Path("/dev/shm")  # a file system that every Linux keeps in memory; nothing here is about the disk
DECISIONS: Final = ("retry", "retry", "park", "cancel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a simulation found, and what it has been through."""

    options: Options
    findings: tuple[str, ...]
    trace: tuple[str, ...]
    lives: int
    commits: int
    told: int
    received: int
    referrals: int
    seconds: float

    def report(self) -> str:
        """For a person: what is wrong, what led to it, and how to see it again."""
        return "\n".join((
            f"seed {self.options.seed}: {len(self.findings)} findings", *self.findings, "", *self.trace[-60:], "",
            repr(self.options),
f"replay with: {self._again()}",
        ))  # fmt: skip

    def _again(self) -> str:
        """How to see it again; options that no seed draws are handed over as they are."""
        if self.options == options_of(self.options.seed):
            return f"SIMULATION_SEED={self.options.seed} python -m pytest -n0 -s tests/simulation"
        return "tests.simulation.simulation.simulate, with the options above"


class Simulation:
    """The stage: everything is built from the seed, and `run` plays it."""

    def __init__(self, options: Options, root: Path) -> None:
        """Build everybody; `root` is an empty directory."""
        self.options = options
        self.root = root
        self.trace: list[str] = []
        self.logged: list[str] = []
        self.scheduler = Scheduler()
        self.clock = WallClock(self.scheduler)
        self.chance = Random(f"simulation {options.seed}")
        self.net = Network(self.scheduler, Random(f"network {options.seed}"), self.note)
        self.net.faults = options.network_faults
        self.book = site_book(str(root), self._taken_down)
        self.rates = replace(options.rates)
        self.ground = Ground(
            scheduler=self.scheduler, clock=self.clock, net=self.net, book=self.book, root=root, rates=self.rates,
            chance=Random(f"engine {options.seed}"), note=self.note, guarded=options.guarded,
        )  # fmt: skip
        self.findings = self.ground.findings
        self.ledger = Ledger()
        self.around = Around(
            scheduler=self.scheduler, net=self.net, chance=Random(f"actors {options.seed}"), ledger=self.ledger,
            note=self.note, findings=self.findings,
        )  # fmt: skip
        self.pen = Pen()
        self.visits: dict[int, Visit] = {}
        self.families: set[str] = set()  # of the stories' patients
        self.placers: set[bytes] = set()  # of the stories' orders
        self.senders = {
            name: Sender(self.around, name, PORT, window=options.window)
            for name in ("ehr", "ehr-twin", HEART.channel, IMAGING.channel, "scanner")
        }
        Receiver(self.around, "ehr", EHR_PORT)
        for clinic, port in ((HEART, 6661), (IMAGING, 6662)):
            Receiver(self.around, clinic.channel, port, self._clinic_hears)
        self.life = self._live(None)

    # The play.

    def run(self) -> Result:
        """Trouble, and then peace where the options ask for it; then judge."""
        options = self.options
        with hearing(self.logged, self.findings):
            self._plan()
            self.scheduler.run(options.seconds, self._enough)
            if options.liveness and not self.findings:
                self._heal()
                self.scheduler.run(self.scheduler.now + QUIET_SECONDS_MAX, self._quiet)
                self._judge_peace()
            self.life.crash()
            self.scheduler.run(self.scheduler.now)
            self._judge()
        return Result(
            options=options,
            findings=tuple(dict.fromkeys(self.findings)),
            trace=tuple(self.trace),
            lives=self.life.number,
            commits=self.ground.commits,
            told=len(self.ledger.told),
            received=len(self.ledger.received),
            referrals=self._referrals,
            seconds=self.scheduler.now,
        )

    def note(self, what: str) -> None:
        """One line of the trace."""
        if len(self.trace) >= TRACE_MAX:
            del self.trace[: TRACE_MAX // 2]
        self.trace.append(f"{self.scheduler.now:9.4f} {what}")

    def _enough(self) -> bool:
        return bool(self.findings)

    def _plan(self) -> None:
        """What happens when, as far as the seed knows it from the start."""
        chance, options, later = self.chance, self.options, self.scheduler.later
        span = options.seconds * 0.7
        for number in range(1, options.orders + 1):
            later(chance.random() * span, self._order, number)
        for number in range(options.strangers):
            later(chance.random() * span, self._stranger, number)
        apart = Random(f"stories {options.seed}")
        for moment, line in told_stories(self.book, self.clock.now(), options.stories, span, apart):
            later(moment, self._tell, line)
        for _ in range(options.clock_steps):
            later(chance.random() * options.seconds, self._step_clock)
        for _ in range(options.absences):
            later(chance.random() * span, self._go_away)
        for number in range(options.poisons):
            later(chance.random() * span, self._poison, number, POISON)
        for number in range(options.deadly):
            later(chance.random() * span, self._poison, 50 + number, DEADLY)
        later(3.0, self._people)

    def _order(self, number: int) -> None:
        chance = self.chance
        clinic = chance.choice(CLINICS)
        visit = self.visits[number] = Visit(
            number=number,
            clinic=clinic,
            patient=chance.randint(1, 4) if chance.random() < 0.3 else 100 + number,
            insurance=chance.choice(("PPO", "PPO", "HMO")),
            urgent=chance.random() < 0.2,
        )
        ehr, pen, later = self.senders["ehr"], self.pen, self.scheduler.later
        authorization = "AUTH1" if clinic is IMAGING and chance.random() < 0.7 else ""
        order = pen.order(visit, self.clock.now(), authorization=authorization)
        ehr.send(order)
        if self.options.twins and chance.random() < 0.5:
            self.senders["ehr-twin"].send(order)
        if chance.random() < 0.1:  # the same control id again, with other bytes
            ehr.send(order.replace(b"Made-up reason", b"Another reason"))
        if chance.random() < 0.15:
            later(chance.random() * 40, lambda: ehr.send(pen.order(visit, self.clock.now(), "CA")))
        if chance.random() < 0.15:
            later(chance.random() * 20, lambda: ehr.send(pen.order(visit, self.clock.now(), "XO", "AUTH2")))
        if chance.random() < 0.1:
            retired = visit.patient
            moved = self.visits[number] = replace(visit, patient=500 + number)
            later(chance.random() * 30, lambda: ehr.send(pen.merge(moved, retired, self.clock.now())))
        if clinic is FAX:
            later(10 + chance.random() * 30, lambda: self._say("scanner", pen.note(visit, self.clock.now())))
        elif chance.random() < 0.1:  # a note before anybody could have written one
            later(chance.random() * 3, lambda: self._say(clinic.channel, pen.note(visit, self.clock.now())))

    def _stranger(self, number: int) -> None:
        if self.chance.random() < 0.1:
            self.senders["ehr"].send(b"MSH|^~\\&|no message, and number %d" % number)
            return
        self._tell(stranger(self.book, self.clock.now(), number, Random(f"stranger {self.options.seed} {number}")))

    def _tell(self, line: Line) -> None:
        """One message of the generator; the engine may do with it what it likes, but never lose or repeat it."""
        raw = line.write()
        self.families.add(family_in(raw))
        self.placers.add(placer_in(raw))
        self._say(line.feed, raw)

    def _poison(self, number: int, kind: str) -> None:
        """A message whose handling breaks; what was sent behind it must go on."""
        visit = Visit(number=9000 + number, clinic=HEART, patient=9000 + number)
        self.senders["ehr"].send(self.pen.order(visit, self.clock.now(), authorization=kind))

    def _clinic_hears(self, frame: bytes) -> None:
        """An order came: accept or decline, book, see the patient, write; or some of it, or not at all."""
        if b"|ORM^O01" not in frame or b"\rORC|NW|" not in frame:
            return
        placer = frame.split(b"\rORC|NW|", 1)[1].split(b"^", 1)[0]
        visit = self.visits.get(int(placer[1:])) if placer[:1] == b"P" and placer[1:].isdigit() else None
        if visit is None:
            if placer not in self.placers:  # a story goes on by itself, whatever the clinic hears
                self.findings.append(f"a clinic received an order {placer!r} that nobody wrote")
            return
        chance, pen, name, later = self.chance, self.pen, visit.clinic.channel, self.scheduler.later
        say, now = self._say, self.clock.now
        starts = now() + timedelta(seconds=chance.randint(15, 60))
        if chance.random() < 0.1:
            later(2, lambda: say(name, pen.answer(visit, now(), "UA")))
            return
        later(1 + chance.random() * 5, lambda: say(name, pen.answer(visit, now(), "OK")))
        if chance.random() < 0.8:
            later(2 + chance.random() * 10, lambda: say(name, pen.booking(visit, now(), starts)))
        if chance.random() < 0.2:
            later(12, lambda: say(name, pen.booking(visit, now(), starts, "S15", "Cancelled")))
        elif chance.random() < 0.6:
            later(40, lambda: say(name, pen.booking(visit, now(), starts, "S14", "Complete")))
        if chance.random() < 0.8:
            later(chance.random() * 60, lambda: say(name, pen.note(visit, now())))
        if chance.random() < 0.1:
            later(70, lambda: say(name, pen.note(visit, now(), "T11", "CA")))

    def _say(self, name: str, raw: bytes) -> None:
        self.senders[name].send(raw)

    def _step_clock(self) -> None:
        steps = (-20.0, -1.0, 1.0, 30.0, 120.0, YEAR_SECONDS, -YEAR_SECONDS) if self.options.guarded else STEPS
        seconds = self.chance.choice(steps)
        self.note(f"the clock is set by {seconds:+.0f} s")
        self.clock.step(seconds)

    def _go_away(self) -> None:
        port = self.chance.choice((EHR_PORT, 6661, 6662))
        self.note(f"port {port} is away")
        self.net.away.add(port)
        self.scheduler.later(self.chance.random() * 40, self.net.away.discard, port)

    def _people(self) -> None:
        """Somebody does a task, and says something about it; patients write back."""
        self.scheduler.later(1 + self.chance.random() * 6, self._people)
        life, chance = self.life, self.chance
        if (
            not (life.alive and life.ready)
            or life.journal is None
            or life.journal.fenced
            or life.daemon.context.door.fenced
        ):
            return
        reading = life.journal.read()
        submit = life.daemon.context.door.submit
        tasks = reading.tasks(limit=20)
        if tasks:
            learned = {"attended": True, "release": True, "patient_reached": True, "authorized": "AUTH9"}
            words: dict[str, Any] = {name: value for name, value in learned.items() if chance.random() < 0.2}
            if chance.random() < 0.1:
                words["end"] = "cancelled"
            task = chance.choice(tasks)
            submit(TaskDone(task=task.id, by="ana", note="done", **words)).addErrback(lambda _: None)
        reviewed = word_of_a_reviewer(reading, chance)
        if reviewed is not None:
            submit(reviewed).addErrback(lambda _: None)
        owed = reading.outbox(limit=20)
        if owed and chance.random() < 0.15:
            decision = OutboxDecision(effect=chance.choice(owed).id, decision=chance.choice(DECISIONS), by="ana")
            submit(decision).addErrback(lambda _: None)
        lines = reading.referrals(limit=20)
        if lines and chance.random() < 0.2:
            word = chance.choice(("YES", "NO", "STOP", "START", "hm?"))
            submit(PatientReplied(referral=chance.choice(lines).id, answer=word)).addErrback(lambda _: None)

    def _taken_down(self) -> None:
        if self.life.alive:
            self.note("a message takes the engine down")
            self.life.crash()

    # Lives.

    def _live(self, left: Path | None) -> Life:
        number = 1 if left is None else self.life.number + 1
        life = Life(self.ground, number, left, cleanly=self._cleanly)
        life.over.addCallback(self._again)
        life.start()
        return life

    def _again(self, how: str) -> None:
        """The process ended: look at what it left, and start the next one after a while."""
        if self._over:
            return
        self._cleanly = how == "stopped" and not self.rates.slow_disk
        self.scheduler.later(0.2 + self.chance.random() * 5, self._next_life)

    def _next_life(self) -> None:
        if not self._over:
            self.life = self._live(self.life.left)

    _over = False
    _cleanly = False
    _referrals = 0

    # Peace.

    def _heal(self) -> None:
        self.note("everything is healed")
        self.rates.heal()
        self.net.heal()
        self.around.troubled = False
        if self.options.guarded:
            self.clock.offset = 0.0
        else:  # the clock is right from now on, and never was ahead
            shown = START + timedelta(seconds=self.scheduler.now + self.clock.offset)
            self.clock.step((self.clock.latest - shown).total_seconds())

    def _quiet(self) -> bool:
        """Whether everything is at its end; asked after each call, so it looks only now and then."""
        if self.scheduler.made % 500:
            return False
        life = self.life
        if self.findings:
            return True
        if any(sender.waiting for sender in self.senders.values()) or not (life.alive and life.daemon.ready):
            return False
        assert life.journal is not None, "a ready daemon has a journal"
        return not self._unfinished(life.journal.read()) and not life.daemon.context.door.backlog

    def _unfinished(self, reading: Reading) -> list[str]:
        """What is late: sendings, and clocks that have run out and did not fire."""
        now = to_micros(self.clock.now())
        oldest = reading.counts().oldest_deadline_at
        if oldest is not None and oldest + GRACE_SECONDS * MICROSECONDS < now:
            return ["a clock has run out and does not fire"]
        rows = [
            row for row in checkers.all_effects(reading) if row.state in {EffectState.QUEUED, EffectState.IN_FLIGHT}
        ]
        return checkers.unfinished(rows, now, int(GRACE_SECONDS * MICROSECONDS))

    def _judge_peace(self) -> None:
        """Liveness: everybody was answered, nothing is owed, every referral is over or owns a clock."""
        waiting = {name: len(sender.waiting) for name, sender in self.senders.items() if sender.waiting}
        if waiting:
            self.findings.append(f"STUCK: senders still wait for an answer: {waiting}")
        if not (self.life.alive and self.life.daemon.ready):
            self.findings.append(f"STUCK: the engine is not ready: {self.life.daemon.status()}")
            return
        assert self.life.journal is not None, "a ready daemon has a journal"
        self.findings += [f"STUCK: {one}" for one in self._unfinished(self.life.journal.read())]
        if self.life.daemon.context.door.backlog:
            self.findings.append("STUCK: the door has a backlog")

    # Judgement.

    def _judge(self) -> None:
        """Open what is left as the next life would, and let every checker look."""
        self._over = True
        if self.life.left is None or not self.life.left.exists():
            return
        path = self.root / "judged"
        shutil.copytree(self.life.left, path)
        try:
            journal = Journal.open(str(path / JOURNAL), None)
        except JournalError as error:
            self.findings.append(f"LOST: what life {self.life.number} left cannot be opened: {error}")
            return
        try:
            reading = journal.read()
            if self.options.guarded and reading.counts().high_water > to_micros(START + timedelta(days=1)):
                self.findings.append("a wrong year was believed, and recorded")
            self._referrals = len(reading.referrals(limit=10_000))
            received = [*self.ledger.received, *self._files()]
            self.findings += checkers.wrong_inside(reading, self.book)
            self.findings += checkers.wrong_outside(reading, self.ledger.told, received)
            self.findings += checkers.spoken_of([*made_messages.canaries(), *self.families], self.logged)
        finally:
            journal.close()

    def _files(self) -> Iterator[Received]:
        """What other programs would have picked up."""
        lanes = {"fax": FAX.channel, "patients": "patient"}
        for path in sorted((self.root / "spool").rglob("*")):
            if path.is_file():
                if path.name.startswith("."):
                    continue  # half a file, never seen by anybody
                folder = path.parent.name
                yield Received(lane=lanes.get(folder, folder), wire_id=path.stem, body=path.read_bytes())


def simulate(options: Options) -> Result:
    """Build, run and judge one simulation; its files are kept in memory where there is such a place."""
    usable = IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK)
    with TemporaryDirectory(prefix="simulation-", dir=IN_MEMORY if usable else None) as root:
        return Simulation(options, Path(root)).run()
