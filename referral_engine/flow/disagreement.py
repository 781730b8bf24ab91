"""Two traces of the same traffic in, every difference out: what appears, vanishes, moves or changes, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal, Protocol, TypeVar

import msgspec

from referral_engine.base.values import replace
from referral_engine.channels.routing import Answer
from referral_engine.flow.deciding import Deciding, Reason
from referral_engine.flow.replaying import Origin
from referral_engine.flow.trace import Asked, Cause, ClockKey, Followed, Heard, Left, Ran, SendKey, Trace

What = Literal["message", "clock", "task", "send"]
Change = Literal["appears", "vanishes", "moves", "changes"]
KINDS: Final[tuple[What, ...]] = ("message", "clock", "task", "send")
CHANGES: Final[tuple[Change, ...]] = ("appears", "vanishes", "moves", "changes")
SAME_SECOND: Final = 1_000_000  # microseconds; what moves less is an accident of a replay
_RAN_OUT: Final = {"fired": "runs out", "cancelled": "is stopped before", "pending": "still runs"}
_ORDERED: Final = "ReferralOrdered"
_TO_PATIENT: Final = ("patients", "patient", "pilot")
_TO_SPECIALIST: Final = ("transport", "fallback", "message", "replies")

K = TypeVar("K")
V = TypeVar("V")


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is different."""

    kind: What
    change: Change
    at: int  # when it is, or was, first different
    what: str  # "schedule", "call-specialist", "specialist order", "ORM^O01"
    referral: str = ""  # the real one's number; "" when in reality there is none
    placer: str = ""
    channel: str = ""  # of the candidate; of what is in force, where the candidate has none
    message: int = 0  # the real message, for those about one
    before: str = ""
    after: str = ""
    before_at: int = 0  # instants, where it is about one
    after_at: int = 0
    why: str = ""
    line: str = ""


class Explains(Protocol):
    """What channels say to a message, on both sides."""

    def __call__(self, message: int, names: Iterable[str]) -> tuple[Mapping[str, Answer], Mapping[str, Answer]]:
        """By name: before, after."""


def count(differences: Iterable[Difference]) -> Counter[tuple[What, Change, str]]:
    """How many of each kind, change and channel."""
    return Counter((one.kind, one.change, one.channel) for one in differences)


