"""Texts of all files in, one value with everything in force out, or every problem at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Final, Literal, get_args

from referral_engine.base.errors import ConfigError, Problem
from referral_engine.base.values import replace
from referral_engine.channels.agreement import Everyone, disagreements
from referral_engine.channels.channel import Channel
from referral_engine.channels.channel_file import read_channel
from referral_engine.channels.consequences import without_consequences
from referral_engine.channels.defaults import FOLDER, Lenders
from referral_engine.channels.dialects import oids_of, voice_of
from referral_engine.channels.engine import Engine, default_engine
from referral_engine.channels.engine_file import read_engine
from referral_engine.channels.feed import Feed
from referral_engine.channels.feed_file import read_feed
from referral_engine.channels.later import Later, LaterByName
from referral_engine.channels.likely import Takers, takers_of
from referral_engine.channels.naming import file_stem
from referral_engine.channels.partner import ANYONE, Partner
from referral_engine.channels.partner_file import read_own_partner, read_partner_file
from referral_engine.channels.preauth import Preauthorization
from referral_engine.channels.preauth_file import read_preauth
from referral_engine.channels.reachable import Around, complain_of_name, complain_of_unreachable
from referral_engine.channels.shape import Page, Setting
from referral_engine.channels.source import Source, read_source
from referral_engine.channels.timetable_file import TEST_SUFFIX, read_test_file

ENGINE_FILE: Final = "conf/engine.toml"  # the name shown for defaults when there is no file
VERSION_LETTERS: Final = 12  # of the hash; enough to tell any two versions of a site apart

Part = Literal["engine", "preauth", "partner", "feed", "channel", "test", "defaults"]
_FOLDERS: Final[Mapping[str, Part]] = {
    "feeds": "feed",
    "channels": "channel",
    "partners": "partner",
    FOLDER: "defaults",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What is in force; made by `read_book`."""

    version: str = "default"  # short hash of every text
    engine: Engine = field(default_factory=default_engine)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    feeds: Mapping[str, Feed] = field(default_factory=dict)
    partners: Mapping[str, Partner] = field(default_factory=dict)
    preauth: Preauthorization = field(default_factory=Preauthorization)
    settings: Mapping[str, tuple[Setting, ...]] = field(default_factory=dict)  # file to what is in force there
    warnings: tuple[Problem, ...] = ()
    senders: tuple[Feed, ...] = field(init=False, repr=False, compare=False)  # in the order they are asked
    on: tuple[Channel, ...] = field(init=False, repr=False, compare=False)  # all that are not off, by name
    takers: Takers = field(init=False, repr=False, compare=False)  # which of them may take a message

    def __post_init__(self) -> None:
        """Make the indexes once: senders in order, channels by what tells their orders apart."""
        on = tuple(self.channels[name] for name in sorted(self.channels) if self.channels[name].is_on)
        feeds = [self.feeds[name] for name in sorted(self.feeds) if self.feeds[name].enabled]
        oids = oids_of(feeds)
        senders = [*feeds, *(voice_of(one, self.feeds, oids) for one in on if one.speaks)]
        object.__setattr__(self, "senders", tuple(sorted(senders, key=self.is_anyone)))
        object.__setattr__(self, "on", on)
        object.__setattr__(self, "takers", takers_of([one.match for one in on]))

    def partner_of(self, sender: Feed | Channel) -> Partner:
        """The partner a feed or a channel names, else the one of its own name, else the one that restricts nothing."""
        if sender.partner:
            return self.partners[sender.partner]
        return self.partners.get(sender.name, ANYONE)

    def with_feeds(self, names: Iterable[str]) -> Book:
        """The same with these feeds switched on; for a story.  Raises KeyError for a feed that no file describes."""
        changed = {name: replace(self.feeds[name], enabled=True) for name in names}
        return replace(self, feeds={**self.feeds, **changed}) if changed else self

    def is_anyone(self, feed: Feed) -> bool:
        """Whether neither the feed nor its partner says who the sender is: it is asked last."""
        return feed.is_anyone and not self.partner_of(feed).says_who


