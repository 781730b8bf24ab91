"""What is known of a new specialist in, the text of its channel file out: commented, aligned, always the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from referral_engine.channels.questions import (
    CLOCKS_ASKED,
    NONE,
    URGENCIES,
    Answer,
    Answers,
    hears_plaintext,
    list_of,
    text_of,
)

STEP_LETTERS_MAX: Final = 100  # of a step that stands on the line of its key
REMARK_COLUMN: Final = 42  # where the remarks of a table stand, unless a line is longer
MESSAGE_TYPES: Final = ("ORM^O01", "OMG^O19", "REF^I12")  # what an ordering side may refer with

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_NOT_IN_TEXT: Final = re.compile(r'[\\"\x00-\x1f\x7f]')
_WAYS: Final = {"mllp": "over MLLP", "fax": "by fax", "spool": "as files"}
_EVERY: Final = 'every line must match; a list means "any of these"'

Line = tuple[str, str, str]  # key, value as TOML, remark


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftStep:
    """One line of a timetable to be written: a sample arrives, and what must then be true."""

    receive: str
    at: datetime | None = None  # clinic wall time, no zone
    overrides: Mapping[str, str] = field(default_factory=dict)
    expect: Mapping[str, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftTest:
    """One [[test]] to be written."""

    name: str
    steps: Sequence[DraftStep]


def write_draft(
    answers: Answers, tests: Sequence[DraftTest] = (), *, remarks: Sequence[str] = (), schema: str = ""
) -> str:
    """The whole file; what has not been answered yet is left out.

    remarks: lines of the comment at the top, without their hash. schema: where the JSON Schema of channels lies, seen
    from the file; an editor that reads the first line completes by it. "" is none.
    """
    first = f"#:schema {schema}\n" if schema else ""
    parts = [
        first + _head(answers, remarks),
        _table("channel", _channel(answers)),
        _table("match", _match(answers), _EVERY),
    ]
    if list_of(answers, "hold.plans"):
        parts.append(_table("hold", _hold(answers), "which orders wait, and what lets them go"))
    parts.append(_table("transport", _way(answers, "transport")))
    if text_of(answers, "fallback.kind") not in ("", NONE):
        parts.append(_table("fallback", _way(answers, "fallback"), "when the first way is dead; one of the two counts"))
    for name, lines, remark in (
        ("message", _message(answers), "how our copy of the order is addressed"),
        ("replies", _replies(answers), "how we learn what happened"),
        ("sla", _clocks(answers), "every other clock as in conf/engine.toml"),
        ("patient", _patient(answers), "what a reminder may say"),
    ):
        if lines:
            parts.append(_table(name, lines, remark))
    if not _clocks(answers):
        parts.append("# No [sla]: every clock as in conf/engine.toml (`referral-engine config NAME` shows them).\n")
    if tests:
        parts.append("# Tests. `at` is clinic time; the clock is moved there, then the message arrives.\n")
    parts.extend(map(_test, tests))
    return "\n".join(parts)


def toml(value: Answer) -> str:
    """A value as TOML writes it; text that is a day stays text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml, value))}]"
    return f'"{_NOT_IN_TEXT.sub(_escaped, value)}"'


def one_line(text: str) -> str:
    """Text without line ends and control characters, blanks in one: fit for a comment, a title, an address."""
    return " ".join(_CONTROLS.sub(" ", text).split())


def _escaped(found: re.Match[str]) -> str:
    letter = found[0]
    return _ESCAPES.get(letter) or f"\\u{ord(letter):04X}"


def _head(answers: Answers, remarks: Sequence[str]) -> str:
    """What the file is, and the commands that are asked about it."""
    name = text_of(answers, "channel.name")
    first, second = text_of(answers, "transport.kind"), text_of(answers, "fallback.kind")
    way = _WAYS.get(first, "")
    other = f", {_WAYS[second]} when that fails" if second in _WAYS else ""
    title = one_line(text_of(answers, "channel.title"))
    lines = [f"{title}: {one_line(text_of(answers, 'channel.specialty'))} referrals {way}{other}.", *remarks, ""]
    lines += [f"  referral-engine {word:5} channels/{one_line(name)}.toml" for word in ("check", "test")]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _table(name: str, lines: Sequence[Line], remark: str = "") -> str:
    """A heading and its lines, keys and remarks each in a column."""
    width = max((len(key) for key, _, _ in lines), default=0)
    written = [(f"{key:{width}} = {value}", note) for key, value, note in lines]
    return "".join(
        f"{text:{REMARK_COLUMN - 1}} # {note}\n" if note else f"{text}\n"
        for text, note in [(f"[{name}]", remark), *written]
    )


def _channel(answers: Answers) -> list[Line]:
    calendar = text_of(answers, "channel.calendar")
    remarks = {
        "name": "same as the file name",
        "npi": "its check digit is checked",
        "calendar": f"conf/engine.toml [calendar.{one_line(calendar)}]" if calendar != "default" else "",
        "network": '"in" is our own network; conf/preauth.toml asks',
    }
    return _texts(answers, "channel", ("name", "title", "npi", "specialty", "calendar", "network"), remarks)


