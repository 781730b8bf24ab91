"""The lanes of a book, by name: each is one queue of the outbox, with one courier and one way out."""

from __future__ import annotations

from typing import Final

from referral_engine.channels.book import Book
from referral_engine.channels.channel import FALLBACK

EHR: Final = "ehr"
PATIENT: Final = "patient"
__all__ = ["DESKS", "EHR", "FALLBACK", "PATIENT", "lanes_of"]
DESKS: Final = ("team", "payer", "billing")  # each a directory below the engine's spool


def lanes_of(book: Book) -> frozenset[str]:
    """Every lane that has a courier while this book is in force; a disabled channel keeps its own."""
    ways = [lane for channel in book.channels.values() for lane, _ in channel.lanes]
    return frozenset([*ways, EHR, PATIENT, *DESKS])
