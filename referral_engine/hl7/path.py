"""The text "PID-3[2].4.1" in, the place in a message it names out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_PATH: Final = re.compile(
    r"([A-Z][A-Z0-9]{2})-([1-9][0-9]{0,2})(?:\[([1-9][0-9]{0,4})\])?(?:\.([1-9][0-9]{0,2})(?:\.([1-9][0-9]{0,2}))?)?",
)
_CACHED_PATHS_MAX: Final = 4096  # stops made-up paths from filling memory; a site uses a few hundred


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One place in a message; numbers count from 1, 0 says "not named" and is read as 1."""

    segment: str  # "PID"
    field: int
    repetition: int = 0
    component: int = 0
    subcomponent: int = 0

    @staticmethod
    def parse(text: str) -> Path:
        """Read a path written by a programmer, such as "OBR-4.1".

        Raises AssertionError when it is not a path; text written by an analyst goes through `read_path`.
        """
        path = read_path(text)
        if path is None:
            raise AssertionError("not a path into a message, such as PID-3[2].4.1")
        return path

    def __str__(self) -> str:
        """The text it was read from."""
        repetition = f"[{self.repetition}]" if self.repetition else ""
        component = f".{self.component}" if self.component else ""
        subcomponent = f".{self.subcomponent}" if self.subcomponent else ""
        return f"{self.segment}-{self.field}{repetition}{component}{subcomponent}"


@lru_cache(maxsize=_CACHED_PATHS_MAX)
def read_path(text: str) -> Path | None:
    """The path `text` names, None when it names none: segment-field[repetition].component.subcomponent."""
    match = _PATH.fullmatch(text)
    if match is None:
        return None
    segment, field, repetition, component, subcomponent = match.groups(default="0")
    return Path(
        segment=segment,
        field=int(field),
        repetition=int(repetition),
        component=int(component),
        subcomponent=int(subcomponent),
    )