def _match(answers: Answers) -> list[Line]:
    lines: list[Line] = [('"MSH-9"', toml(MESSAGE_TYPES), "")]
    codes = list_of(answers, "match.codes")
    if codes:
        value = toml(codes[0] if len(codes) == 1 else codes)
        lines.append(('"OBR-4.1"', f"{{ starts_with = {value} }}", "what is ordered"))
    npi = text_of(answers, "channel.npi")
    return [*lines, ("referred_to", toml(npi), "the NPI, wherever the sender's feed says it stands")]


def _hold(answers: Answers) -> list[Line]:
    plans = list_of(answers, "hold.plans")
    when = toml(plans[0] if len(plans) == 1 else plans)
    return [
        ("reason", toml("pre-authorization"), ""),
        ("when", f'{{ "IN1-15" = {when} }}', "same rules as [match]"),
        ("released_by", toml(("IN1-14.1", "staff")), "an authorization number in the order, or a person"),
        *_texts(answers, "hold", ("remind_after",), {}),
    ]


def _way(answers: Answers, table: str) -> list[Line]:
    """[transport] or [fallback]."""
    kind = text_of(answers, f"{table}.kind")
    lines = _texts(answers, table, ("kind", "host", "port"), {})
    if kind == "mllp":
        tls = {key: answers.get(f"{table}.tls.{key}") for key in ("ca", "client_cert")}
        if answers.get(f"{table}.secure") is True:
            inner = ", ".join(f"{key} = {toml(value)}" for key, value in tls.items() if value)
            lines.append(("tls", f"{{ {inner} }}" if inner else "{}", "files in the credentials directory"))
        elif hears_plaintext(answers, table):
            lines.append(("insecure_plaintext", "true", "patients' names cross the network unencrypted"))
            lines += _texts(answers, table, ("insecure_reason",), {})
            until = answers.get(f"{table}.insecure_until")
            if until is not None:
                lines.append(("insecure_until", _day(until), "then the engine refuses to start"))
    gateway = one_line(text_of(answers, f"{table}.gateway"))
    remarks = {
        "ack_mode": '"enhanced" if they act on MSH-15 and MSH-16',
        "gateway": f"conf/engine.toml [gateway.{gateway}]",
        "directory": "another program empties it",
    }
    return lines + _texts(answers, table, ("ack_mode", "gateway", "number", "directory"), remarks)


def _message(answers: Answers) -> list[Line]:
    remarks = {"receiving_application": "MSH-5", "receiving_facility": "MSH-6", "version": "MSH-12"}
    return _texts(answers, "message", tuple(remarks), remarks)


def _replies(answers: Answers) -> list[Line]:
    remarks = {
        "applications": "MSH-3 of what they send",
        "facilities": "MSH-4",
        "confirms": "whether they accept or decline",
        "appointments": "whether they send SIU; if not, a coordinator records the date",
        "notes": "whether their notes come back: ORU, MDM, or letters that are scanned here",
    }
    return _texts(answers, "replies", tuple(remarks), remarks)


def _clocks(answers: Answers) -> list[Line]:
    """[sla]: one line a clock that was answered."""
    lines: list[Line] = []
    for kind in CLOCKS_ASKED:
        row = {urgency: answers.get(f"sla.{kind.value}.{urgency}") for urgency in URGENCIES}
        told = ", ".join(f"{urgency} = {toml(value)}" for urgency, value in row.items() if value is not None)
        if told:
            lines.append((kind.value, f"{{ {told} }}", ""))
    return lines


def _patient(answers: Answers) -> list[Line]:
    return _texts(answers, "patient", ("address", "parking"), {})


def _texts(answers: Answers, table: str, keys: Sequence[str], remarks: Mapping[str, str]) -> list[Line]:
    """The lines of plain answers; one that is empty is left out."""
    found = ((key, answers.get(f"{table}.{key}", "")) for key in keys)
    return [(key, toml(value), remarks.get(key, "")) for key, value in found if value not in ("", ())]


def _day(value: Answer) -> str:
    """A day without quotes; what is none stays text, so that `check` says what is wrong with it."""
    return value if isinstance(value, str) and _DAY.fullmatch(value) else toml(value)


def _test(test: DraftTest) -> str:
    """One [[test]]."""
    steps = list(map(_step, test.steps))
    if len(steps) == 1 and len(steps[0]) <= STEP_LETTERS_MAX:
        return f"[[test]]\nname  = {toml(test.name)}\nsteps = [{steps[0]}]\n"
    return f"[[test]]\nname  = {toml(test.name)}\nsteps = [\n" + "".join(f"  {step},\n" for step in steps) + "]\n"


def _step(step: DraftStep) -> str:
    told = [f"at = {toml(step.at)}"] if step.at else []
    told.append(f"receive = {toml(step.receive)}")
    if step.overrides:
        told.append(f"with = {{ {', '.join(f'{toml(path)} = {toml(one)}' for path, one in step.overrides.items())} }}")
    expected = ", ".join(f"{key} = {toml(value)}" for key, value in step.expect.items())
    return f"{{ {', '.join([*told, f'expect = {{ {expected} }}'])} }}"
