"""What is in force and who decided it: the answer to `config [NAME]`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from referral_engine.base.values import replace
from referral_engine.channels.book import ENGINE_FILE, Book
from referral_engine.channels.channel import Channel, FaxTransport
from referral_engine.channels.shape import Setting

BUILT_IN: Final = "default"  # the origin of what no file says
NOTHING: Final = "none"  # the value of what is not there
_BUILT_IN_HOURS: Final = 'mon to fri "08:00-17:00"'  # of `loop.calendar.Calendar`
# What a channel leaves to conf/engine.toml: its key to the engine's.
_HANDED_DOWN: Final[Mapping[str, str]] = {
    "hold.escalate_to": "queues.preauth",
    "no_show.attempts": "no_show.attempts",
    "patient.quiet_hours": "patients.quiet_hours",
    "patient.per_day": "patients.per_day",
    "patient.per_week": "patients.per_week",
}
_FOR_EVERYONE: Final = ("duplicates", "directory")  # tables of conf/engine.toml that hold for each channel


def effective(book: Book, channel: str | None = None) -> list[tuple[str, str, str]]:
    """Key, value and origin of every setting, in file order.

    channel: the name of a channel, a feed or a partner, or of several of them; None asks for conf/engine.toml. A
    channel's settings are all that is in force for it: its calendar, its gateways and its partner with it.
    origin: "default", file and line, or the partner's file. An unknown name gives an empty list.
    """
    if channel is None:
        settings = list(_of_engine(book))
    else:
        parts = [kind[channel] for kind in (book.channels, book.feeds, book.partners) if channel in kind]
        settings = [one for file in dict.fromkeys(part.file for part in parts) for one in book.settings[file]]
        if channel in book.channels:
            settings = list(_of_channel(book, book.channels[channel], settings))
    tables = list(dict.fromkeys(_table(one) for one in settings))
    return [(one.key, one.value, one.origin) for one in sorted(settings, key=lambda one: tables.index(_table(one)))]


def _of_engine(book: Book) -> Iterator[Setting]:
    """What conf/engine.toml decides, whatever it is called; all of it is built in when there is none."""
    for file, settings in book.settings.items():
        if file.replace("\\", "/").endswith(ENGINE_FILE.rsplit("/", 1)[-1]):
            yield from map(_with_hours, settings)


def _with_hours(setting: Setting) -> Setting:
    """The built-in hours of a calendar that writes none, in the file's words."""
    if not (setting.key.startswith("calendar.") and setting.key.endswith(".open") and setting.value == NOTHING):
        return setting
    return Setting(key=setting.key, value=_BUILT_IN_HOURS, origin=setting.origin)


def _of_channel(book: Book, channel: Channel, own: Sequence[Setting]) -> Iterator[Setting]:
    """A channel's own settings, and those of other files that are in force for it."""
    engine = {one.key: one for one in _of_engine(book)}
    for setting in own:
        above = engine.get(_HANDED_DOWN.get(setting.key, ""))
        is_ours = setting.origin == BUILT_IN and above is not None
        yield replace(setting, origin=above.origin) if is_ours and above is not None else setting
    yield from _calendar(channel, engine.values())
    ways = (channel.transport, *channel.fallbacks)
    gateways = dict.fromkeys(way.gateway for way in ways if isinstance(way, FaxTransport))
    asked = (*_FOR_EVERYONE, *(f"gateway.{name}" for name in gateways))
    yield from (one for one in engine.values() if one.key.startswith(tuple(f"{table}." for table in asked)))
    if not any(one.key.startswith("partner.") for one in own):
        partner = book.partner_of(channel)
        told = [one for one in book.settings.get(partner.file, ()) if one.key.startswith("partner.")]
        yield from told or [Setting(key="partner.name", value=NOTHING, origin=BUILT_IN)]


def _calendar(channel: Channel, engine: Iterable[Setting]) -> Iterator[Setting]:
    """The hours that a channel's business days and hours count in."""
    name = f"calendar.{channel.calendar}."
    told = [one for one in engine if one.key.startswith(name)]
    if told:
        yield from told
        return
    yield Setting(key=f"{name}timezone", value=f'"{channel.policy.calendar.zone}"', origin=BUILT_IN)
    yield Setting(key=f"{name}open", value=_BUILT_IN_HOURS, origin=BUILT_IN)


def _table(setting: Setting) -> str:
    """The first word of a key: settings of one table stand together."""
    return setting.key.split(".", 1)[0]