class Comparison:
    """Two traces and the files behind them."""

    def __init__(self, before: Trace, after: Trace, deciding: Deciding, explains: Explains, since: int = 0) -> None:
        """`since`: the newest message before the window; differences of messages are told of later ones only."""
        self.before, self.after = before, after
        self._deciding = deciding
        self._explains = explains
        self._since = since
        self._routes: dict[Origin, Reason] = {}

    def differences(self) -> list[Difference]:
        """All of them: messages first, then clocks, tasks and sends, each by time."""
        found = list(self._messages())
        for kind in (self._clocks(), self._tasks(), self._sends()):
            found += sorted(kind, key=lambda one: (one.at, one.referral, one.placer, one.what))
        return found

    # -- messages -----------------------------------------------------------------------------------------------------

    def _messages(self) -> Iterator[Difference]:
        usual = Heard()
        for message in sorted(self.before.heard.keys() | self.after.heard.keys()):
            was, now = self.before.heard.get(message, usual), self.after.heard.get(message, usual)
            if message <= self._since or _alike(was, now):
                continue
            reason = self._why_message(message, was, now)
            loop = now.loop or was.loop
            for one in (was.loop, now.loop):
                if one is not None and one[0] == message and was.channel != now.channel:
                    self._routes[one] = reason  # whatever else is different about it follows from that
            told = Difference(
                kind="message",
                change="changes",
                at=message,
                what=_becomes(was, now),
                message=message,
                before=_heard(was),
                after=_heard(now),
                why=reason.sentence,
                line=reason.line,
            )
            yield self._about(told, loop)

    def _why_message(self, message: int, was: Heard, now: Heard) -> Reason:
        """The line of [match] that decides about an order, else what each side says of the message."""
        loops = [one for one in (was.loop, now.loop) if one is not None]
        if was.channel != now.channel and any(one[0] == message for one in loops):
            names = [one for one in (was.channel, now.channel) if one]
            found = self._deciding.route(was.channel, now.channel, *self._explains(message, names))
            if found.sentence:
                return found
        routed = next((self._routes[one] for one in loops if one in self._routes), None)
        if routed is not None:
            return routed
        if was.reason == now.reason:
            return Reason(now.reason)
        return Reason(f"before: {was.reason or 'nothing to say'}; now: {now.reason or 'nothing to say'}")

    # -- clocks, tasks, sends -----------------------------------------------------------------------------------------

    def _clocks(self) -> Iterator[Difference]:
        for key, was, now in _pairs(self.before.clocks, self.after.clocks):
            origin, kind, _ = key
            change = _change(was, now, lambda one: one.due_at)
            if change is None and was is not None and now is not None and was.state != now.state:
                change = "changes"
            if change is None:
                continue
            reason = self._why_clock(key, was, now)
            told = Difference(
                kind="clock",
                change=change,
                at=min(one.due_at for one in (was, now) if one is not None),
                what=kind,
                before=_RAN_OUT[was.state] if was else "",
                after=_RAN_OUT[now.state] if now else "",
                before_at=was.due_at if was else 0,
                after_at=now.due_at if now else 0,
                why=reason.sentence,
                line=reason.line,
            )
            yield self._about(told, origin)

    def _why_clock(self, key: ClockKey, was: Ran | None, now: Ran | None) -> Reason:
        origin, kind, _ = key
        if was is None or now is None or was.due_at != now.due_at:
            length = self._deciding.setting(self._channel(origin), f"sla.{kind}", "channel.calendar", "calendar")
            if length is not None and origin not in self._routes:
                return length
        return self._root(origin)

    def _tasks(self) -> Iterator[Difference]:
        for key, was, now in _pairs(self.before.tasks, self.after.tasks):
            owner, kind, _ = key
            change = _change(was, now, lambda one: one.opened_at)
            if change is None and was is not None and now is not None:
                change = "moves" if abs(was.due_at - now.due_at) >= SAME_SECOND else None
                change = "changes" if was.queue != now.queue else change
            if change is None:
                continue
            origin = (owner[1], owner[2]) if owner[0] == "referral" else None
            heard = self._heard_of(owner[1]) if owner[0] == "message" else None
            reason = self._why_caused(origin or heard, was, now, f"queues.{kind}")
            told = Difference(
                kind="task",
                change=change,
                at=min(one.opened_at for one in (was, now) if one is not None),
                what=kind,
                message=owner[1] if owner[0] == "message" else 0,
                before=was.queue if was else "",
                after=now.queue if now else "",
                before_at=was.opened_at if was else 0,
                after_at=now.opened_at if now else 0,
                why=reason.sentence,
                line=reason.line,
            )
            yield self._about(told, origin or heard)

    def _heard_of(self, message: int) -> Origin | None:
        """The referral of a message, on whichever side it has one."""
        found = (self.after.heard.get(message), self.before.heard.get(message))
        return next((one.loop for one in found if one is not None and one.loop is not None), None)

    def _sends(self) -> Iterator[Difference]:
        for key, was, now in _pairs(self.before.sends, self.after.sends):
            origin, recipient, purpose, about, _ = key
            change = _change(was, now, lambda one: one.at)
            if change is None and was is not None and now is not None and not _same_way(was, now):
                change = "changes"
            if change is None:
                continue
            reason = self._why_sent(key, was, now)
            told = Difference(
                kind="send",
                change=change,
                at=min(one.at for one in (was, now) if one is not None),
                what=" ".join(part for part in (recipient, purpose, about) if part),
                before=_way(was, now),
                after=_way(now, was),
                before_at=was.at if was else 0,
                after_at=now.at if now else 0,
                why=reason.sentence,
                line=reason.line,
            )
            yield self._about(told, origin)

    def _why_sent(self, key: SendKey, was: Left | None, now: Left | None) -> Reason:
        origin, recipient = key[0], key[1]
        if now is None and (back := self.after.held_back.get(key)) is not None and origin not in self._routes:
            mode = self._deciding.setting(self._channel(origin), "channel.mode", "pilot")
            return mode or Reason(f"now: {back.reason}")
        ways = {"patient": _TO_PATIENT, "specialist": _TO_SPECIALIST}.get(recipient, (recipient,))
        if was is not None and now is not None and was.owed_at == now.owed_at:
            way = self._deciding.setting(self._channel(origin), *ways)
            return way or self._root(origin)
        return self._why_caused(origin, was, now, *ways)

    def _why_caused(
        self, origin: Origin | None, was: Asked | Left | None, now: Asked | Left | None, *prefixes: str
    ) -> Reason:
        """Why something is owed or asked at another time, or on one side only: its clock, else where the loops part."""
        causes = [one.cause for one in (now, was) if one is not None]
        if origin is not None and origin in self._routes:
            return self._routes[origin]
        channel = self._channel(origin) if origin is not None else ""
        for clock in dict.fromkeys(one.clock for one in causes if one.clock):
            found = self._deciding.setting(channel, f"sla.{clock}")
            if found is not None:
                return Reason(f"the clock {clock} decides: {found.sentence}", found.line)
        found = self._deciding.setting(channel, *prefixes) if prefixes and was is not None and now is not None else None
        return found or (self._root(origin) if origin is not None else Reason(_told(causes)))

    def _root(self, origin: Origin) -> Reason:
        """Where the two loops part: the first event that only one of them has."""
        if origin in self._routes:
            return self._routes[origin]
        was, now = self.before.loops.get(origin), self.after.loops.get(origin)
        if was is None or now is None:
            return Reason("there is no such referral " + ("before" if was is None else "now"))
        if was.watched != now.watched and (mode := self._deciding.setting(now.channel, "channel.mode")) is not None:
            return mode
        parted = next(
            ((one, other) for one, other in zip((*was.steps, None), (*now.steps, None), strict=False) if one != other),
            None,
        )
        if parted is None:
            return Reason()
        hold = self._deciding.setting(now.channel, "hold")
        if hold is not None and any(step is not None and step[1] == _ORDERED for step in parted):
            return hold
        told = [
            f"{word} {step[2]}" if step is not None else f"{word} nothing more"
            for word, step in zip(("before:", "now:"), parted, strict=True)
        ]
        return Reason("; ".join(told))

    # -- whose --------------------------------------------------------------------------------------------------------

    def _loop(self, origin: Origin) -> Followed | None:
        return self.after.loops.get(origin) or self.before.loops.get(origin)

    def _channel(self, origin: Origin) -> str:
        loop = self._loop(origin)
        return loop.channel if loop is not None else ""

    def _about(self, one: Difference, origin: Origin | None) -> Difference:
        """The same with the referral it is about."""
        loop = self._loop(origin) if origin is not None else None
        return replace(one, referral=loop.real, placer=loop.placer, channel=loop.channel) if loop is not None else one


