"""The text "PID-3[2].4.1" or "OBX[3.1=REFTO]-5.1" in, the place in a message it names out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from referral_engine.hl7.segment import Segment

_PATH: Final = re.compile(
    r"([A-Z][A-Z0-9]{2})"
    r"(?:\[([1-9][0-9]{0,2})(?:\.([1-9][0-9]{0,2})(?:\.([1-9][0-9]{0,2}))?)?=([^\[\]=]{1,60})\])?"
    r"-([1-9][0-9]{0,2})(?:\[([1-9][0-9]{0,4})\])?(?:\.([1-9][0-9]{0,2})(?:\.([1-9][0-9]{0,2}))?)?",
)
_CACHED_PATHS_MAX: Final = 4096  # stops made-up paths from filling memory; a site uses a few hundred
REPETITIONS_LOOKED_AT: Final = 20  # of the field a condition names; a provider has few roles


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which of several segments of one name is meant: the first with this value in this place."""

    field: int
    component: int = 0
    subcomponent: int = 0
    value: str  # letter for letter

    def picks(self, segment: Segment) -> bool:
        """Whether any repetition of the field says so.  Raises MessageFault beyond the segment's limits."""
        component, subcomponent = self.component or 1, self.subcomponent or 1
        if segment.text(self.field, component, subcomponent) == self.value:
            return True
        said = segment.field(self.field).count(segment.delimiters.repetition) + 1
        if said == 1:
            return False
        later = range(2, min(said, REPETITIONS_LOOKED_AT) + 1)
        return any(segment.text(self.field, component, subcomponent, nth) == self.value for nth in later)

    def __str__(self) -> str:
        """The text it was read from, with its brackets."""
        return f"[{self.field}{_dotted(self.component, self.subcomponent)}={self.value}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One place in a message; numbers count from 1, 0 says "not named" and is read as 1."""

    segment: str  # "PID"
    field: int
    repetition: int = 0
    component: int = 0
    subcomponent: int = 0
    where: Where | None = None  # which segment of the name; None: the first

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
        where = "" if self.where is None else str(self.where)
        return f"{self.segment}{where}-{self.field}{repetition}{_dotted(self.component, self.subcomponent)}"


@lru_cache(maxsize=_CACHED_PATHS_MAX)
def read_path(text: str) -> Path | None:
    """The path `text` names, None when it names none: segment[where=value]-field[repetition].component.subcomponent."""
    match = _PATH.fullmatch(text)
    if match is None:
        return None
    segment, asked, asked_component, asked_part, value, field, repetition, component, subcomponent = match.groups("0")
    where = None
    if match[2]:
        where = Where(field=int(asked), component=int(asked_component), subcomponent=int(asked_part), value=value)
    return Path(
        segment=segment,
        field=int(field),
        repetition=int(repetition),
        component=int(component),
        subcomponent=int(subcomponent),
        where=where,
    )


def _dotted(component: int, subcomponent: int) -> str:
    """What stands behind the field: .4.1, .4 or nothing."""
    return (f".{component}" if component else "") + (f".{subcomponent}" if subcomponent else "")
