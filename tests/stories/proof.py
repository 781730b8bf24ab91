"""The engine hears generated traffic through its real door; what it made of it is held against what was expected."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from referral_engine.channels.book import Book
from referral_engine.flow.inputs import Ticked
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.stories.places import site_of
from referral_engine.stories.plots import Plot
from referral_engine.stories.script import Ended, Expect, Halfway, Item, Line, Stand
from referral_engine.stories.traffic import Plan, traffic

BEGINS = date(2026, 3, 2)
PATIENCE = timedelta(hours=73)  # how long unclaimed evidence waits before a person is asked, and a little
CAUSED = "SELECT message, referral, kind FROM events WHERE message > 0 ORDER BY sequence"


@dataclass(slots=True)
class Proof:
    """One run: every difference as a sentence that names the story, the message and both sides."""

    book: Book
    seed: int
    stories: int
    days: int = 30
    noise: float = 0.3
    plots: tuple[Plot, ...] = ()
    feed: str = "ehr"
    differences: list[str] = field(default_factory=list)
    heard: int = 0
    told: Counter[str] = field(default_factory=Counter)  # stories by plot
    words: Counter[str] = field(default_factory=Counter)  # messages by what became of them
    _lines: dict[int, tuple[str, str, Expect]] = field(default_factory=dict)  # by the journal's sequence
    _of_story: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _names: dict[str, str] = field(default_factory=dict)  # a referral's id to its name in its story

    def run(self) -> list[str]:
        """Everything that was not as expected."""
        plan = Plan(begins=BEGINS, days=self.days, stories=self.stories, noise=self.noise, plots=self.plots)
        items = traffic(site_of(self.book, self.feed), plan, Random(self.seed))
        first = next(items)
        stage = Rehearsal(book=self.book.with_feeds([self.feed]), start=first.at)
        try:
            for item in _all(first, items):
                stage.move_to(max(item.at, stage.clock.now()))
                match item:
                    case Line():
                        self._hear(stage, item)
                    case Halfway():
                        self._stand(stage, item)
                    case Ended():
                        self._end(stage, item)
            self._compare_noise(stage)
            self._compare_events(stage)
        finally:
            stage.close()
        return self.differences

    def _hear(self, stage: Rehearsal, line: Line) -> None:
        self.heard += 1
        receipt = stage.receive(line.write())
        got = "duplicate" if receipt.duplicate else receipt.disposition.value if receipt.disposition else "nothing"
        wanted = line.expect.first or line.expect.word
        self.words[got] += 1
        if got != wanted:
            row = stage.journal.read().message(receipt.sequence)
            why = row.reason if row else ""
            self._differ(
                line.story, f"message {receipt.sequence} {line.type}: at first expected {wanted}, got {got}: {why}"
            )
        if line.expect.word != "duplicate":
            self._lines[receipt.sequence] = (line.story, line.type, line.expect)
            self._of_story[line.story].append(receipt.sequence)

    def _end(self, stage: Rehearsal, ended: Ended) -> None:
        self.told[ended.plot] += 1
        stage.put(Ticked())
        self._compare_rows(stage, ended.plot, self._of_story.pop(ended.story, []))
        self._stand(stage, ended)

    def _stand(self, stage: Rehearsal, ended: Halfway | Ended) -> None:
        for one in ended.referrals:
            self._compare_stand(stage, ended, one)

    def _compare_noise(self, stage: Rehearsal) -> None:
        """What belongs to no story is looked at when its time to wait is over."""
        stage.move_to(stage.clock.now() + PATIENCE)
        for _ in range(2 + self.heard // 500):
            stage.put(Ticked())
        self._compare_rows(stage, "noise", [one for found in self._of_story.values() for one in found])

    def _compare_rows(self, stage: Rehearsal, plot: str, sequences: list[int]) -> None:
        reading = stage.journal.read()
        for sequence in sequences:
            row = reading.message(sequence)
            assert row is not None
            story, kind, expect = self._lines[sequence]
            if row.disposition.value != expect.word or expect.level not in (None, row.level):
                wanted, got = f"{expect.word} level {expect.level}", f"{row.disposition.value} level {row.level}"
                self._differ(story, f"{plot} message {sequence} {kind}: expected {wanted}, got {got}: {row.reason}")

    def _compare_stand(self, stage: Rehearsal, ended: Halfway | Ended, one: Stand) -> None:
        reading = stage.journal.read()
        identity = reading.find(one.placer)
        referral = reading.referral(identity) if identity else None
        if referral is None:
            self._differ(ended.story, f"{ended.plot}: no referral {one.name} ({one.placer})")
            return
        self._names[identity] = f"{ended.story}.{one.name}"
        got = {track: getattr(referral, track).value for track in one.tracks} | {"status": referral.status.value}
        wanted = {**one.tracks, **({"status": one.status} if one.status else {})}
        wrong = {name: f"expected {wanted[name]}, got {got[name]}" for name in wanted if got[name] != wanted[name]}
        if wrong:
            where = "at the end" if isinstance(ended, Ended) else "halfway"
            self._differ(ended.story, f"{ended.plot} referral {one.name} {where}: {wrong}")

    def _compare_events(self, stage: Rehearsal) -> None:
        got: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for message, referral, kind in stage.journal.read()._rows(CAUSED):
            got[message].append((self._names.get(referral, referral), kind))
        for sequence, (story, kind, expect) in self._lines.items():
            wanted = [(f"{story}.{one.referral}", one.kind) for one in expect.events]
            if got.get(sequence, []) != wanted:
                self._differ(story, f"message {sequence} {kind}: expected {wanted}, got {got.get(sequence, [])}")

    def _differ(self, story: str, sentence: str) -> None:
        self.differences.append(f"seed {self.seed}, story {story}: {sentence}")


def _all(first: Item, items: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield from items
