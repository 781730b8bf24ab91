"""The answers to the questions about a new specialist: asked at a terminal one by one, or read from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Final

import click
import tomli

from referral_engine.base.errors import Problem
from referral_engine.channels.book import Book
from referral_engine.channels.questions import QUESTIONS, Answer, Answers, Question
from referral_engine.channels.shape import nearest
from referral_engine.channels.telephone import as_e164
from referral_engine.cli.shared import visible

NOTHING: Final = "-"  # typed for an answer that is empty although there is a usual one
_FLAGS: Final = {"y": True, "yes": True, "n": False, "no": False}
_BYTES_MAX: Final = 1024 * 1024  # of a file of answers

Judge = Callable[[Question, Answers], tuple[Problem, ...]]  # what `check` says of one answer


class NoAnswers(Exception):
    """A file of answers that cannot be used; its text names every reason, one a line."""


def interview(book: Book, judge: Judge, before: Answers | None = None, again: frozenset[str] | None = None) -> Answers:
    """Every question that what was said leaves open, each asked until `check` has nothing against its answer.

    before: answers of an earlier round; they are the usual ones now. again: the tables and keys that are asked again,
    None for all.
    """
    answers: dict[str, Answer] = {}
    for question in QUESTIONS:
        if not question.when(answers):
            continue
        known = before is not None and question.key in before
        usual = before[question.key] if before and known else question.usual(answers, book)
        if known and again is not None and not {question.key, question.key.split(".")[0]} & again:
            answers[question.key] = usual
            continue
        while True:
            answers[question.key] = _typed(question, _prompt(question, usual, book))
            if not _wrong(question, answers, judge):
                break
    return answers


def read_answers(path: Path, book: Book) -> Answers:
    """The answers in a TOML file, tables and keys as QUESTIONS names them; what is missing is as usual.

    Raises NoAnswers.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_BYTES_MAX)
        given = dict(_flat(tomli.loads(raw.decode("utf-8-sig"))))
    except OSError as error:
        raise NoAnswers(f"cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, RecursionError, tomli.TOMLDecodeError) as error:
        raise NoAnswers(f"is not TOML: {error}") from None
    answers: dict[str, Answer] = {}
    wrong: list[str] = []
    unclear: set[str] = set()
    for question in QUESTIONS:
        if not question.when(answers):
            continue
        if question.key in given:
            answers[question.key] = answer = _given(question, given[question.key])
            if question.key.endswith(".kind") and answer not in question.choices(book):
                unclear.add(question.key.split(".")[0])  # what it would be asked is not known either
                listed = ", ".join(f'"{one}"' for one in question.choices(book))
                wrong.append(f'"{question.key}": "{answer}" is not one of {listed}')
            continue
        answers[question.key] = question.usual({**given, **answers}, book)
        if question.needed and answers[question.key] == "":
            wrong.append(f'"{question.key}" is missing: {question.ask}')
    asked = [question.key for question in QUESTIONS]
    for key in given:
        if key not in asked:
            near = nearest(key, asked)
            wrong.append(f'nothing asks for "{key}"' + (f'; did you mean "{near}"?' if near else ""))
        elif key not in answers and key.split(".")[0] not in unclear:
            wrong.append(f'"{key}" is not asked of a channel like this')
    if wrong:
        raise NoAnswers("\n".join(wrong))
    return answers


def _prompt(question: Question, usual: Answer, book: Book) -> str:
    """What was typed, or the usual answer for an empty line."""
    shown = _as_typed(usual)
    choices = question.choices(book)
    listed = f" ({', '.join(choices)})" if choices and not all(one in question.ask for one in choices) else ""
    asked: str = click.prompt(f"{question.ask}{listed}", default=shown, show_default=bool(shown), err=True)
    return asked.strip()


def _wrong(question: Question, answers: Answers, judge: Judge) -> bool:
    """Say what is wrong with the newest answer; a warning is said, and the answer stands."""
    answer = answers[question.key]
    if question.form == "flag" and not isinstance(answer, bool):
        click.secho("  answer yes or no", err=True)
        return True
    said = judge(question, answers)
    for problem in said:
        help_ = f" ({problem.help})" if problem.help else ""
        mark = "warning: " if problem.warning else ""
        click.secho(visible(f"  {mark}{problem.sentence}{help_}"), fg="yellow" if problem.warning else "red", err=True)
    errors = any(not problem.warning for problem in said)
    if question.needed and answer == "" and not errors:
        click.secho("  an answer is needed here", err=True)
    return errors or (question.needed and answer == "")


def _typed(question: Question, text: str) -> Answer:
    """The answer in what was typed; what does not fit stays text, and `check` says so."""
    if text == NOTHING and question.form not in ("flag", "whole"):
        text = ""
    match question.form:
        case "flag":
            return _FLAGS.get(text.lower(), text)
        case "whole":
            return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
        case "list":
            return tuple(part.strip() for part in text.split(",") if part.strip())
        case "phone":
            return as_e164(text) or text
        case _:
            return text


def _given(question: Question, value: Answer) -> Answer:
    """The same for what a file gives."""
    if question.form == "list" and isinstance(value, str):
        return (value,) if value else ()
    if question.form == "day" and isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return as_e164(value) or value if question.form == "phone" and isinstance(value, str) else value


def _as_typed(answer: Answer) -> str:
    """An answer as a person would type it."""
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    return ", ".join(answer) if isinstance(answer, tuple) else str(answer)


def _flat(tree: Mapping[str, object], above: str = "") -> Iterator[tuple[str, Answer]]:
    """Every value by its dotted key.  Raises NoAnswers for a value that answers nothing."""
    for key, value in tree.items():
        whole = f"{above}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{whole}.")
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            yield whole, tuple(value)
        elif isinstance(value, str | int | date):
            yield whole, value
        else:
            raise NoAnswers(f'"{whole}" is neither text, a list of texts, a whole number, a day, true nor false')
