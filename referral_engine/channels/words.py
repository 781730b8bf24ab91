"""The analysts' words to values: lengths of time, hours, numbers, names; each reader refuses with a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, time
from typing import Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from referral_engine.base.ident import is_npi, npi_check_digit
from referral_engine.channels.peers import read_address, read_identity, read_network
from referral_engine.channels.shape import Unfit, nearest, of_kind
from referral_engine.loop.policy import Duration, Unit

T = TypeVar("T")

PORT_MAX = 65_535
AMOUNT_MAX = 100_000  # of any unit; stops a length that no date can hold

_DURATION: Final = re.compile(r"(\d{1,9}) +([a-z]+(?: [a-z]+)?)")
_SPAN: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
_PHONE: Final = re.compile(r"\+[1-9]\d{6,14}")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_KEY_LIKE: Final = re.compile(r"[0-9A-Fa-f]{32,}|[A-Za-z0-9_+/]{40,}=*")  # digits of a key; a name has a point
_VERSION: Final = re.compile(r"2\.[1-9](?:\.[1-9])?")
_NODE: Final = re.compile(r"[A-Z][A-Z0-9]{0,5}")
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+")
_MESSAGE_TYPE: Final = re.compile(r"[A-Z0-9]{3}\^(?:[A-Z0-9]{3}|\*)")
_IDENTITY: Final = re.compile(r"(?:DNS|URI|IP|CN):[^\s*]+(?: [^\s*]+)*")
_TRAILER: Final = re.compile(r"1[Cc] ?(?:0[0-9A-Fa-f]|1[0-9A-Fa-f])")
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_FRAMING_BYTES: Final = (0x0B, 0x1C)  # VT opens a frame, FS is the trailer's first byte
_UNITS: Final[Mapping[str, Unit]] = {word: unit for unit in Unit for word in (unit.value, unit.value.removesuffix("s"))}
CLOCK_SECONDS: Final[Mapping[Unit, int]] = {Unit.SECONDS: 1, Unit.MINUTES: 60, Unit.HOURS: 3600, Unit.DAYS: 86_400}
_DURATION_HELP: Final = 'write a number and a unit, as in "5 business days" or "30 seconds"'


def text(value: object) -> str:
    """Any text."""
    return of_kind(value, str)


def some_text(value: object) -> str:
    """Text that is not empty."""
    taken = of_kind(value, str)
    if not taken.strip():
        raise Unfit("CH214", "must not be empty", named=True)
    return taken


def flag(value: object) -> bool:
    """True or false."""
    return of_kind(value, bool)


def whole(least: int, most: int) -> Callable[[object], int]:
    """A reader of whole numbers between two limits."""

    def read(value: object) -> int:
        number = of_kind(value, int)
        if not least <= number <= most:
            raise Unfit("CH206", f"must be between {least} and {most}, found {number}", named=True)
        return number

    return read


port = whole(1, PORT_MAX)
any_port = whole(0, PORT_MAX)  # 0: a free one


def word(choices: Mapping[str, T]) -> Callable[[object], T]:
    """A reader of one word of a closed set."""

    def read(value: object) -> T:
        taken = of_kind(value, str)
        if taken in choices:
            return choices[taken]
        near = nearest(taken, tuple(choices))
        listed = ", ".join(f'"{choice}"' for choice in choices if choice)
        raise Unfit("CH104", f'"{taken}" is not one of {listed}', f'did you mean "{near}"?' if near else "")

    return read


def duration(value: object) -> Duration:
    """A length of time such as "48 hours"."""
    taken = of_kind(value, str)
    match = _DURATION.fullmatch(taken)
    unit = _UNITS.get(match[2]) if match else None
    if match is None or unit is None:
        raise Unfit("CH205", f'"{taken}" is not a length of time', _DURATION_HELP)
    amount = int(match[1])
    if not 0 < amount <= AMOUNT_MAX:
        raise Unfit("CH205", f'"{taken}" is not a length of time', f"the number must be between 1 and {AMOUNT_MAX}")
    return Duration(amount, unit)


def seconds(value: object) -> float:
    """A length of time that does not depend on opening hours, in seconds."""
    length = duration(value)
    if length.unit not in CLOCK_SECONDS:
        raise Unfit("CH205", f'"{length}" cannot be used here', "use seconds, minutes, hours or days")
    return float(length.amount * CLOCK_SECONDS[length.unit])


def patience(value: object) -> Duration:
    """How long something is tried again: clock time, or business hours of a calendar."""
    length = duration(value)
    if length.unit is Unit.BUSINESS_DAYS:
        raise Unfit("CH205", f'"{length}" cannot be used here', "use minutes, hours, days or business hours")
    return length


def day(value: object) -> date:
    """A date, as TOML writes it: 2026-03-02."""
    if isinstance(value, str):
        raise Unfit(
            "CH103", "expected a date, found text in quotes", "write a date without quotes: 2025-12-25", named=True
        )
    return of_kind(value, date)


def hours_span(value: object) -> tuple[time, time]:
    """A span such as 08:00-17:00; the first may be the later one (over midnight)."""
    taken = of_kind(value, str)
    match = _SPAN.fullmatch(taken)
    if match is None:
        raise Unfit("CH208", f'"{taken}" is not a span of hours', 'write it as "08:00-17:00"')
    first, second = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    if first == second:
        raise Unfit("CH208", f'"{taken}" begins and ends at once', 'write it as "08:00-17:00"')
    return first, second


def opening_span(value: object) -> tuple[time, time]:
    """Opening hours of one day, the first time before the second."""
    first, second = hours_span(value)
    if first > second:
        raise Unfit("CH208", f'"{value}" closes before it opens', "a day's hours end before midnight")
    return first, second


def zone(value: object) -> ZoneInfo:
    """A time zone by its IANA name."""
    taken = of_kind(value, str)
    try:
        return ZoneInfo(taken)
    except (ValueError, OSError, LookupError):
        raise Unfit("CH209", f'"{taken}" is not a time zone', 'write its full name, as in "America/Chicago"') from None


def npi(value: object) -> str:
    """A National Provider Identifier with a right check digit."""
    taken = of_kind(value, str)
    if len(taken) != 10 or not taken.isascii() or not taken.isdigit():
        raise Unfit("CH201", f'"{taken}" is not a valid NPI: it must be ten digits')
    if not is_npi(taken):
        raise Unfit(
            "CH201",
            f'"{taken}" is not a valid NPI: its check digit does not match',
            f"the last digit should be {npi_check_digit(taken[:9])}",
        )
    return taken


def _pattern(expression: re.Pattern[str], code: str, what: str, hint: str) -> Callable[[object], str]:
    """A reader of text of one form."""

    def read(value: object) -> str:
        taken = of_kind(value, str)
        if not expression.fullmatch(taken):
            raise Unfit(code, f'"{taken}" is not {what}', hint)
        return taken

    return read


name = _pattern(_NAME, "CH212", "a name", "use small letters, digits and hyphens")
phone = _pattern(_PHONE, "CH207", "a telephone number", 'write it with its country, as in "+12175550142"')
version = _pattern(_VERSION, "CH213", "a version of HL7 v2", 'write it as "2.5.1"')
node = _pattern(_NODE, "CH212", "a name of an instance", "use one to six capital letters and digits")
oid = _pattern(_OID, "CH212", "an OID", 'write numbers with dots, as in "2.16.840.1.113883.19"')
segment = _pattern(_SEGMENT, "CH202", "the name of a segment", 'write three letters, as in "NTE"')
_any_host = _pattern(_HOST, "CH210", "a host name or an address", "")
_file = _pattern(_FILE, "CH211", "a file name", "name a file inside the credentials directory, without a path")


def host(value: object) -> str:
    """A host name or an IP address, without a port."""
    taken = of_kind(value, str)
    try:
        read_address(taken)
    except ValueError:
        _any_host(taken)
    else:
        return taken  # "::1" too
    if taken.count(":") == 1:
        raise Unfit("CH210", f'"{taken}" is not a host name or an address', "the port has a key of its own")
    return taken


def network(value: object) -> str:
    """An IP address, or a network of them as "10.20.0.0/16"."""
    taken = of_kind(value, str)
    try:
        return str(read_network(taken) if "/" in taken else read_address(taken))
    except ValueError:
        what, example = ("a network", "10.20.0.0/16") if "/" in taken else ("an IP address", "10.20.30.40")
        raise Unfit("CH210", f'"{taken}" is not {what}', f'write it as "{example}"') from None


def identity(value: object) -> str:
    """One name of a certificate, with its kind; compared whole, so that "*" would stand for nothing."""
    taken = of_kind(value, str)
    try:
        if _IDENTITY.fullmatch(taken):
            return read_identity(taken)
    except ValueError:
        pass
    raise Unfit(
        "CH218", f'"{taken}" is not a name of a certificate', 'write kind and name, as in "DNS:gw.heart.example"'
    )


def message_type(value: object) -> str:
    """A type and its trigger, or every trigger of a type."""
    taken = of_kind(value, str)
    if not _MESSAGE_TYPE.fullmatch(taken):
        raise Unfit("CH213", f'"{taken}" is not a message type', 'write it as "ORM^O01", or "SIU^*" for every trigger')
    return taken


def trailer(value: object) -> bytes:
    """The two control characters that end a frame, in hexadecimal digits."""
    taken = of_kind(value, str)
    end = bytes.fromhex(taken) if _TRAILER.fullmatch(taken) else b""
    if not end or end[1] in _FRAMING_BYTES:
        hint = 'write two bytes in hexadecimal, as in "1C 0D" (FS CR) or "1C 00" (FS NUL)'
        raise Unfit("CH217", f'"{taken}" ends no frame', hint)
    return end


def credential(value: object) -> str:
    """The name of a file inside the credentials directory; never the secret itself."""
    taken = of_kind(value, str)
    if "-----BEGIN" in taken:
        raise Unfit(
            "CH211", "a secret is written in the file", "put it into the credentials directory and name the file"
        )
    if _KEY_LIKE.fullmatch(taken):  # never shown: it may be one
        hint = "put it into the credentials directory and name the file"
        raise Unfit("CH211", "this looks like a secret, not like the name of a file", hint, named=True)
    return _file(taken)


def charset(value: object) -> str:
    """A character set Python can decode."""
    taken = of_kind(value, str)
    try:
        readable = "MSH|".encode(taken) == b"MSH|"
    except (LookupError, ValueError):
        readable = False
    if not readable:
        hint = 'common ones are "utf-8", "ascii", "latin-1" and "cp1252"'
        raise Unfit("CH216", f'"{taken}" is not a character set of HL7 messages', hint)
    return taken


CLOSURES: Final[Mapping[str, Literal["MDM^T02", "ORU^R01"]]] = {"MDM^T02": "MDM^T02", "ORU^R01": "ORU^R01"}
STATUSES: Final[Mapping[str, Literal["ORM^O01", "OSU^O51"]]] = {"ORM^O01": "ORM^O01", "OSU^O51": "OSU^O51"}
