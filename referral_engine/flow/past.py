"""The policy of a referral accepted under an older configuration: its clocks then, everything else as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import tomli

from referral_engine.base.errors import ConfigError
from referral_engine.channels.book import ENGINE_FILE, Book, read_some
from referral_engine.channels.engine import Engine
from referral_engine.channels.later import LaterByName
from referral_engine.channels.naming import file_stem
from referral_engine.journal.unit import Unit
from referral_engine.loop.policy import Policy

POLICIES_KEPT: Final = 2_048  # of a channel and a configuration; stops years of versions from filling memory

FILES_KEPT: Final = 2  # configurations whose files are at hand; a thousand channels are some megabytes of text
_DEFAULTS: Final = "/_defaults/"  # the folder of what several channels share
_PARTNERS: Final = "/partners/"


def site_policy(engine: Engine) -> Policy:
    """The policy of a referral whose channel has no file: the site's own clocks and calendar."""
    calendar = engine.calendars.get("default") or next(iter(engine.calendars.values()))
    return Policy(
        calendar=calendar,
        clocks=engine.clocks,
        networks=engine.network_clocks,
        no_show_attempts=engine.no_show_attempts,
        duplicate_days=engine.duplicate_days,
    )


def needed_files(files: Mapping[str, str], channel: str) -> dict[str, str]:
    """Of a whole configuration what the policy of one channel is read from: few files, whatever their number."""
    named = {channel, *(_partner(text) for file, text in files.items() if file_stem(file) == channel)}
    return {
        file: text
        for file, text in files.items()
        if file_stem(file) in (channel, file_stem(ENGINE_FILE))
        or _DEFAULTS in f"/{file}"
        or (_PARTNERS in f"/{file}" and file_stem(file) in named)
    }


def _partner(text: str) -> str:
    """The partner that a channel's file names; "" for none."""
    try:
        head = tomli.loads(text).get("channel")
    except tomli.TOMLDecodeError:  # the reader says so, too
        return ""
    named = head.get("partner") if isinstance(head, dict) else None
    return named if isinstance(named, str) else ""


def old_book(files: Mapping[str, str], channel: str, version: str) -> Book | None:
    """What these files say of the site and of one channel; None when they cannot be read now.

    files: a whole configuration that was in force once, or what `needed_files` leaves of it.
    """
    try:
        found = read_some(needed_files(files, channel))
    except ConfigError:  # what an older engine accepted, and this one does not
        return None
    return Book(
        version=version,
        engine=found.engine,
        channels={one.name: one for _, one in found.channels if one.name == channel},
        partners={one.name: one for _, one in found.partners},
        settings=LaterByName(found.settings),
    )


def policy_of_channel(book: Book, channel: str) -> Policy:
    """The policy of a channel; the site's own where it has no file."""
    known = book.channels.get(channel)
    return known.policy if known is not None else site_policy(book.engine)


def policy_under(book: Book, channel: str, old: Book | None) -> Policy:
    """The policy of a referral whose clocks come from `old`, while `book` is in force.

    old: what `old_book` found; None where nobody knows: then the clocks are those in force.
    """
    if old is None:
        return policy_of_channel(book, channel)
    then = policy_of_channel(old, channel)
    known = book.channels.get(channel)
    return known.policy.keeping_time_of(then) if known is not None else then


class Past:
    """The policies of older configurations under the one in force; each is read from the journal once."""

    def __init__(self, book: Book) -> None:
        """Stand under `book`; another one in force needs another past."""
        self._book = book
        self._policies: dict[tuple[str, str], tuple[Policy, bool]] = {}  # configuration and channel
        self._files: dict[str, Mapping[str, str] | None] = {}  # configuration to its files

    def policy(self, unit: Unit, config: str, channel: str) -> tuple[Policy, bool]:
        """The policy of a referral of an older configuration, and whether its clocks are known; else they are today's.

        The same value as long as the same configuration is in force.
        """
        found = self._policies.get((config, channel))
        if found is None:
            files = self._files_of(unit, config)
            old = old_book(files, channel, config) if files is not None else None
            found = policy_under(self._book, channel, old), old is not None
            if len(self._policies) >= POLICIES_KEPT:
                self._policies.clear()
            self._policies[config, channel] = found
        return found

    def _files_of(self, unit: Unit, config: str) -> Mapping[str, str] | None:
        """The files of a configuration; None for one that is not stored."""
        if config not in self._files:
            if len(self._files) >= FILES_KEPT:
                self._files.clear()
            self._files[config] = unit.version_files(config)
        return self._files[config]
