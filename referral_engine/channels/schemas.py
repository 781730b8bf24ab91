"""JSON Schema (draft 2020-12) of every file kind, made from what its reader asks for, so it cannot drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import Enum
from functools import partial
from re import Pattern
from typing import Final, Literal
from zoneinfo import ZoneInfo

from referral_engine.channels import words
from referral_engine.channels.channel_file import read_channel
from referral_engine.channels.clocks import SLA_WORDS, STAGED, STAGES_MAX
from referral_engine.channels.defaults import FOLDER, OWN_KEYS, OWN_TABLES
from referral_engine.channels.engine import DEFAULT_QUEUES, DEFAULT_REVIEW_AGE, default_engine
from referral_engine.channels.engine_file import REVIEW_AGE, read_engine
from referral_engine.channels.feed_file import read_feed
from referral_engine.channels.partner_file import read_own_partner, read_partner_file
from referral_engine.channels.preauth_file import read_preauth
from referral_engine.channels.probing import ANY_KEY, Asked, Level, choices_of, held_by, probe
from referral_engine.channels.shape import KIND_WORDS, Page, Reader, Unfit, shown
from referral_engine.channels.value_tests import read_test
from referral_engine.loop.effects import TaskKind
from referral_engine.loop.policy import DEFAULT_CLOCKS, Duration

Schema = dict[str, object]
Kind = Literal["engine", "channel", "defaults", "feed", "partner", "preauth"]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

_LENGTH: Final = "second|minute|hour|day"
_DURATION: Final[Schema] = {
    "type": "string",
    "pattern": rf"^[1-9][0-9]* +((business )?(hour|day)s?|({_LENGTH})s?)$",
    "description": 'a number and a unit, such as "48 hours" or "5 business days"',
}
_CLOCK_TIME: Final[Schema] = {
    "type": "string",
    "pattern": rf"^[1-9][0-9]* +({_LENGTH})s?$",
    "description": 'a number and a unit of clock time, such as "30 seconds"',
}
_SPAN: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"
_TEXTS: Final[Schema] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_END: Final[Schema] = {
    "description": 'a number, or a date such as "20250101"',
    "anyOf": [{"type": "string"}, {"type": "number"}],
}
_TEST: Final[Schema] = {
    "description": 'a value, a list of which any will do, or a small table such as { starts_with = "REF" }',
    "anyOf": [
        *_TEXTS["anyOf"],  # type: ignore[misc]  # it is the list above
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "properties": {
                "starts_with": _TEXTS,
                "range": {
                    "description": "both ends are included; of from and to one may be left out",
                    "anyOf": [
                        {"type": "array", "items": _END, "minItems": 2, "maxItems": 2},
                        {"type": "object", "properties": {"from": _END, "to": _END}, "additionalProperties": False},
                    ],
                },
                "matches": {"type": "string", "description": "a regular expression of RE2 for the whole value"},
                "named": {**_TEXTS, "description": "codes by the names of the standard's table, such as new"},
                "present": {"type": "boolean"},
                "absent": {"type": "boolean"},
            },
            "additionalProperties": False,
        },
    ],
}
# What many keys share, by the name they refer to it with.
_SHARED: Final[Mapping[str, Schema]] = {
    "length": _DURATION,
    "clock-time": _CLOCK_TIME,
    "patience": {
        "type": "string",
        "pattern": rf"^[1-9][0-9]* +(business hours?|({_LENGTH})s?)$",
        "description": 'a number and a unit, such as "24 hours" or "4 business hours"',
    },
    "hours": {"type": "string", "pattern": _SPAN, "description": 'such as "08:00-17:00"'},
    "test": _TEST,
}


def _shared(name: str) -> Schema:
    """A reference to what many keys share."""
    assert name in _SHARED, "what is referred to is there"
    return {"$ref": f"#/$defs/{name}"}


# How the readers that take more than a kind of value read it; `read` itself is the last word.
_READERS: Final[Mapping[Callable[..., object], Schema]] = {
    words.some_text: {"type": "string", "pattern": r"\S"},
    words.duration: _shared("length"),
    words.seconds: _shared("clock-time"),
    words.patience: _shared("patience"),
    words.day: {"type": "string", "format": "date", "description": "a date without quotes, such as 2026-03-02"},
    words.hours_span: _shared("hours"),
    words.opening_span: _shared("hours"),
    words.zone: {"type": "string", "description": 'a time zone by its IANA name, such as "America/Chicago"'},
    words.npi: {"type": "string", "pattern": "^[0-9]{10}$", "description": "a National Provider Identifier"},
    words.message_type: {"type": "string", "pattern": r"^[A-Z0-9]{3}\^([A-Z0-9]{3}|\*)$"},
    words.credential: {"type": "string", "description": "the name of a file inside the credentials directory"},
    read_test: _shared("test"),
}
# What a kind of value is called in JSON; TOML's dates are text there.
_KINDS: Final[Mapping[type, Schema]] = {
    bool: {"type": "boolean"},
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    datetime: {"type": "string", "description": "a date and time without quotes, such as 2026-03-02 09:00:00"},
    date: {"type": "string", "format": "date"},
    dict: {"type": "object"},
    list: {"type": "array"},
}


def schema(kind: Kind) -> Schema:
    """The schema of one kind of file."""
    read, file, title = _FILES[kind]
    made = _table(probe(read, file))
    if kind == "channel":
        _channel_only(made)
    if kind == "defaults":
        _lendable_only(made)
    if kind == "engine":
        _engine_only(made)
    return {"$schema": DRAFT, "title": title, **made, "$defs": dict(_SHARED)}


def _feed(page: Page) -> None:
    read_feed(page)
    read_own_partner(page, "probe")


_FILES: Final[Mapping[Kind, tuple[Callable[[Page], object], str, str]]] = {
    "engine": (partial(read_engine, partners={}), "conf/engine.toml", "conf/engine.toml: the machine and the practice"),
    "channel": (
        partial(read_channel, engine=default_engine(), partners={}, version="", samples=None),
        "channels/probe.toml",
        "channels/NAME.toml: one specialist",
    ),
    "defaults": (
        partial(read_channel, engine=default_engine(), partners={}, version="", samples=None),
        "channels/probe.toml",
        f"channels/{FOLDER}/SPECIALTY.toml: what all channels of one specialty have in common",
    ),
    "feed": (_feed, "conf/feeds/probe.toml", "conf/feeds/NAME.toml: one sender's dialect"),
    "partner": (read_partner_file, "conf/partners/probe.toml", "conf/partners/NAME.toml: one peer on the wire"),
    "preauth": (read_preauth, "conf/preauth.toml", "conf/preauth.toml: what must wait for the payer"),
}
KINDS: Final = tuple(_FILES)


def _table(level: Level) -> Schema:
    """One table: its keys, those it must have, and what a key the analyst makes up may hold."""
    properties = {key: _key(asked) for key, asked in level.keys.items() if key != ANY_KEY}
    for key in level.known:
        if key not in properties and key != ANY_KEY:
            properties[key] = _known_only(key)
    needed = [key for key, asked in level.keys.items() if asked.needed and asked.needed >= level.visits]
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if ANY_KEY in level.keys:
        made["additionalProperties"] = _key(level.keys[ANY_KEY])
    if needed:
        made["required"] = needed
    return made


def _key(asked: Asked) -> Schema:
    """One key."""
    if asked.below is not None and asked.tables:
        return {"type": "array", "items": _table(asked.below)}
    found: list[Schema] = [_table(asked.below)] if asked.below is not None else []
    found += [_value(read) for read in asked.readers]
    made: Schema = found[0] if len(found) == 1 else {"anyOf": found}
    if asked.is_list:
        made = {"anyOf": [made, {"type": "array", "items": made}]}
    default = _default(asked)
    return made if default is None else made | {"default": default}


def _value(read: Reader[object]) -> Schema:
    """How one value is read."""
    if read in _READERS:
        return dict(_READERS[read])
    choices = choices_of(read)
    if choices is not None:
        return {"enum": list(choices)}
    pattern = held_by(read, "_pattern").get("expression")
    if isinstance(pattern, Pattern):
        return {"type": "string", "pattern": f"^(?:{pattern.pattern})$"}
    limits = held_by(read, "whole")
    if limits:
        return {"type": "integer", "minimum": limits["least"], "maximum": limits["most"]}
    return dict(_kind_of(read))


def _kind_of(read: Reader[object]) -> Schema:
    """What kind of value a reader takes, by what it says of one that is of none."""
    try:
        read(object())
    except Unfit as unfit:
        kinds = [kind for kind, called in KIND_WORDS if f"expected {called}," in unfit.sentence]
        return _KINDS.get(kinds[0], {}) if kinds else {}
    return {}


def _default(asked: Asked) -> object:
    """The default as the analyst would write it; None where there is none, or none that a file could say."""
    value = asked.default
    choices = choices_of(asked.readers[0]) if asked.readers else None
    if choices is not None and not asked.is_list:
        return next((word for word, meant in choices.items() if meant == value and word), None)
    match value:
        case bool():
            return value
        case Duration() | ZoneInfo():
            return str(value)
        case float():
            return shown(value).strip('"')
        case Enum():
            return None
        case int() | str():
            return value if value != "" else None
        case _:
            return None


def _known_only(key: str) -> Schema:
    """A key that is read in a way of its own: the clocks of [sla]; anything else may hold anything."""
    kind = SLA_WORDS.get(key)
    if kind is None and key != REVIEW_AGE:
        return {}
    length = _shared("length")
    stages: Schema = {"type": "array", "items": length, "minItems": 1, "maxItems": STAGES_MAX}
    one: Schema = {"anyOf": [length, stages]} if kind in STAGED else length
    usual = tuple(DEFAULT_CLOCKS[kind]) if kind is not None else tuple((one,) for one in DEFAULT_REVIEW_AGE)
    routine, urgent = (", ".join(map(str, lengths)) for lengths in usual)
    rows: Schema = {
        "type": "object",
        "properties": {"routine": one, "urgent": one},
        "additionalProperties": False,
    }
    return {"anyOf": [one, rows], "description": f"usually {routine}; urgent {urgent}"}


def _channel_only(made: Schema) -> None:
    """What a channel's file may write in two ways: one [fallback], or several [[fallback]]."""
    properties = made["properties"]
    assert isinstance(properties, dict), "a channel has tables"
    one = properties["fallback"]
    properties["fallback"] = {"anyOf": [one, {"type": "array", "items": one}]}


def _lendable_only(made: Schema) -> None:
    """What a file of defaults may hold: no line that is an office's own, and none that it must have."""
    properties = made["properties"]
    assert isinstance(properties, dict), "a channel has tables"
    made.pop("required", None)
    for table in OWN_TABLES:
        del properties[table]
    for name, table in properties.items():
        table.pop("required", None)
        for key in OWN_KEYS.get(name, ()):
            del table["properties"][key]


def _engine_only(made: Schema) -> None:
    """What conf/engine.toml reads in a way of its own: several [[listener]], and a queue for each kind of task."""
    properties = made["properties"]
    assert isinstance(properties, dict), "an engine has keys"
    one = properties["listener"]
    properties["listener"] = {"anyOf": [one, {"type": "array", "items": one | {"required": ["name"]}}]}
    tasks = sorted({kind.value for kind in TaskKind} | set(DEFAULT_QUEUES))
    properties["queues"]["properties"] = {task: _value(words.name) for task in tasks}
