"""The playing behind `simulate`: one configuration here, two in a process each, with a bar for the person who waits."""

from __future__ import annotations

import random  # noqa: TID251  # a generator with a seed, handed to what is played
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import connection, get_context
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from referral_engine.channels.book import Book, read_book
from referral_engine.flow.figures import Figures
from referral_engine.flow.tallying import Span
from referral_engine.flow.workload import Setting, Workload
from referral_engine.stories.cast import Cast, cast_of, joined
from referral_engine.stories.fates import Demand, fates

Files = Mapping[str, str]
OnDay = Callable[[int], None]
WAIT_SECONDS: Final = 0.5


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be played; it crosses to another process as it is."""

    sides: tuple[dict[str, str], ...]  # file to text, of each configuration
    demand: Demand
    seed: int
    desk_hours: float

    @property
    def title(self) -> str:
        """In one line."""
        days, a_day = self.demand.days, self.demand.per_day
        return f"{days} made-up days from {self.demand.begins}, {a_day} orders on a working day, seed {self.seed}"


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """One side when it is over."""

    name: str
    cast: Cast
    figures: Figures


def cast_for(files: Files) -> Cast:
    """Who takes part."""
    return cast_of(read_book(files))


def play_all(asked: Asked) -> list[Figures]:
    """The figures of every side, in order: the first is played here, another in a process of its own."""
    if len(asked.sides) == 1:
        with _bars(asked, ["days"]) as move:
            return [play(asked, 0, lambda day: move(0, day))]
    other = _Player(asked, 1)
    try:
        with _bars(asked, ["here", "against"]) as move:

            def on_day(day: int) -> None:
                move(0, day)
                other.listen(0.0, lambda far: move(1, far))

            here = play(asked, 0, on_day)
            while other.figures is None:
                other.listen(WAIT_SECONDS, lambda far: move(1, far))
            return [here, other.figures]
    finally:
        other.stop()


def play(asked: Asked, side: int, on_day: OnDay) -> Figures:
    """One side: the orders are those of all sides, so that every side gets the same."""
    books = [read_book(files) for files in asked.sides]
    setting = setting_of(books, asked)
    return Workload(books[side], cast_of(books[side]), setting).run(on_day)


def setting_of(books: Sequence[Book], asked: Asked) -> Setting:
    """What is the same for every side; days are counted by the first one's calendar."""
    casts = [cast_of(book) for book in books]
    places = joined(casts[0], casts[-1])
    calendar = casts[0].calendar
    chance = random.Random(asked.seed)  # noqa: S311  # to play it again, not to keep a secret
    return Setting(
        demand=asked.demand,
        seed=asked.seed,
        desk_hours=asked.desk_hours,
        places=places,
        fates=tuple(fates(places, calendar, asked.demand, chance)),
        span=Span(calendar, asked.demand.begins, asked.demand.days),
    )


class _Player:
    """Another process that plays one side."""

    def __init__(self, asked: Asked, side: int) -> None:
        """Start it; it tells of its days until it has its figures."""
        context = get_context("spawn")
        self.figures: Figures | None = None
        self._end, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_play_for, args=(theirs, msgspec.json.encode(asked), side), daemon=True)
        self._process.start()
        theirs.close()

    def listen(self, seconds: float, on_day: OnDay) -> None:
        """Hear what it told by now, or within so long.  Raises ClickException when it stopped without an answer."""
        while self.figures is None and self._end.poll(seconds):
            try:
                told = self._end.recv_bytes()
            except EOFError:
                raise click.ClickException("the player of the other side stopped without an answer") from None
            if told.isdigit():
                on_day(int(told))
            else:
                self.figures = msgspec.json.decode(told, type=Figures)

    def stop(self) -> None:
        """End it, whether it is done or not."""
        self._process.terminate()
        self._process.join()
        self._end.close()


def _play_for(end: connection.Connection, asked: bytes, side: int) -> None:
    """Play one side in a process of its own: days as they are over, then the figures as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who waits ends this process
    figures = play(msgspec.json.decode(asked, type=Asked), side, lambda day: end.send_bytes(str(day).encode()))
    end.send_bytes(msgspec.json.encode(figures))
    end.close()


@contextmanager
def _bars(asked: Asked, names: Sequence[str]) -> Iterator[Callable[[int, int], None]]:
    """A bar a side, on a terminal only."""
    meter = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=meter, transient=True, disable=not meter.is_terminal) as progress:
        bars = [progress.add_task(name, total=asked.demand.days) for name in names]
        yield lambda side, day: progress.update(bars[side], completed=day)
