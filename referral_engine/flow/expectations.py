"""What a step of a timetable expected against what is there: each thing that is not so, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from referral_engine.channels.timetable import Expectation
from referral_engine.flow.reasons import TRACKS, Reasons
from referral_engine.journal.reading import ROWS_MAX
from referral_engine.journal.rows import EffectRow, TaskRow
from referral_engine.loop.effects import Recipient, Send, TaskKind
from referral_engine.loop.referral import Referral

NONE = "(none)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """One thing that is not as expected."""

    what: str  # "status", "sends", ...
    expected: str
    got: str
    why: str  # the rule, the clock or the event that decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One thing that left."""

    word: str  # "ORM^O01", "fax", "file"; "" when it is not for the specialist
    said: str  # "specialist order", "patient prompt", "ehr status accepted"
    row: EffectRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a step brought."""

    answer: str  # MSA-1; "" when nothing was received
    left: tuple[Left, ...]  # since the step before


def misses(expect: Expectation, moment: Moment, reasons: Reasons) -> Iterator[Miss]:
    """Each thing that is not as expected, in the order of the words of `expect`."""
    if expect.ack is not None and expect.ack != moment.answer:
        why = reasons.of_answer()
        yield Miss(what="ack", expected=expect.ack or NONE, got=moment.answer or NONE, why=why)
    yield from _misses_of_state(expect, reasons)
    yield from _misses_of_sends(expect, moment, reasons)
    if expect.tasks is not None:
        yield from _misses_of_tasks(expect.tasks, reasons)
    if expect.clocks is not None:
        yield from _misses_of_clocks(expect.clocks, reasons)
    yield from _misses_of_counts(expect, reasons)


def _misses_of_state(expect: Expectation, reasons: Reasons) -> Iterator[Miss]:
    referral = reasons.reading.referral(reasons.identity) if reasons.identity else None
    if expect.status is not None and not _is(referral, expect.status):
        yield Miss(what="status", expected=expect.status, got=_stands(referral), why=reasons.of_state())
    for track, state in expect.tracks.items():
        got = str(getattr(referral, track)) if referral else "(no referral)"
        if got != state:
            yield Miss(what=track, expected=state, got=got, why=reasons.of_state())
    if expect.matches is not None:
        row = reasons.row
        taken = row is not None and row.referral != "" and _channel_of(row.referral, reasons) == reasons.channel.name
        if taken is not expect.matches:
            got = str(taken).lower()
            yield Miss(what="matches", expected=str(expect.matches).lower(), got=got, why=reasons.of_routing())


def _is(referral: Referral | None, word: str) -> bool:
    """Whether a word is the status, or the state of any track."""
    return referral is not None and word in (str(referral.status), *(str(getattr(referral, one)) for one in TRACKS))


def _stands(referral: Referral | None) -> str:
    """The status and the packet: what a status may be compared with first."""
    return f"{referral.status} (dispatch {referral.dispatch})" if referral else "(no referral)"


def _channel_of(identity: str, reasons: Reasons) -> str:
    referral = reasons.reading.referral(identity)
    return referral.channel if referral else ""


def _misses_of_sends(expect: Expectation, moment: Moment, reasons: Reasons) -> Iterator[Miss]:
    ours = [one for one in moment.left if one.word]
    got = tuple(one.word for one in ours)
    if expect.sends is not None and expect.sends != got:
        if len(got) < len(expect.sends):
            why = reasons.of_missing_sending(lambda send: send.to is Recipient.SPECIALIST)
        else:
            odd = next(one for at, one in enumerate(ours) if expect.sends[at : at + 1] != (one.word,))
            why = reasons.of_sending(odd.row)
        yield Miss(what="sends", expected=_list(expect.sends), got=_list(got), why=why)
    for word in expect.includes:
        if not any(word == one.word or f"{one.said} ".startswith(f"{word} ") for one in moment.left):
            yield Miss(
                what="includes",
                expected=word,
                got=_list(one.said for one in moment.left),
                why=reasons.of_missing_sending(_wanted(word)),
            )


def _wanted(word: str) -> Callable[[Send], bool]:
    """Whether a sending is what a word of `includes` means."""
    if " " not in word:
        return lambda send: send.to is Recipient.SPECIALIST
    recipient, purpose = word.split(" ", 2)[:2]
    return lambda send: (str(send.to), str(send.purpose)) == (recipient, purpose)


def _misses_of_tasks(expected: tuple[str, ...], reasons: Reasons) -> Iterator[Miss]:
    """Every open task is named, by kind or queue, and every name is that of an open task."""
    tasks = [one for one in reasons.reading.tasks() if one.referral in (reasons.identity, "")]
    missing = [word for word in expected if not any(word in (one.kind, one.queue) for one in tasks)]
    odd = [one for one in tasks if not {one.kind, one.queue} & set(expected)]
    if not missing and not odd:
        return
    if missing:
        word = missing[0]
        why = reasons.of_missing_task(lambda kind, queue: word in (kind, queue))
    else:
        why = reasons.of_task(odd[0])
    yield Miss(what="tasks", expected=_list(expected), got=_list(map(_task, tasks)), why=why)


def _task(task: TaskRow) -> str:
    return f"{task.kind} ({task.queue})"


def _misses_of_clocks(expected: tuple[str, ...], reasons: Reasons) -> Iterator[Miss]:
    story = reasons.reading.story(reasons.identity) if reasons.identity else None
    running = sorted({one.kind for one in story.deadlines if one.state == "pending"}) if story else []
    different = sorted(set(expected) ^ set(running))
    if different:
        why = reasons.of_clock(different[0])
        yield Miss(what="clocks", expected=_list(sorted(expected)), got=_list(running), why=why)


def _misses_of_counts(expect: Expectation, reasons: Reasons) -> Iterator[Miss]:
    if expect.review is not None:
        review = sum(one.kind == TaskKind.MATCH_REVIEW.value for one in reasons.reading.tasks())
        if review != expect.review:
            yield Miss(what="review", expected=str(expect.review), got=str(review), why=reasons.of_answer())
    if expect.referrals is not None:
        referrals = len(reasons.reading.referrals(limit=ROWS_MAX))
        if referrals != expect.referrals:
            yield Miss(what="referrals", expected=str(expect.referrals), got=str(referrals), why=reasons.of_routing())


def _list(words: Iterable[str]) -> str:
    return ", ".join(words) or NONE