@dataclass(slots=True, kw_only=True)
class Reading:
    """What has been read so far."""

    engine: Engine = field(default_factory=Engine)
    preauth: Preauthorization = field(default_factory=Preauthorization)
    channels: list[tuple[Page, Channel]] = field(default_factory=list)
    feeds: list[tuple[Page, Feed]] = field(default_factory=list)
    partners: list[tuple[Page, Partner]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    settings: dict[str, Later[Setting]] = field(default_factory=dict)


def read_book(files: Mapping[str, str], samples: Sequence[str] | None = None, *, today: date | None = None) -> Book:
    """Every file as one value.

    files: name as the analyst names it ("channels/x.toml") to text; none at all is every default.
    samples: names that tests may receive; None leaves them unchecked.
    today: the day, in UTC, that permissions with a last day must have reached at most; None leaves them unchecked.
    Raises ConfigError with every problem that is not a warning.
    """
    reading = _read(files, samples, today)
    errors = tuple(problem for problem in reading.problems if not problem.warning)
    if errors:
        raise ConfigError(errors)
    return Book(
        version=_version("\0".join(f"{file}\0{files[file]}" for file in sorted(files))),
        engine=reading.engine,
        channels={channel.name: channel for _, channel in reading.channels},
        feeds={feed.name: feed for _, feed in reading.feeds},
        partners={partner.name: partner for _, partner in reading.partners},
        preauth=reading.preauth,
        settings=LaterByName(reading.settings),
        warnings=tuple(reading.problems),
    )


def check_files(
    files: Mapping[str, str], samples: Sequence[str] | None = None, *, today: date | None = None
) -> tuple[Problem, ...]:
    """Every problem and every warning, in file order; the arguments are those of `read_book`."""
    return tuple(_read(files, samples, today).problems)


def read_some(files: Mapping[str, str]) -> Reading:
    """What some of the files of a configuration say; that they name others which are not among them is no problem.

    Raises ConfigError with every other problem that is not a warning.
    """
    reading = _read(files, None, None)
    errors = tuple(one for one in reading.problems if not one.warning and not one.code.startswith("CH4"))
    if errors:
        raise ConfigError(errors)
    return reading


def part_of(file: str, source: Source) -> Part | None:
    """What a file describes: by its place, else by the table it has."""
    parts = file.replace("\\", "/").split("/")
    above = parts[-2] if len(parts) > 1 else ""
    if parts[-1] == "engine.toml":
        return "engine"
    if parts[-1] == "preauth.toml":
        return "preauth"
    if parts[-1].endswith(TEST_SUFFIX):
        return "test"
    if above in _FOLDERS:
        return _FOLDERS[above]
    return next((part for part in _FOLDERS.values() if part in source.tree), None)


def _read(files: Mapping[str, str], samples: Sequence[str] | None, today: date | None) -> Reading:
    """Every file once, those first that define what the others name."""
    reading = Reading()
    sources: dict[Part, list[tuple[Source, str]]] = {part: [] for part in get_args(Part)}
    for file in sorted(files):
        source = read_source(file, files[file])
        if isinstance(source, Problem):
            reading.problems.append(source)
            continue
        part = part_of(file, source)
        if part is None:
            reading.problems.append(_nobody_reads(file))
            continue
        sources[part].append((source, files[file]))
    lenders = Lenders(source for source, _ in sources["defaults"])
    pages = _read_parts(reading, sources, lenders, samples, today)
    for page in pages:
        reading.settings[page.source.file] = page.settings
    table = next((page for page in pages if page.source.file == reading.preauth.file), None)
    everyone = Everyone(
        engine=reading.engine,
        channels=reading.channels,
        feeds=reading.feeds,
        partners=reading.partners,
        preauth=None if table is None else (table, reading.preauth),
    )
    told = [(problem, file_stem(page.source.file)) for page in pages for problem in page.problems]
    told += [(problem, "") for problem in disagreements(everyone, pages[0])]
    reading.problems += lenders.once(told)
    reading.problems += lenders.told([channel.specialty for _, channel in reading.channels])
    reading.problems = without_consequences(reading.problems)
    reading.problems.sort(key=lambda problem: (problem.file, problem.line, problem.column, problem.code))
    return reading


def _read_parts(
    reading: Reading,
    sources: Mapping[Part, list[tuple[Source, str]]],
    lenders: Lenders,
    samples: Sequence[str] | None,
    today: date | None,
) -> list[Page]:
    """Fill `reading`; the pages that were read, the engine's first."""
    engine_sources = [source for source, _ in sources["engine"]] or [_empty()]
    pages = [Page(engine_sources[0], today)]
    pages += _read_partners(reading, sources, today)
    partners = {partner.name: partner for _, partner in reading.partners}
    reading.engine = read_engine(pages[0], partners)
    reading.problems.extend(_twice(source.file) for source in engine_sources[1:])
    for source, _ in sources["preauth"]:
        pages.append(Page(source))
        reading.preauth = read_preauth(pages[-1])
    reading.problems.extend(_twice(source.file) for source, _ in sources["preauth"][1:])
    around = Around(preauth=reading.preauth, feeds=[feed for _, feed in reading.feeds if feed.enabled])
    lent_texts = {source.file: text for source, text in sources["defaults"]}
    for source, own_text in sources["channel"]:
        page = Page(source, today, lenders.lent_to(source))
        pages.append(page)
        lenders.read_by(page)
        text = own_text if page.lent is None else f"{own_text}\0{lent_texts[page.lent.file]}"
        channel = read_channel(page, reading.engine, partners, version=_version(text), samples=samples)
        if channel is not None:
            complain_of_unreachable(page, channel, around)
            reading.channels.append((page, channel))
    return pages + _read_test_files(reading, sources, samples)


def _read_test_files(
    reading: Reading, sources: Mapping[Part, list[tuple[Source, str]]], samples: Sequence[str] | None
) -> list[Page]:
    """Files that hold only the tests of a channel beside them; the channel gets them behind its own."""
    places = {channel.name: number for number, (_, channel) in enumerate(reading.channels)}
    pages = []
    for source, _ in sources["test"]:
        page = Page(source)
        pages.append(page)
        tests = read_test_file(page, samples, reading.engine.queues.values())
        name = file_stem(source.file).removesuffix(".test")
        if name not in places:
            page.complain(("test",), "CH414", f'there is no channel "{name}" to test', "name the file as its channel's")
            continue
        own, channel = reading.channels[places[name]]
        known = {test.name for test in channel.tests}
        for number in (number for number, test in enumerate(tests) if test.name in known):
            page.complain(("test", number, "name"), "CH312", f'{own.source.file} has a test "{tests[number].name}" too')
        own.problems = [problem for problem in own.problems if problem.code != "CHW01" or not tests]
        reading.channels[places[name]] = (own, replace(channel, tests=(*channel.tests, *tests)))
    return pages


def _read_partners(
    reading: Reading, sources: Mapping[Part, list[tuple[Source, str]]], today: date | None
) -> list[Page]:
    """Partners' files, and feeds with the partners they bring along."""
    pages = []
    for source, _ in sources["partner"]:
        page = Page(source, today)
        pages.append(page)
        partner = read_partner_file(page)
        complain_of_name(page, "partner", partner.name if partner else "")
        reading.partners.extend([(page, partner)] if partner else [])
    for source, _ in sources["feed"]:
        page = Page(source, today)
        pages.append(page)
        feed = read_feed(page)
        complain_of_name(page, "feed", feed.name if feed else "")
        partner = read_own_partner(page, feed.name if feed else "")
        reading.feeds.extend([(page, feed)] if feed else [])
        reading.partners.extend([(page, partner)] if feed and partner else [])
    return pages


def _version(text: str) -> str:
    """A short hash of a text; "default" for none."""
    return sha256(text.encode()).hexdigest()[:VERSION_LETTERS] if text else "default"


def _empty() -> Source:
    """The engine's file when there is none."""
    return Source(file=ENGINE_FILE, lines=(), tree={}, spans={})


def _nobody_reads(file: str) -> Problem:
    """A file that is neither the engine's, nor a channel, nor a feed, nor a partner."""
    return Problem(
        file=file,
        line=0,
        column=1,
        code="CH004",
        sentence="this file is neither a channel, a feed nor a partner, nor engine.toml, nor preauth.toml",
        help="a channel begins with [channel], a feed with [feed], a partner with [partner]",
    )


def _twice(file: str) -> Problem:
    """A second engine.toml or preauth.toml."""
    return Problem(file=file, line=0, column=1, code="CH005", sentence="there may be only one file of this name")
