"""The lanes of a book, by name: each is one queue of the outbox, with one courier and one way out."""

from __future__ import annotations

from typing import Final

from referral_engine.channels.book import Book

EHR: Final = "ehr"
PATIENT: Final = "patient"
DESKS: Final = ("team", "payer", "billing")  # each a directory below the engine's spool
FALLBACK: Final = "/fallback"  # behind a channel's name


def lanes_of(book: Book) -> frozenset[str]:
    """Every lane that has a courier while this book is in force; a disabled channel keeps its own."""
    fallbacks = [name + FALLBACK for name, channel in book.channels.items() if channel.fallback is not None]
    return frozenset([*book.channels, *fallbacks, EHR, PATIENT, *DESKS])
