"""Many values in one question: a statement for each of a few sizes, so that none is compiled twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

SIZES: Final = (1, 4, 16, 64)  # values in one question

T = TypeVar("T")


def for_each_size(statement: str) -> dict[int, str]:
    """The statement for every size; {places} in it becomes so many question marks."""
    return {size: statement.format(places=", ".join("?" * size)) for size in SIZES}


def in_parts(values: Sequence[T]) -> Iterator[tuple[list[T], int, list[T]]]:
    """Parts of `values`, the size of the smallest question each fits into, and the part filled up to that size."""
    for start in range(0, len(values), SIZES[-1]):
        part = list(values[start : start + SIZES[-1]])
        size = next(one for one in SIZES if one >= len(part))
        yield part, size, part + part[-1:] * (size - len(part))
