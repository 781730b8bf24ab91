"""What `channel new` asks of a specialist: every question as data, with its usual answer and when it is asked.

An answer is named as it stands in a file of answers: table and key, "transport.host". Most are named so in the
channel's file too; `Question.place` says where the others end up.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from referral_engine.channels.book import Book
from referral_engine.channels.peers import is_loopback
from referral_engine.channels.scan import Place
from referral_engine.loop.policy import Kind

Answer = str | int | bool | date | tuple[str, ...]
Answers = Mapping[str, Answer]
Usual = Callable[[Answers, Book], Answer]
Form = Literal["text", "list", "flag", "whole", "day", "phone"]

NONE: Final = "none"  # of the ways in [fallback]
NAME_LETTERS_MAX: Final = 60  # of a name made from a title; it is a file's name, a lane and a column of `list`
CLOCKS_ASKED: Final = (Kind.DELIVERED, Kind.CONFIRM, Kind.SCHEDULE, Kind.NOTE_REQUEST, Kind.NOTE_PHYSICIAN)
URGENCIES: Final = ("routine", "urgent")
_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing to know about a specialist."""

    key: str  # "transport.host"
    ask: str  # for a person; without a question mark or a colon
    form: Form = "text"
    usual: Usual = lambda _answers, _book: ""  # the answer of whoever just presses Enter
    when: Callable[[Answers], bool] = lambda _answers: True  # whether what was said before leaves it open
    choices: Callable[[Book], tuple[str, ...]] = lambda _book: ()  # the words that are known; () is any
    needed: bool = False  # an empty answer is none
    at: Place = ()  # where it stands in the channel's file, when its key does not say so
    later: tuple[str, ...] = ()  # codes of `check` that a question further down takes care of

    @property
    def place(self) -> Place:
        """Where the answer stands in the channel's file."""
        return self.at or tuple(self.key.split("."))


def name_from(title: str) -> str:
    """A channel's name made of its title: small letters, digits and hyphens; "" when nothing is left."""
    plain = unicodedata.normalize("NFKD", title.replace("&", " and ").replace("'", "").replace("\u2019", ""))
    letters = plain.encode("ascii", "ignore").decode().lower()
    return _NOT_IN_A_NAME.sub("-", letters).strip("-")[:NAME_LETTERS_MAX].rstrip("-")


def prefixes_of(book: Book, specialty: str) -> tuple[str, ...]:
    """What the order codes of a specialty begin with, as the senders' files say; () when none knows it."""
    feeds = [feed for feed in book.feeds.values() if feed.enabled]
    return tuple(
        dict.fromkeys(prefix for feed in feeds for prefix, one in feed.specialties.items() if one == specialty)
    )


def specialties_of(book: Book) -> tuple[str, ...]:
    """The specialties that senders' order codes lead to."""
    return tuple(sorted({one for feed in book.feeds.values() if feed.enabled for one in feed.specialties.values()}))


def usual_calendar(book: Book) -> str:
    """The first calendar of conf/engine.toml, or the built-in one."""
    return next((name for name in book.engine.calendars if name != "default"), "default")


def text_of(answers: Answers, key: str) -> str:
    """An answer that is text; "" when there is none."""
    answer = answers.get(key, "")
    return answer if isinstance(answer, str) else ""


def list_of(answers: Answers, key: str) -> tuple[str, ...]:
    """An answer that is a list; () when there is none."""
    answer = answers.get(key, ())
    return answer if isinstance(answer, tuple) else ()


def hears_plaintext(answers: Answers, table: str) -> bool:
    """Whether a way is MLLP without TLS to another machine, which needs a permission."""
    host = text_of(answers, f"{table}.host")
    plain = answers.get(f"{table}.kind") == "mllp" and answers.get(f"{table}.secure") is False
    return plain and bool(host) and not is_loopback(host)


