"""How to make values in, the values out when somebody asks: what a file decided is told by few of those who read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """Values in the order they were added, made once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._makers: list[Callable[[], Iterable[T]]] = []
        self._made: tuple[T, ...] = ()

    def add(self, make: Callable[[], Iterable[T]]) -> None:
        """More values, which `make` gives; it is called once, or never."""
        self._makers.append(make)

    def append(self, value: T) -> None:
        """One more value."""
        self._makers.append(partial(iter, (value,)))

    def extend(self, values: Iterable[T]) -> None:
        """More values; an iterator is not asked before somebody asks for what it gives."""
        self._makers.append(partial(iter, values))

    def made(self) -> tuple[T, ...]:
        """All of them."""
        if self._makers:
            self._made += tuple(chain.from_iterable(make() for make in self._makers))
            self._makers = []
        return self._made


class LaterByName(Mapping[str, tuple[T, ...]]):
    """Several of them by name, each made when it is looked at."""

    def __init__(self, parts: Mapping[str, Later[T]]) -> None:
        """Look at none of them."""
        self._parts = parts

    def __getitem__(self, name: str) -> tuple[T, ...]:
        """The values of one name.  Raises KeyError."""
        return self._parts[name].made()

    def __iter__(self) -> Iterator[str]:
        """Every name."""
        return iter(self._parts)

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._parts)
