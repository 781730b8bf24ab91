"""A document's console blocks as commands and what they print, so that a tour can be walked by a test.

In a block, "$ " begins a command, "> " goes on with it, everything else is what it prints.  A line "..." stands for
any number of lines, "..." inside a line for any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FENCE = re.compile(r"(?ms)^```console\n(.*?)^```")
ANY = "..."


@dataclass(frozen=True)
class Said:
    """One command of a document and what the document says it prints."""

    command: str
    lines: tuple[str, ...]
    line: int  # of the document, from 1


def commands_in(text: str) -> Iterator[Said]:
    """Every command of the document, in its order."""
    for fence in FENCE.finditer(text):
        number = text[: fence.start()].count("\n") + 1
        command: list[str] = []
        printed: list[str] = []
        begun = 0
        for line in fence.group(1).splitlines():
            number += 1
            if line.startswith("$ "):
                if command:
                    yield Said(command="\n".join(command), lines=tuple(printed), line=begun)
                command, printed, begun = [line[2:]], [], number
            elif line.startswith("> ") and not printed:
                command.append(line[2:])
            else:
                printed.append(line)
        if command:
            yield Said(command="\n".join(command), lines=tuple(printed), line=begun)


def fits(expected: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether what was printed is what the document says."""
    if not expected:
        return not printed
    first, *rest = expected
    if first == ANY:
        return any(fits(rest, printed[skipped:]) for skipped in range(len(printed) + 1))
    if not printed:
        return False
    pattern = ".*".join(re.escape(part) for part in first.rstrip().split(ANY))
    return re.fullmatch(pattern, printed[0].rstrip()) is not None and fits(rest, printed[1:])
