"""Every problem of all files in, those out that are a mistake of their own: what only follows from one is left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from referral_engine.base.errors import Problem
from referral_engine.channels.naming import file_stem

# What is said of a name that no file defines, or of a file that nobody means.
_MISSED: Final = frozenset({"CH408", "CH409", "CH413", "CH414", "CHW04", "CHW06", "CHW08", "CHW16", "CHW19"})
_UNMEANT: Final = frozenset({"CHW06", "CHW08", "CHW16", "CHW19"})  # warnings of what no other file means
_ENGINES: Final = frozenset({"CH402", "CH403", "CH406"})  # of names that only conf/engine.toml defines
_DEFINED_IN: Final = {"calendar": "CH402", "gateway": "CH403", "queues": "CH406"}  # by its table
_SHAPE: Final = frozenset({"CH101", "CH102", "CH103"})  # with one of these a file does not say all it means to
_GUESS: Final = re.compile(r'did you mean (?:\[(\w+)\]|"([^"]+)")\?')
_ONE_NAME: Final = frozenset({"CH401", "CH405"})  # what a copy of a file shares with the file


def without_consequences(problems: Sequence[Problem]) -> list[Problem]:
    """What is left when nothing is told twice: by the file that is wrong, and by those that name what it defines.

    A misspelt key is missing as well, and a copied file has the name and the orders of the first.
    """
    hidden = _hidden_everywhere(problems)
    guessed = [(one.file, word) for one in problems if one.code == "CH101" for word in _guesses(one)]
    copied = {_quoted(one.sentence) for one in problems if one.code == "CH301"}
    kept = []
    for one in problems:
        is_copy = one.code in _ONE_NAME and any(f'"{name}"' in one.sentence for name in copied)
        if one.code not in hidden and not is_copy and not _is_missed(one, guessed):
            kept.append(one)
    return kept


def _hidden_everywhere(problems: Sequence[Problem]) -> set[str]:
    """Codes that say nothing as long as some file cannot be read, or does not say what it defines."""
    unreadable = {problem.file for problem in problems if problem.code.startswith("CH0")}
    hidden: set[str] = set(_MISSED if unreadable else ())
    if any(file_stem(file) == "engine" for file in unreadable):
        hidden |= _ENGINES
    shapeless = [problem for problem in problems if problem.code in _SHAPE]
    if any(file_stem(problem.file) != "engine" for problem in shapeless):
        hidden |= _UNMEANT
    if any("feeds" in problem.file.split("/") for problem in shapeless):
        hidden.add("CHW04")  # of [specialties], which only feeds have
    guessed = {word for one in shapeless if file_stem(one.file) == "engine" for word in _guesses(one)}
    return hidden | {code for table, code in _DEFINED_IN.items() if table in guessed}


def _is_missed(problem: Problem, guessed: Iterable[tuple[str, str]]) -> bool:
    """Whether a problem is about a word that the same file has, misspelt."""
    if problem.code != "CH102" and not problem.code.startswith("CH3"):
        return False
    told = f"{problem.sentence} {problem.help}"
    return any(
        file == problem.file and any(form in told for form in (f'"{word}"', f"[{word}]", f"add {word} ="))
        for file, word in guessed
    )


def _guesses(problem: Problem) -> list[str]:
    """The word that was probably meant, if one is near."""
    found = _GUESS.fullmatch(problem.help)
    return [] if found is None else [found[1] or found[2]]


def _quoted(sentence: str) -> str:
    """The first text in quotation marks."""
    return sentence.split('"')[1]
