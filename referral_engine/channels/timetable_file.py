"""[[test]] tables to timetables; the shape is checked here, the tests are run elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from referral_engine.channels import words
from referral_engine.channels.conditions import read_feed_path
from referral_engine.channels.engine import DEFAULT_QUEUE
from referral_engine.channels.shape import Page, Table, Unfit, nearest, of_kind
from referral_engine.channels.timetable import DONE, REPLIES, SOMEBODY, ChannelTest, Expectation, Staff, Step
from referral_engine.hl7.path import read_path
from referral_engine.loop import states
from referral_engine.loop.effects import Purpose, Recipient, TaskKind
from referral_engine.loop.policy import Kind

TEST_SUFFIX: Final = ".test.toml"  # of a file beside a channel's that holds only [[test]] tables
STEPS_MAX: Final = 200  # of one test; a timetable a person can still read
COUNT_MAX: Final = 10_000
ACKS: Final = {code: code for code in ("AA", "AE", "AR", "CA", "CE", "CR", "")}
TRACKS: Final = {
    "authorization": states.Authorization,
    "dispatch": states.Dispatch,
    "outreach": states.Outreach,
    "appointment": states.Appointment,
    "note": states.Note,
    "closure": states.Closure,
}
STATUSES: Final = {str(member): str(member) for track in (states.Status, *TRACKS.values()) for member in track}
_REPLIES: Final = {word: word for word in REPLIES}
_TASKS: Final = frozenset(kind.value for kind in TaskKind)
_CLOCKS: Final = {kind.value: kind.value for kind in Kind}
_RECIPIENTS: Final = tuple(str(one) for one in Recipient)
_PURPOSES: Final = tuple(str(one) for one in Purpose)
_EXPECTED: Final = (
    "ack", "status", "tracks", "sends", "includes", "tasks", "clocks", "matches", "review", "referrals",
)  # fmt: skip


def read_tests(
    tables: Sequence[Table], samples: Sequence[str] | None, queues: Iterable[str]
) -> tuple[ChannelTest, ...]:
    """Every [[test]].

    samples: the names a step may receive, None when they are not known here. queues: those a task may be in.
    """
    asked = frozenset({*_TASKS, *queues, DEFAULT_QUEUE})
    tests: list[ChannelTest] = []
    for table in tables:
        table.page.noting = False  # a test decides nothing that is in force
        name = table.need("name", words.some_text, "")
        feeds = table.several("feeds", words.name, ())
        steps = table.tables("steps")
        if "steps" not in table.tree:
            table.missing.append("steps")
        if any(one.name == name for one in tests) and name:
            table.complain("name", "CH312", f'two tests are called "{name}"')
        if len(steps) > STEPS_MAX:
            table.complain("steps", "CH206", f"a test may have at most {STEPS_MAX} steps, this one has {len(steps)}")
        read = tuple(_step(step, samples, asked) for step in steps)
        _complain_of_order(steps, read)
        table.close()
        table.page.noting = True
        file, line = table.page.source.file, table.page.line_of(table.place)
        tests.append(ChannelTest(name=name, steps=read, feeds=feeds, file=file, line=line))
    return tuple(tests)


def read_test_file(page: Page, samples: Sequence[str] | None, queues: Iterable[str]) -> tuple[ChannelTest, ...]:
    """Every test of a <channel>.test.toml, which holds nothing else."""
    tests = read_tests(page.top.tables("test"), samples, queues)
    if "test" not in page.top.tree:
        page.top.missing.append("test")
    page.top.close()
    return tests


def _step(table: Table, samples: Sequence[str] | None, asked: frozenset[str]) -> Step:
    """One line of a timetable."""
    overrides = table.table("with")
    expect = table.table("expect")
    staff = table.table("staff")
    step = Step(
        at=table.take("at", _wall_time, None),
        receive=table.take("receive", words.some_text, ""),
        overrides={} if overrides is None else _overrides(overrides),
        reply=table.take("reply", words.word(_REPLIES), ""),
        staff=None if staff is None else _staff(staff, asked),
        patient=table.take("patient", words.some_text, ""),
        of=table.take("of", words.some_text, ""),
        expect=Expectation() if expect is None else _expectation(expect, asked),
        line=table.page.line_of(table.place),
    )
    if samples is not None and step.receive and step.receive not in samples:
        near = nearest(step.receive, samples)
        hint = f'did you mean "{near}"?' if near else "put it into sample_messages/"
        table.complain("receive", "CH315", f'there is no sample "{step.receive}"', hint)
    happens = [key for key in ("receive", "reply", "staff", "patient") if key in table.tree]
    if len(happens) > 1:
        second = "a step either receives a message or plays a reply"
        if happens != ["receive", "reply"]:
            second = f'a step does one thing: "{happens[0]}" or "{happens[1]}"'
        table.complain(happens[1], "CH313", second, "make two steps of it")
    if step.overrides and not step.receive:
        table.complain("with", "CH313", '"with" needs a message to change', 'add receive = "..."')
    table.close()
    return step


def _wall_time(value: object) -> datetime | None:
    """A date and time in the clinic's own zone."""
    at = of_kind(value, datetime)
    if at.tzinfo is not None:
        raise Unfit("CH215", "is clinic time and has no zone", "write 2025-03-03 09:00:00", named=True)
    return at


