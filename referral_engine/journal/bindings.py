"""Numbers that point at referrals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from referral_engine.base.ident import Phi
from referral_engine.journal.asking import SIZES, in_parts
from referral_engine.journal.codec import number_of, plain
from referral_engine.journal.database import Connection, Row
from referral_engine.journal.instance import Instance
from referral_engine.journal.rows import BindingKind
from referral_engine.loop.referral import Identifier, PatientId

FOUND_MAX: Final = 50  # referrals one number leads to; more is a number that means nothing
LOOKED_AT_MAX: Final = 500  # of its bindings; stops an order number "0" from being read a hundred thousand times over

# One number of one referral; saying it twice is saying it once.
_BIND = """
INSERT INTO bindings (kind, value, authority, referral, since) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
# A number points at a referral no more: it was learned from a match that was undone.
_UNBIND = "DELETE FROM bindings WHERE kind = ? AND value = ? AND authority = ? AND referral = ?"
# Whose number it is: the value exactly, whoever gave it; newest first.  A number that half the journal bears is looked
# at from its newest referral on, and no further than LOOKED_AT_MAX.
_BOUND_TO_ANY = f"""
SELECT referral FROM (
    SELECT referral, since FROM bindings WHERE kind = ?1 AND value = ?2
    ORDER BY kind DESC, value DESC, authority DESC, referral DESC LIMIT {LOOKED_AT_MAX})
ORDER BY since DESC, referral DESC LIMIT {FOUND_MAX}
"""  # noqa: S608  # our own numbers
# The same of one authority, and of those that did not say whose it is.
_BOUND = f"""
SELECT referral FROM (
    SELECT * FROM (
        SELECT referral, since FROM bindings WHERE kind = ?1 AND value = ?2 AND authority = ?3
        ORDER BY kind DESC, value DESC, authority DESC, referral DESC LIMIT {LOOKED_AT_MAX})
    UNION ALL SELECT * FROM (
        SELECT referral, since FROM bindings WHERE kind = ?1 AND value = ?2 AND authority = ''
        ORDER BY kind DESC, value DESC, authority DESC, referral DESC LIMIT {LOOKED_AT_MAX}))
ORDER BY since DESC, referral DESC LIMIT {FOUND_MAX}
"""  # noqa: S608  # our own numbers
# Which of these numbers of one kind point at any referral; one that many bear is met once.
_KNOWN = {
    size: f"""
SELECT column1 FROM (VALUES {", ".join(["(?)"] * size)})
WHERE EXISTS (SELECT 1 FROM bindings WHERE kind = ? AND value = column1)
"""  # noqa: S608  # our own places
    for size in SIZES
}


class Bindings:
    """The numbers of this batch and those stored before it."""

    __slots__ = ("_cursor", "_instance", "_known", "_new", "_seen")

    def __init__(self, connection: Connection, instance: Instance) -> None:
        self._cursor = connection.cursor()
        self._instance = instance
        self._new: list[Row] = []
        self._seen: dict[tuple[str, str], list[tuple[str, str]]] = {}  # kind, value: authority, referral
        self._known: set[tuple[str, str]] = set()  # kind, value: of those looked at, what points anywhere

    def bind(self, kind: BindingKind, identifier: Identifier | PatientId, referral: str) -> None:
        """Let a number point at a referral; an empty one points nowhere."""
        value, authority = number_of(identifier)
        if value:
            self._new.append((kind.value, value, authority, referral, self._instance.sequence))
            self._seen.setdefault((kind.value, value), []).append((authority, referral))

    def unbind(self, kind: BindingKind, identifier: Identifier | PatientId, referral: str) -> None:
        """Let a number point at a referral no more."""
        self.flush()
        self._cursor.execute(_UNBIND, (kind.value, *number_of(identifier), referral))

    def bound(self, kind: BindingKind, value: str | Phi[str], authority: str = "") -> tuple[str, ...]:
        """The referrals a number points at, newest binding first, at most FOUND_MAX."""
        text = plain(value)
        if authority:
            rows = self._cursor.execute(_BOUND, (kind.value, text, authority)).fetchall()
        else:
            rows = self._cursor.execute(_BOUND_TO_ANY, (kind.value, text)).fetchall()
        found = [row[0] for row in rows]
        fresh = self._seen.get((kind.value, text))
        if fresh is not None:
            fits = [referral for whose, referral in reversed(fresh) if not authority or whose in {"", authority}]
            found = fits + found
        return tuple(dict.fromkeys(found))[:FOUND_MAX] if found else ()

    def look_ahead(self, numbers: Iterable[tuple[str, str]]) -> None:
        """Ask once which of these numbers, kind and value, point anywhere; `is_known` then answers without a look."""
        by_kind: dict[str, set[str]] = {}
        for kind, value in numbers:
            by_kind.setdefault(kind, set()).add(value)
        for kind, values in by_kind.items():
            for _, size, places in in_parts(list(values)):
                self._known.update(
                    (kind, row[0]) for row in self._cursor.execute(_KNOWN[size], (*places, kind)).fetchall()
                )

    def is_known(self, number: tuple[str, str]) -> bool:
        """Whether a number that was looked at beforehand points anywhere, or has since this batch began."""
        return number in self._known or number in self._seen

    def flush(self) -> None:
        """Write what was gathered into the open transaction."""
        if self._new:
            self._cursor.executemany(_BIND, self._new)
            self._known.update(self._seen)
            self._new.clear()
            self._seen.clear()

    def forget(self) -> None:
        """Drop what was gathered: the batch was rolled back, or written."""
        self._new.clear()
        self._seen.clear()
        self._known.clear()
