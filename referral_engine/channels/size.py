"""A size on a disk, as an operator writes it: "64 MiB" in, bytes out, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from referral_engine.channels.shape import Unfit, of_kind

AMOUNT_MAX: Final = 1_000_000  # of any unit; stops a size that no disk has
_SIZE: Final = re.compile(r"(\d{1,9}) +([KMGT]iB|bytes)")
_UNITS: Final[Mapping[str, int]] = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "bytes": 1}


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """So many bytes."""

    bytes: int

    def __str__(self) -> str:
        """In the largest unit that holds it whole: "64 MiB"."""
        unit = next(unit for unit, size in _UNITS.items() if self.bytes % size == 0 and (self.bytes or size == 1))
        return f"{self.bytes // _UNITS[unit]} {unit}"


def read_size(value: object) -> Size:
    """A size such as "1 GiB"; "0 bytes" is none.  Raises Unfit."""
    taken = of_kind(value, str)
    match = _SIZE.fullmatch(taken)
    if match is None or int(match[1]) > AMOUNT_MAX:
        raise Unfit("CH219", f'"{taken}" is not a size', 'write a number and a unit, as in "64 MiB" or "2 GiB"')
    return Size(int(match[1]) * _UNITS[match[2]])