def without_usual_clocks(answers: Answers, book: Book) -> Answers:
    """The answers without those clocks that are as conf/engine.toml has them: its changes then reach the channel."""
    usual = {
        kind: {f"sla.{kind.value}.{urgency}": str(row[0]) for urgency, row in zip(URGENCIES, rows, strict=True)}
        for kind, rows in book.engine.clocks.items()
        if kind in CLOCKS_ASKED
    }
    same = {key for row in usual.values() if all(answers.get(key) == one for key, one in row.items()) for key in row}
    return {key: answer for key, answer in answers.items() if key not in same}


def speaks(answers: Answers) -> bool:
    """Whether anything arrives from the specialist over the wire."""
    return bool(answers.get("replies.applications") or answers.get("replies.facilities"))


def _is(key: str, *words: Answer) -> Callable[[Answers], bool]:
    """Asked when an earlier answer is one of these."""
    return lambda answers: answers.get(key) in words


def _fixed(answer: Answer) -> Usual:
    """The same usual answer for everyone."""
    return lambda _answers, _book: answer


def _same_as(key: str) -> Usual:
    """A list with an earlier answer, if there is one."""
    return lambda answers, _book: tuple(filter(None, (text_of(answers, key),)))


def _clock(kind: Kind, column: int) -> Usual:
    """A clock of conf/engine.toml; column: 0 routine, 1 urgent."""
    return lambda _answers, book: str(book.engine.clocks[kind][column][0])


def _speaks_hl7(answers: Answers) -> bool:
    return "mllp" in (answers.get("transport.kind"), answers.get("fallback.kind"))


def _keeps_clocks(answers: Answers, _book: Book) -> bool:
    return not any(key.startswith("sla.") for key in answers)


def _way(table: str, kinds: tuple[str, ...], first: str, ask: str) -> Iterator[Question]:
    """How a packet travels: [transport] and [fallback] are asked the same."""
    kind, credentials = f"{table}.kind", "file in the credentials directory"
    mllp, fax, secure = _is(kind, "mllp"), _is(kind, "fax"), _is(f"{table}.secure", True)

    def plain(answers: Answers) -> bool:
        return hears_plaintext(answers, table)

    yield Question(key=kind, ask=ask, usual=_fixed(first), choices=lambda _book: kinds, needed=True)
    yield Question(
        key=f"{table}.host", ask="Host name or address of their interface", when=mllp, needed=True, later=("CH316",)
    )
    yield Question(key=f"{table}.port", ask="Port", form="whole", when=mllp, needed=True)
    yield Question(
        key=f"{table}.secure",
        ask="Do they take TLS",
        form="flag",
        when=mllp,
        usual=lambda answers, _book: not is_loopback(text_of(answers, f"{table}.host")),
        at=(table, "tls"),
    )
    yield Question(key=f"{table}.tls.ca", ask=f"Whom we trust: a CA {credentials} (none: the system's)", when=secure)
    yield Question(key=f"{table}.tls.client_cert", ask=f"What we show: a {credentials} (none: nothing)", when=secure)
    reason = "Why patients' names may cross the network unencrypted (a VPN, say)"
    yield Question(key=f"{table}.insecure_reason", ask=reason, when=plain, needed=True)
    yield Question(
        key=f"{table}.insecure_until", ask="Until which day (2027-06-30)", form="day", when=plain, needed=True
    )
    yield Question(
        key=f"{table}.ack_mode",
        ask="Acknowledgment: original, or enhanced if they act on MSH-15 and MSH-16",
        usual=_fixed("original"),
        choices=lambda _book: ("original", "enhanced"),
        when=mllp,
    )
    yield Question(
        key=f"{table}.gateway",
        ask="Fax gateway",
        usual=lambda _answers, book: next(iter(book.engine.gateways), ""),
        choices=lambda book: tuple(book.engine.gateways),
        when=fax,
        needed=True,
    )
    yield Question(key=f"{table}.number", ask="Fax number", form="phone", when=fax, needed=True)
    yield Question(
        key=f"{table}.directory",
        ask="Directory that another program empties",
        usual=lambda answers, book: f"{book.engine.spool_directory}/{text_of(answers, 'channel.name')}",
        when=_is(kind, "spool"),
        needed=True,
    )


