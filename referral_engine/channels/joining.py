"""A new channel beside those there are: what `check` would say of one answer, of the whole file, of two that clash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from referral_engine.base.errors import Problem
from referral_engine.channels.book import Book, check_files
from referral_engine.channels.draft import MESSAGE_TYPES, write_draft
from referral_engine.channels.matcher import REFERRED_TO, Condition, Matcher, OneOf, StartsWith
from referral_engine.channels.overlap import UNSURE, overlapping
from referral_engine.channels.questions import Answers, Question, list_of, name_from, text_of
from referral_engine.channels.source import Source, read_source

Files = Mapping[str, str]  # name as the analyst names it, to text


def complaints(question: Question, answers: Answers, around: Files, today: date | None = None) -> tuple[Problem, ...]:
    """What `check` says about the answer to one question, warnings too; the rest of the file may still be missing.

    around: what the file is looked at together with; without the other channels it is quick.
    """
    file = f"channels/{name_from(text_of(answers, 'channel.name')) or 'new'}.toml"
    text = write_draft(answers)
    source = read_source(file, text)
    if not isinstance(source, Source):
        return (source,)
    place = question.place
    spots = {(span.line, span.column) for at, span in source.spans.items() if at[: len(place)] == place}
    said = check_files({**around, file: text}, today=today)
    return tuple(
        one for one in said if one.file == file and (one.line, one.column) in spots and one.code not in question.later
    )


def new_problems(files: Files, added: Files, today: date | None = None) -> tuple[Problem, ...]:
    """Everything that is wrong once `added` is there and was not before, and every warning about `added`."""
    before = {_told(one) for one in check_files(files, today=today)}
    after = check_files({**files, **added}, today=today)
    return tuple(one for one in after if one.file in added or (not one.warning and _told(one) not in before))


def table_of(problem: Problem, text: str) -> str:
    """The table of a draft that a problem is about; "match" for one that another channel's file tells."""
    source = read_source(problem.file, text)
    if not isinstance(source, Source):
        return "channel"
    found = (at[0] for at, span in source.spans.items() if span.line == problem.line)
    return str(next(found, "match"))


def order_matcher(answers: Answers) -> Matcher:
    """[match] of a draft."""
    codes = list_of(answers, "match.codes")
    asked = [Condition(path="MSH-9", test=OneOf(MESSAGE_TYPES))]
    asked += [Condition(path="OBR-4.1", test=StartsWith(codes))] if codes else []
    return Matcher(conditions=(*asked, Condition(path=REFERRED_TO, test=OneOf((text_of(answers, "channel.npi"),)))))


def clashes(book: Book, drafts: Sequence[Answers]) -> Iterator[tuple[int, str]]:
    """Each draft (by index) that could take an order of a live channel, or of a draft before it; and whose.

    A draft that clashes is out: what clashes only with it does not.
    """
    there = [channel for name, channel in sorted(book.channels.items()) if channel.mode == "live"]
    names = [*(channel.name for channel in there), *(text_of(one, "channel.name") for one in drafts)]
    matchers = [*(channel.match for channel in there), *map(order_matcher, drafts)]
    out: set[int] = set()
    pairs = sorted((second, first) for first, second, both in overlapping(matchers) if UNSURE not in both.values())
    for second, first in pairs:
        if second >= len(there) and second not in out and first not in out:
            out.add(second)
            yield second - len(there), names[first]


def _told(problem: Problem) -> tuple[str, str, str]:
    return problem.file, problem.code, problem.sentence