def _overrides(table: Table) -> Mapping[str, str]:
    """Path to text, over the sample's own."""
    overrides = {}
    for key in table.tree:
        try:
            _writable(key)
        except Unfit as unfit:
            table.known.append(key)
            table.complain(key, unfit.code, unfit.sentence, unfit.hint)
            continue
        overrides[key] = table.take(key, words.text, "")
    return overrides


def _writable(key: str) -> None:
    """Refuse what names no one place of a message that may be overwritten; raises Unfit."""
    path = read_path(read_feed_path(key))
    assert path is not None, "read_feed_path refuses what is no path"
    if path.where is not None:
        raise Unfit("CH202", f'"{key}" may mean several places', "the first segment of a name is changed: OBX-5.1")
    if path.segment == "MSH" and path.field in (1, 2):
        raise Unfit("CH202", f'"{key}" cannot be changed: all else is read by it', "change a field behind it")


def _staff(table: Table, asked: frozenset[str]) -> Staff:
    """What a person does."""
    staff = Staff(
        task=table.need("task", _asked(asked), ""),
        by=table.take("by", words.some_text, SOMEBODY),
        note=table.take("note", words.some_text, DONE),
        booked=table.take("booked", _wall_time, None),
        attended=table.take("attended", words.flag, None),
        authorized=table.take("authorized", words.some_text, ""),
        authorization_expires_on=table.take("authorization_expires_on", words.day, None),
        authorization_begins_on=table.take("authorization_begins_on", words.day, None),
        authorization_visits=table.take("authorization_visits", words.whole(1, COUNT_MAX), 0),
        denied=table.take("denied", words.flag, default=False),
        release=table.take("release", words.flag, default=False),
        waive=table.take("waive", words.flag, default=False),
        patient_reached=table.take("patient_reached", words.flag, default=False),
        cancel_confirmed=table.take("cancel_confirmed", words.flag, default=False),
        end=table.take("end", words.some_text, ""),
    )
    table.close()
    return staff


def _asked(asked: frozenset[str]) -> Callable[[object], str]:
    """A reader of what people are asked: a kind of task, or the queue it is in."""

    def read(value: object) -> str:
        taken = words.some_text(value)
        if taken in asked:
            return taken
        near = nearest(taken, sorted(asked))
        hint = f'did you mean "{near}"?' if near else f"known are {', '.join(sorted(asked))}"
        raise Unfit("CH406", f'there is no queue and no kind of task "{taken}"', hint)

    return read


def _expectation(table: Table, asked: frozenset[str]) -> Expectation:
    """What to compare."""
    tree = table.tree
    tracks = table.table("tracks")
    expect = Expectation(
        ack=table.take("ack", words.word(ACKS), "") if "ack" in tree else None,
        status=table.take("status", words.word(STATUSES), "") if "status" in tree else None,
        tracks={} if tracks is None else _tracks(tracks),
        sends=table.several("sends", words.some_text, ()) if "sends" in tree else None,
        includes=table.several("includes", _sending, ()),
        tasks=table.several("tasks", _asked(asked), ()) if "tasks" in tree else None,
        clocks=table.several("clocks", words.word(_CLOCKS), ()) if "clocks" in tree else None,
        matches=table.take("matches", words.flag, default=False) if "matches" in tree else None,
        review=table.take("review", words.whole(0, COUNT_MAX), 0) if "review" in tree else None,
        referrals=table.take("referrals", words.whole(0, COUNT_MAX), 0) if "referrals" in tree else None,
    )
    table.known.extend(_EXPECTED)
    table.close()
    return expect


def _tracks(table: Table) -> Mapping[str, str]:
    """Each track's name to one of its states."""
    found = {
        track: table.take(track, words.word({str(one): str(one) for one in members}), "")
        for track, members in TRACKS.items()
        if track in table.tree
    }
    table.known.extend(TRACKS)
    table.close()
    return found


def _sending(value: object) -> str:
    """What leaves: a recipient and a purpose, or the specialist's own word such as ORM^O01 or fax; raises Unfit."""
    taken = words.some_text(value)
    recipient, _, rest = taken.partition(" ")
    if not rest:
        return taken
    purpose = rest.partition(" ")[0]
    for word, known in ((recipient, _RECIPIENTS), (purpose, _PURPOSES)):
        if word not in known:
            near = nearest(word, known)
            hint = f'did you mean "{near}"?' if near else f"known are {', '.join(known)}"
            raise Unfit("CH104", f'"{taken}": nothing is sent as "{word}"', hint)
    return taken


def _complain_of_order(tables: Sequence[Table], steps: Sequence[Step]) -> None:
    """Time only moves forward in a timetable."""
    latest: datetime | None = None
    for table, step in zip(tables, steps, strict=True):
        if step.at is not None and latest is not None and step.at < latest:
            table.complain("at", "CH311", "this step is earlier than the one before it")
        latest = step.at or latest