def _alike(was: Heard, now: Heard) -> bool:
    return (was.answer, was.disposition, was.level, was.loop, was.channel) == (
        now.answer, now.disposition, now.level, now.loop, now.channel,
    )  # fmt: skip


def _becomes(was: Heard, now: Heard) -> str:
    """What of a message is different."""
    parts = (
        ("answer", was.answer, now.answer),
        ("channel", was.channel, now.channel),
        ("disposition", was.disposition, now.disposition),
        ("referral", was.loop, now.loop),
        ("level", was.level, now.level),
    )
    return ", ".join(name for name, one, other in parts if one != other)


def _heard(one: Heard) -> str:
    words = [one.answer or "no answer", one.disposition]
    words += [one.channel] if one.channel else []
    words += [f"level {one.level}"] if one.level >= 0 else []
    return ", ".join(words)


def _way(one: Left | None, other: Left | None) -> str:
    """How it is sent, and what of it is different."""
    if one is None:
        return ""
    if other is not None and other.lane == one.lane and not _same_way(one, other):
        return f"{one.lane} by {one.transport}, other bytes"
    return f"{one.lane} by {one.transport}"


def _same_way(was: Left, now: Left) -> bool:
    return (
        was.lane == now.lane
        and was.transport == now.transport
        and (was.print == now.print or was.owed_at != now.owed_at)
    )


def _told(causes: Iterable[Cause]) -> str:
    return next((one.said for one in causes if one.said), "")


def _pairs(before: Mapping[K, V], after: Mapping[K, V]) -> Iterator[tuple[K, V | None, V | None]]:
    """What is on one side only, or is not the same on both."""
    for key, was in before.items():
        now = after.get(key)
        if now != was:
            yield key, was, now
    for key, now in after.items():
        if key not in before:
            yield key, None, now


def _change(was: V | None, now: V | None, at: Callable[[V], int]) -> Change | None:
    """How one thing is different in time; None when it is not."""
    if was is None:
        return "appears"
    if now is None:
        return "vanishes"
    return "moves" if abs(at(was) - at(now)) >= SAME_SECOND else None
