"""The site of a simulation: what the project ships, on short clocks, with code below it that cannot bear some orders."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from referral_engine.base.values import replace
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.channel import Channel
from referral_engine.channels.clocks import rough_seconds
from referral_engine.channels.engine import Clocks, Listener, Retry
from referral_engine.hl7.message import Message
from referral_engine.loop.policy import Duration, Unit
from tests.channels.shipped import shipped_files
from tests.simulation.life import JOURNAL
from tests.simulation.made_messages import HEART
from tests.simulation.network import HOST

PORT: Final = 2575
EHR_PORT: Final = 2576
DAY_SECONDS: Final = 12.0  # a day of the clocks takes so long here
SILENCE_SECONDS: Final = 20.0  # after a long silence: how long the engine waits for what waits at the senders
POISON: Final = "POISON"  # in IN1-14: what made-up code below the door cannot bear
DEADLY: Final = "DEADLY"  # in IN1-14: what the process does not survive


@cache
def _shipped() -> Book:
    return read_book(shipped_files())


def site_book(root: str, die: Callable[[], None]) -> Book:
    """What the project ships, on short clocks, with files below `root`."""
    book = _shipped()
    engine = book.engine
    spool = f"{root}/spool"
    engine = replace(
        engine,
        listeners=(Listener(name="default", bind=HOST, port=PORT),),
        ehr=replace(engine.ehr, host=HOST, port=EHR_PORT, ack_timeout_seconds=2.0, retry=_retry()),
        journal=replace(engine.journal, path=JOURNAL, key_file=""),
        gateways={name: replace(one, directory=f"{spool}/fax") for name, one in engine.gateways.items()},
        spool_directory=spool,
        clocks=_short(engine.clocks),
        catch_up=replace(engine.catch_up, quiet_seconds=SILENCE_SECONDS),
        patients=replace(engine.patients, directory=f"{spool}/patients", per_day=1000, per_week=1000),
    )
    channels = {name: _near(one) for name, one in book.channels.items()}
    channels[HEART.channel] = replace(channels[HEART.channel], match=_Fragile(channels[HEART.channel].match, die))
    return replace(book, engine=engine, channels=channels)


class _Fragile:
    """A channel's matcher that cannot bear one kind of order, and whose error names a patient."""

    def __init__(self, true: Any, die: Callable[[], None]) -> None:
        self._true = true
        self._die = die

    def __getattr__(self, name: str) -> Any:
        return getattr(self._true, name)

    def matches(self, message: Message, referred_to: str = "") -> bool:
        poison = message.value("IN1-14")
        if poison == DEADLY:
            self._die()
        if poison in {POISON, DEADLY}:
            raise ZeroDivisionError(f"cannot match {message.value('PID-5')}")
        return bool(self._true.matches(message, referred_to))


def _near(channel: Channel) -> Channel:
    changes: dict[str, Any] = {"retry": _retry()}
    if hasattr(channel.transport, "ack_timeout_seconds"):
        changes["ack_timeout_seconds"] = 2.0
    policy = replace(channel.policy, clocks=_short(channel.policy.clocks))
    return replace(channel, transport=replace(channel.transport, **changes), policy=policy)


def _retry() -> Retry:
    return Retry(first_seconds=0.5, longest_seconds=6.0, give_up_after_seconds=40.0)


def _short(clocks: Clocks) -> Clocks:
    """Clocks on which a day takes DAY_SECONDS."""

    def shorter(length: Duration) -> Duration:
        return Duration(max(1, round(rough_seconds(length) / 86_400 * DAY_SECONDS)), Unit.SECONDS)

    return {
        kind: (tuple(map(shorter, routine)), tuple(map(shorter, urgent))) for kind, (routine, urgent) in clocks.items()
    }
