"""Who tells one story: its clock, its chance, its numbers, and the envelope each of its messages leaves in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from random import Random  # noqa: TID251  # the type of what is handed in
from typing import Final

from referral_engine.loop.calendar import Calendar, add_business_days, instant_of, local_date, next_opening
from referral_engine.stories.dialect import USUAL_VERSION, Envelope, Sender
from referral_engine.stories.dress import dressed
from referral_engine.stories.people import Person, person
from referral_engine.stories.places import Office, Site
from referral_engine.stories.script import Ended, Expect, Halfway, Line, Stand

PEOPLE_APART: Final = 8  # people and orders one story may have
_FIRST_SLOT: Final = 8 * 2  # half hours after midnight, clinic time
_SLOTS_A_DAY: Final = 17
_VERSIONS: Final = (USUAL_VERSION, USUAL_VERSION, USUAL_VERSION, "2.3", "2.3.1", "2.4", "2.5", "2.6", "2.7", "2.8.2")
_CHARSETS: Final = (("8859/1", "latin-1"), ("", "latin-1"), ("UNICODE UTF-8", "latin-1"), ("", "utf-8"))
_ODD_CHARSET_SHARE: Final = 0.15
_BARE_SHARE: Final = 0.3  # of messages whose times have no offset
_NUMBERS: Final = ("P-{}", "{:010}", "{:07}-0175", "REF{}", "{}")  # how order numbers are made up


@dataclass(slots=True, kw_only=True)
class Case:
    """One made-up referral of a story, as the senders know it."""

    name: str  # in the story: "a"
    person: Person
    office: Office
    placer: tuple[str, str]
    kind: str = "ORM^O01"  # the type of message it is ordered with
    code: tuple[str, str]
    plan: str
    authorization: str = ""  # the number the order brings
    ordered_at: datetime
    appointments: int = 0  # made so far
    documents: int = 0

    @property
    def authorized(self) -> str:
        """Where the authorization track stands once the order is let go."""
        return "approved" if self.authorization else "not-required"


@dataclass(slots=True, kw_only=True)
class Teller:
    """One story on its way; a plot moves the clock and yields what is said."""

    story: str  # "S000012"
    plot: str
    number: int
    site: Site
    chance: Random
    now: datetime  # UTC
    people: int = 0
    said: int = 0

    @property
    def calendar(self) -> Calendar:
        """The clinic's."""
        return self.site.calendar

    # time

    def wait(self, low: timedelta, high: timedelta) -> None:
        """Some time goes by; things are said while offices are open."""
        seconds = (high - low).total_seconds() * self.chance.random()
        self.now = next_opening(self.calendar, self.now + low + timedelta(seconds=int(seconds)))

    def wait_minutes(self, low: int, high: int) -> None:
        """Some minutes go by, whatever the hour."""
        self.now += timedelta(seconds=self.chance.randint(low * 60, high * 60))

    def wait_until(self, at: datetime, *, before: int = 0, after: int = 0) -> None:
        """It becomes `at`, give or take some minutes; time never goes back."""
        shift = self.chance.randint(-before * 60, after * 60)
        self.now = max(self.now + timedelta(seconds=1), at + timedelta(seconds=shift))

    def slot(self, low: int, high: int) -> datetime:
        """An appointment's start, that many open days from now, at a half hour of the clinic's day."""
        day = local_date(self.calendar, add_business_days(self.calendar, self.now, self.chance.randint(low, high)))
        half_hours = _FIRST_SLOT + self.chance.randrange(_SLOTS_A_DAY)
        return instant_of(self.calendar, day, time(half_hours // 2, half_hours % 2 * 30))

    # who and where

    def somebody(self) -> Person:
        """Another person of this story."""
        return person(self.spare())

    def spare(self) -> int:
        """A number nobody else has: of a person, of an order."""
        assert self.people < PEOPLE_APART, "a story has few people"
        number = self.number * PEOPLE_APART + self.people
        self.people += 1
        return number

    def office(self, *needs: str) -> Office:
        """One of the offices that can do it; the plot was chosen because there is one."""
        return self.chance.choice(self.site.able(*needs))

    def case(self, office: Office, *, who: Person | None = None, name: str = "a", held: bool = False) -> Case:
        """A referral to that office; held: its order waits for an authorization."""
        number = self.spare()
        free = bool(office.free)
        return Case(
            name=name,
            person=who or person(number),
            office=office,
            placer=(_NUMBERS[number % len(_NUMBERS)].format(number), self.site.ehr.numbers),
            kind=self.chance.choice((office.kinds[0], *office.kinds)),
            code=(self.chance.choice(office.codes), "Referral"),
            plan=office.held if held else office.free or office.held,
            authorization="" if held or free else f"AUTH{number}",
            ordered_at=self.now,
        )

    # what is said

    def line(
        self,
        sender: Sender,
        kind: str,
        write: Callable[[Envelope], bytes],
        expect: Expect,
        *,
        control: str = "",
        plain: bool = False,
        who: Person | None = None,
    ) -> Line:
        """One message, in an envelope and a dress that are drawn now; its bytes are written when it is its turn.

        kind: MSH-9.1^MSH-9.2. control: an MSH-10 that was used before. plain: in the standard's own dress.
        who: whose letters decide which character sets can be.
        """
        self.said += 1
        charset, codec = self._charset(who)
        envelope = Envelope(
            sender=sender,
            at=self.now,
            control=control or f"{self.story}{self.said:02}",
            version=self.chance.choice(_VERSIONS),
            bare=sender.feed.offset == "zone" and self.chance.random() < _BARE_SHARE,
            charset=charset,
            codec=codec,
        )
        seed = self.chance.getrandbits(64)
        draw = type(self.chance)

        def written() -> bytes:
            raw = write(envelope)
            return raw if plain else dressed(raw, draw(seed))

        return Line(at=self.now, feed=sender.name, type=kind, story=self.story, write=written, expect=expect)

    def again(self, line: Line) -> Line:
        """The same bytes once more: the first answer, and nothing else."""
        return Line(
            at=self.now, feed=line.feed, type=line.type, story=self.story, write=line.write,
            expect=Expect(word="duplicate", level=None),
        )  # fmt: skip

    def _charset(self, who: Person | None) -> tuple[str, str]:
        """MSH-18, and what the bytes are; not always the same."""
        if who is None or self.chance.random() >= _ODD_CHARSET_SHARE:
            return "UNICODE UTF-8", "utf-8"
        charset, codec = self.chance.choice(_CHARSETS)
        return (charset, codec) if _fits(who, codec) else ("UNICODE UTF-8", "utf-8")

    # how it ends

    def so_far(self, *stands: Stand) -> Halfway:
        """Things stand like this now, and the story goes on."""
        return Halfway(at=self.now, story=self.story, plot=self.plot, referrals=stands)

    def end(self, *stands: Stand) -> Ended:
        """Nothing more is said."""
        return Ended(at=self.now, story=self.story, plot=self.plot, referrals=stands)


def stand(case: Case, status: str = "", **tracks: str) -> Stand:
    """Where one referral of a story stands; status "" leaves it open."""
    return Stand(name=case.name, placer=case.placer[0], status=status, tracks=tracks)


def closed(case: Case, *, appointment: str, note: str = "final", authorization: str = "") -> Stand:
    """A loop whose note the ordering side took."""
    return stand(
        case, "closed", authorization=authorization or case.authorized, dispatch="accepted", appointment=appointment,
        note=note, closure="closed",
    )  # fmt: skip


def ended(case: Case, *, dispatch: str, appointment: str = "none", authorization: str = "") -> Stand:
    """A loop that ended without a note: cancelled, declined, a duplicate."""
    return stand(
        case, "ended", authorization=authorization or case.authorized, dispatch=dispatch, appointment=appointment,
        note="none", closure="ended",
    )  # fmt: skip


def still_open(case: Case, status: str, *, dispatch: str, appointment: str = "none", note: str = "none") -> Stand:
    """A loop somebody still works on."""
    return stand(
        case, status, authorization=case.authorized, dispatch=dispatch, appointment=appointment, note=note,
        closure="open",
    )  # fmt: skip


def _fits(who: Person, codec: str) -> bool:
    """Whether everybody's letters are in the character set."""
    try:
        f"{who.family}{who.given}".encode(codec)
    except UnicodeEncodeError:
        return False
    return True
