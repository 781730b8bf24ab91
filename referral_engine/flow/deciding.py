"""Which line of which file makes two configurations decide differently: both books in, a sentence and its line out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from referral_engine.channels.book import Book
from referral_engine.channels.routing import Answer
from referral_engine.channels.shape import Setting

SHOWN_MAX: Final = 2  # lines of one reason; more is a report
_ENGINE: Final = "engine.toml"
_DEFAULT: Final = "default"


class Reason(msgspec.Struct, frozen=True):
    """Why something is different."""

    sentence: str = ""
    line: str = ""  # "channels/x.toml:16"


class Change(msgspec.Struct, frozen=True):
    """One setting that two configurations give another value."""

    key: str
    before: str  # "" where it was not there
    after: str
    line: str  # where the new value was written; else where the old one was

    @property
    def told(self) -> str:
        """In words."""
        return f"{self.key} was {self.before or 'not there'}, is {self.after or 'not there'}"


class Deciding:
    """Two configurations, and where they differ."""

    def __init__(self, before: Book, after: Book) -> None:
        """Compare every setting once."""
        self.before, self.after = before, after
        self._engine = _changes(_of_engine(before), _of_engine(after))
        self._channels: dict[str, tuple[Change, ...]] = {}

    def of_channel(self, name: str) -> tuple[Change, ...]:
        """What a channel's file says differently."""
        if name not in self._channels:
            self._channels[name] = _changes(_of_channel(self.before, name), _of_channel(self.after, name))
        return self._channels[name]

    def setting(self, channel: str, *prefixes: str) -> Reason | None:
        """The changed settings of a channel, else of the engine, that begin with the first of these that has any.

        A channel that only one of the two has says it by that.
        """
        there = self._there(channel)
        if there is not None:
            return there
        for prefix in prefixes:
            for changes in (self.of_channel(channel) if channel else (), self._engine):
                found = [one for one in changes if one.key == prefix or one.key.startswith(f"{prefix}.")]
                if found:
                    return _reason(found[:SHOWN_MAX])
        return None

    def _there(self, channel: str) -> Reason | None:
        """That a channel is new or gone; None when both have it, or neither."""
        before, after = self.before.channels.get(channel), self.after.channels.get(channel)
        if before is not None and after is None:
            return Reason(f"{channel}: there is no such channel now", before.file)
        if after is not None and before is None:
            return Reason(f"{channel}: there was no such channel", after.file)
        return None

    def route(self, was: str, now: str, said_before: Mapping[str, Answer], said_after: Mapping[str, Answer]) -> Reason:
        """Why an order goes to another channel; "" is none.

        said_before, said_after: what the channels of the one and of the other configuration say to it.
        """
        told: list[Reason] = []
        if was and was != now:
            told.append(self._why_not(was, self.after, said_after))
        if now and now != was:
            told.append(self._why_not(now, self.before, said_before))
        told = [one for one in told if one.sentence]
        return Reason("; ".join(one.sentence for one in told), next((one.line for one in told if one.line), ""))

    def _why_not(self, name: str, book: Book, answers: Mapping[str, Answer]) -> Reason:
        """Why a channel does not take an order in one of the two; "" when it would."""
        other = self.before if book is self.after else self.after
        there = self._there(name)
        if there is not None:
            return there
        answer = answers.get(name)
        if answer is None or answer.yes:
            mode = self.setting(name, "channel.mode")
            return mode or Reason()
        channel = book.channels[name]
        line = answer.lines.removeprefix("line ")
        if not channel.is_on:
            return self.setting(name, "channel.mode") or Reason(answer.reason, channel.file)
        where = other.channels[name] if book is self.before and name in other.channels else channel
        if book is self.before:
            mine = next((one for one in where.match.conditions if one.path in answer.reason), None)
            return Reason(f"{name}: before, {answer.reason}", f"{where.file}:{mine.line if mine else line}")
        return Reason(f"{name}: {answer.reason}", f"{channel.file}:{line}" if line else channel.file)


def _reason(changes: Iterable[Change]) -> Reason:
    listed = list(changes)
    return Reason("; ".join(one.told for one in listed), listed[0].line)


def _changes(before: Iterable[Setting], after: Iterable[Setting]) -> tuple[Change, ...]:
    """The settings that differ, in the order of the newer file."""
    was = {one.key: one for one in before}
    now = {one.key: one for one in after}
    found = []
    for key in (*now, *(key for key in was if key not in now)):
        old, new = was.get(key), now.get(key)
        if (old.value if old else None) == (new.value if new else None):
            continue
        lines = [one.origin for one in (new, old) if one is not None and one.origin != _DEFAULT]
        found.append(Change(key, old.value if old else "", new.value if new else "", lines[0] if lines else ""))
    return tuple(found)


def _of_channel(book: Book, name: str) -> tuple[Setting, ...]:
    channel = book.channels.get(name)
    return book.settings.get(channel.file, ()) if channel is not None else ()


def _of_engine(book: Book) -> list[Setting]:
    return [one for file, listed in book.settings.items() if file.endswith(_ENGINE) for one in listed]
