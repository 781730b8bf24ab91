"""An engine in memory that really received something, its journal's traffic, and what other files would have made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from referral_engine.base.clock import to_micros
from referral_engine.flow.deciding import Deciding
from referral_engine.flow.disagreement import Comparison, Difference
from referral_engine.flow.inputs import TaskDone
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.flow.replaying import TICK, Version, World
from referral_engine.flow.trace import Trace, trace_of
from referral_engine.journal.traffic import Traffic, TrafficPage, together
from tests.channels.shipped import shipped_files
from tests.flow.stage import CLINIC, HEART, at, book, sample

HEART_FILE = f"channels/{HEART}.toml"
LAKESIDE_FILE = "channels/orthopaedics-lakeside.toml"
ENGINE_FILE = "conf/engine.toml"
MONDAY = "2026-03-02 09:00"
HALF_AN_HOUR = 30 * TICK  # between two ticks of most tests: clocks that are due then fire on time


def changed(*changes: tuple[str, str, str]) -> dict[str, str]:
    """The shipped files with (file, what, by what) replaced."""
    files = shipped_files()
    for name, was, now in changes:
        assert was in files[name], f"{name}: {was}"
        files[name] = files[name].replace(was, now)
    return files


def line_of(files: Mapping[str, str], name: str, text: str) -> str:
    """file:line of the first line that holds a text."""
    number = next(number for number, line in enumerate(files[name].splitlines(), 1) if text in line)
    return f"{name}:{number}"


@dataclass
class Practice:
    """The engine that was in force all the time."""

    start: str = MONDAY
    partners: dict[str, str] = field(default_factory=dict)
    engine: Rehearsal = field(init=False)

    def __post_init__(self) -> None:
        self.engine = Rehearsal(book=book(), start=at(self.start), partners=self.partners)

    def receive(self, wall: str, name: str, **changes: str) -> None:
        """A sample comes in at a clinic time; fields as OBR_4_1."""
        self.engine.move_to(at(wall))
        self.engine.receive(sample(name, {key.replace("_", "-", 1).replace("_", "."): changes[key] for key in changes}))

    def do(self, wall: str, kind: str, **learned: object) -> None:
        """A person does the open task of a kind."""
        self.engine.move_to(at(wall))
        (task,) = [one for one in self.engine.journal.read().tasks() if one.kind == kind]
        words = {"by": "coordinator", "note": "done"} | learned
        self.engine.put(TaskDone(task=task.id, **words))  # type: ignore[arg-type]  # the test names fields of TaskDone

    @property
    def traffic(self) -> Traffic:
        """What `diff` reads."""
        return self.engine.journal.read().traffic()

    def compare(
        self, files: Mapping[str, str], *, since: str = "", until: str = "", tick: int = HALF_AN_HOUR
    ) -> Compared:
        """The journal replayed under what is in force and under these files."""
        window = to_micros(at(since or self.start))
        if until:
            self.engine.move_to(at(until))
        end = to_micros(self.engine.clock.now())
        through = self.traffic.before(window)
        history = together(history_of(self.traffic, window, through))
        pages = list(pages_of(self.traffic, through))
        start = min([window, *(one.at for one in history.messages)])
        before, after = Version(book=book(), files=shipped_files()), Version.read(files)
        worlds = []
        for version in (before, after):
            world = World(start, before)
            world.take(history)
            world.adopt(version, window, tick)
            for page in pages:
                world.take(page)
            world.bring_to(end)
            worlds.append(world)
        traces = trace_of(worlds[0]), trace_of(worlds[1])
        deciding = Deciding(before.book, after.book)
        explains = lambda message, names: (worlds[0].explain(message, names), worlds[1].explain(message, names))  # noqa: E731  # one line
        found = Comparison(*traces, deciding, explains, through).differences()
        for world in worlds:
            world.close()
        return Compared(*traces, found)


@dataclass
class Compared:
    """Both traces and what is different."""

    before: Trace
    after: Trace
    found: list[Difference]

    def told(self, *kinds: str) -> list[str]:
        """The differences as "kind change what order", of some kinds or all."""
        return [
            f"{one.kind} {one.change} {one.what} {one.placer}".strip()
            for one in self.found
            if not kinds or one.kind in kinds
        ]

    def lines(self, kind: str = "") -> set[str]:
        """The lines that decide."""
        return {one.line for one in self.found if kind in ("", one.kind)}

    def one(self, kind: str, what: str) -> Difference:
        """The one difference of a kind about something."""
        (found,) = [one for one in self.found if (one.kind, one.what) == (kind, what)]
        return found


def pages_of(traffic: Traffic, after: int) -> Iterable[TrafficPage]:
    """Every page behind a message."""
    while True:
        page = traffic.page(after)
        yield page
        if not page.more:
            return
        after = page.after


def history_of(traffic: Traffic, window: int, through: int) -> Iterable[TrafficPage]:
    """Every page of what was open when the window began."""
    after = 0
    while True:
        page = traffic.of_open(window, through, after)
        yield page
        if not page.more:
            return
        after = page.after


def wall(micros: int) -> str:
    """The clinic's wall clock."""
    return datetime.fromtimestamp(micros / 1e6, CLINIC).strftime("%Y-%m-%d %H:%M")
