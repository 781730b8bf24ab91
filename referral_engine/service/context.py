"""What the questions of the control socket and the web pages may use of the running daemon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from referral_engine.base.clock import Clock
from referral_engine.channels.book import Book
from referral_engine.service.door import Door


@dataclass(slots=True, kw_only=True)
class Context:
    """The daemon as a question sees it."""

    door: Door  # .look(name) reads, .submit(input) changes
    book: Book  # the one in force; a reload puts another in its place
    clock: Clock
    status: Callable[[], dict[str, object]]  # what is known without the journal: listeners, lanes, door


Answers = Callable[[Context, dict[str, object]], "Deferred[object]"]
Questions = Mapping[str, Answers]