def _who() -> Iterator[Question]:
    """[channel] and [match]."""
    yield Question(key="channel.title", ask="Name of the practice, as people know it", needed=True)
    yield Question(
        key="channel.name",
        ask="Short name, also the file's",
        usual=lambda answers, _book: name_from(text_of(answers, "channel.title")),
        needed=True,
        later=("CHW01",),  # its tests are made of all answers
    )
    yield Question(key="channel.npi", ask="NPI that orders refer to (ten digits)", needed=True)
    yield Question(key="channel.specialty", ask="Specialty", choices=specialties_of, needed=True)
    yield Question(
        key="match.codes",
        ask="Their order codes begin with (OBR-4.1; none: every order that names the NPI)",
        form="list",
        usual=lambda answers, book: prefixes_of(book, text_of(answers, "channel.specialty")),
        at=("match", "OBR-4.1"),
    )
    yield Question(
        key="channel.network",
        ask="Inside our own network (in) or outside (out)",
        usual=_fixed("out"),
        choices=lambda _book: ("in", "out"),
    )
    yield Question(
        key="channel.calendar",
        ask="Calendar of their opening hours",
        usual=lambda _answers, book: usual_calendar(book),
        choices=lambda book: tuple(book.engine.calendars),
    )


def _heard() -> Iterator[Question]:
    """[message] and [replies]."""
    application, facility = "message.receiving_application", "message.receiving_facility"
    yield Question(key=application, ask="Their application (MSH-5)", when=_speaks_hl7)
    yield Question(key=facility, ask="Their facility (MSH-6)", when=_speaks_hl7)
    yield Question(key="message.version", ask="HL7 version they read", usual=_fixed("2.5.1"), when=_speaks_hl7)
    yield Question(
        key="replies.applications",
        ask="What they send us bears MSH-3 (none: they send nothing over the wire)",
        form="list",
        usual=_same_as(application),
    )
    yield Question(
        key="replies.facilities",
        ask="and MSH-4 (none: any)",
        form="list",
        usual=_same_as(facility),
        when=speaks,
    )
    for key, ask in (("confirms", "Do they accept or decline"), ("appointments", "Do they send appointments (SIU)")):
        yield Question(key=f"replies.{key}", ask=ask, form="flag", usual=_fixed(answer=True), when=speaks)
    yield Question(
        key="replies.notes", ask="Do their notes come back to us at all", form="flag", usual=_fixed(answer=True)
    )


def _then() -> Iterator[Question]:
    """[hold], [sla] and [patient]."""
    yield Question(
        key="hold.plans",
        ask="Plans (IN1-15) that wait here for the payer (none: conf/preauth.toml decides)",
        form="list",
        at=("hold", "when"),
    )
    yield Question(
        key="hold.remind_after",
        ask="The desk is reminded after",
        usual=_fixed("2 business days"),
        when=lambda answers: bool(answers.get("hold.plans")),
    )
    yield Question(key="sla.keep", ask="Keep the clocks of conf/engine.toml", form="flag", usual=_keeps_clocks)
    for kind in CLOCKS_ASKED:
        for column, urgency in enumerate(URGENCIES):
            yield Question(
                key=f"sla.{kind.value}.{urgency}",
                ask=f"Clock {kind.value}, {urgency}",
                usual=_clock(kind, column),
                when=_is("sla.keep", False),
            )
    yield Question(key="patient.address", ask="Address, for the patient's reminders")
    yield Question(key="patient.parking", ask="Parking, for the patient's reminders")


QUESTIONS: Final = (
    *_who(),
    *_way("transport", ("mllp", "fax", "spool"), "fax", "How they receive: mllp, fax or spool (files)"),
    *_way("fallback", (NONE, "mllp", "fax", "spool"), NONE, "When that fails: mllp, fax, spool or none"),
    *_heard(),
    *_then(),
)
