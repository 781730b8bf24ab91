"""Problems to the text a person reads: the place, the sentence, the line itself, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from referral_engine.base.errors import Problem

NUMBER_WIDTH = 6  # of the line numbers in the margin
SHOWN_LETTERS_MAX = 400  # of a line; a longer one is shown from somewhat before the mistake


def render_problem(problem: Problem) -> str:
    """One problem as `check` prints it, without a line end.

    file:line:column: error[CODE]: sentence, then the line, carets under what is meant, and one help.
    """
    severity = "warning" if problem.warning else "error"
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    lines = [f"{place}: {severity}[{problem.code}]: {problem.sentence}"]
    margin = " " * NUMBER_WIDTH
    if problem.line and problem.source:
        first = max(problem.column - 1 - SHOWN_LETTERS_MAX // 2, 0) if len(problem.source) > SHOWN_LETTERS_MAX else 0
        shown = problem.source[first : first + SHOWN_LETTERS_MAX]
        lead = "".join("\t" if letter == "\t" else " " for letter in shown[: problem.column - 1 - first])
        carets = "^" * min(problem.width, SHOWN_LETTERS_MAX)
        lines.append(f"{problem.line:>{NUMBER_WIDTH}} | {_seen(shown.rstrip())}")
        lines.append(f"{margin} | {lead}{carets}")
    if problem.help:
        lines.append(f"{margin} = help: {problem.help}")
    return "\n".join(lines)


def _seen(text: str) -> str:
    """A line without what would move a terminal's cursor, or turn its letters around."""
    return "".join(letter if letter == "\t" or letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def annotation(problem: Problem) -> str:
    """One problem as a workflow command that a build server shows at the line itself.

    ::error file=channels/x.toml,line=3,col=1,title=CH201::sentence
    """
    told = f"{problem.sentence}; {problem.help}" if problem.help else problem.sentence
    values = [("file", problem.file), ("title", problem.code)]
    if problem.line:
        values[1:1] = [("line", str(problem.line)), ("col", str(problem.column))]
    where = ",".join(f"{key}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}" for key, value in values)
    return f"::{'warning' if problem.warning else 'error'} {where}::{_escaped(told)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def render_report(problems: Sequence[Problem], files: int) -> str:
    """Every problem with an empty line between, and the count at the end."""
    return "\n\n".join([*map(render_problem, problems), summary(problems, files)])


def summary(problems: Iterable[Problem], files: int) -> str:
    """The last line: 1 file checked, 6 errors."""
    told = list(problems)
    warnings = sum(problem.warning for problem in told)
    errors = len(told) - warnings
    parts = [f"{files} {'file' if files == 1 else 'files'} checked"]
    if errors:
        parts.append(f"{errors} {'error' if errors == 1 else 'errors'}")
    if warnings:
        parts.append(f"{warnings} {'warning' if warnings == 1 else 'warnings'}")
    return ", ".join(parts if told else [*parts, "no problems"])
