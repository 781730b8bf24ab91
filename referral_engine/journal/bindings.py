"""Numbers that point at referrals, and numbers of evidence that waits for its referral."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from referral_engine.base.ident import Phi
from referral_engine.journal.codec import number_of, plain
from referral_engine.journal.database import Connection, Row
from referral_engine.journal.instance import Instance
from referral_engine.journal.rows import BindingKind
from referral_engine.loop.referral import Identifier, PatientId

PATIENTS_MAX: Final = 3  # record numbers of one message that one look has places for
FOUND_MAX: Final = 50  # referrals or messages one number leads to; more is a number that means nothing

# One number of one referral; saying it twice is saying it once.
_BIND = """
INSERT INTO bindings (kind, value, authority, referral, since) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
# Whose number it is: the value exactly, the authority unless one side does not say it; newest first.
_BOUND = """
SELECT referral FROM bindings
WHERE kind = ? AND value = ? AND (authority = ? OR authority = '' OR ? = '')
ORDER BY since DESC, referral DESC LIMIT ? + 0
"""
# Whether any of a message's numbers leads anywhere: most traffic is about nobody we track, and ends here.
_ANYWHERE = """
SELECT EXISTS (SELECT 1 FROM bindings WHERE kind = 'placer' AND value = ?1 AND ?1 <> '')
    OR EXISTS (SELECT 1 FROM bindings WHERE kind = 'referral' AND value = ?1 AND ?1 <> '')
    OR EXISTS (SELECT 1 FROM bindings WHERE kind = 'filler' AND value = ?2 AND ?2 <> '')
    OR EXISTS (SELECT 1 FROM bindings WHERE kind = 'appointment' AND value = ?3 AND ?3 <> '')
    OR EXISTS (SELECT 1 FROM bindings WHERE kind = 'document' AND value = ?4 AND ?4 <> '')
    OR EXISTS (SELECT 1 FROM bindings WHERE kind = 'patient' AND value = ?5 AND ?5 <> '')
    OR EXISTS (SELECT 1 FROM bindings WHERE kind = 'patient' AND value = ?6 AND ?6 <> '')
    OR EXISTS (SELECT 1 FROM bindings WHERE kind = 'patient' AND value = ?7 AND ?7 <> '')
"""
# A message waits for the referral that this number will belong to.
_PARK = "INSERT INTO parked (kind, value, authority, message) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
# Which messages wait for a number; the oldest first.
_PARKED = """
SELECT DISTINCT message FROM parked
WHERE kind = ? AND value = ? AND (authority = ? OR authority = '' OR ? = '')
ORDER BY message LIMIT ? + 0
"""
# A message waits no longer.
_UNPARK = "DELETE FROM parked WHERE message = ?"


class Bindings:
    """The numbers of this batch and those stored before it."""

    __slots__ = ("_cursor", "_instance", "_new", "_seen")

    def __init__(self, connection: Connection, instance: Instance) -> None:
        self._cursor = connection.cursor()
        self._instance = instance
        self._new: list[Row] = []
        self._seen: dict[tuple[str, str], list[tuple[str, str]]] = {}  # kind, value: authority, referral

    def bind(self, kind: BindingKind, identifier: Identifier | PatientId, referral: str) -> None:
        """Let a number point at a referral; an empty one points nowhere."""
        value, authority = number_of(identifier)
        if value:
            self._new.append((kind.value, value, authority, referral, self._instance.sequence))
            self._seen.setdefault((kind.value, value), []).append((authority, referral))

    def bound(self, kind: BindingKind, value: str | Phi[str], authority: str = "") -> tuple[str, ...]:
        """The referrals a number points at, newest binding first, at most FOUND_MAX."""
        text = plain(value)
        found = [row[0] for row in self._cursor.execute(_BOUND, (kind.value, text, authority, authority, FOUND_MAX))]
        fresh = self._seen.get((kind.value, text))
        if fresh is not None:
            fits = [referral for whose, referral in reversed(fresh) if not authority or whose in {"", authority}]
            found = fits + found
        return tuple(dict.fromkeys(found))[:FOUND_MAX] if found else ()

    def leads_anywhere(self, numbers: Sequence[tuple[BindingKind, str | Phi[str]]]) -> bool:
        """Whether any of these numbers points at any referral, whoever gave it; one look for all of them.

        True without a look when there are more than the question has places for.
        """
        texts = [(kind.value, plain(value)) for kind, value in numbers]
        if any(one in self._seen for one in texts):
            return True
        single = dict(texts)
        patients = [text for kind, text in texts if kind == BindingKind.PATIENT.value]
        placer = single.get("placer", "") or single.get("referral", "")
        kinds = [kind for kind, _ in texts if kind != BindingKind.PATIENT.value]
        if len(patients) > PATIENTS_MAX or len(set(kinds)) != len(kinds):
            return True
        values = (placer, *(single.get(kind, "") for kind in ("filler", "appointment", "document")))
        row = self._cursor.execute(_ANYWHERE, (*values, *patients, *[""] * (PATIENTS_MAX - len(patients)))).fetchone()
        return row is None or bool(row[0])

    def park(self, message: int, keys: Sequence[tuple[BindingKind, Identifier | PatientId]]) -> None:
        """Let a message wait for any of these numbers."""
        numbers = [(kind.value, *number_of(identifier), message) for kind, identifier in keys]
        self._cursor.executemany(_PARK, [number for number in numbers if number[1]])

    def parked(self, kind: BindingKind, value: str | Phi[str], authority: str = "") -> tuple[int, ...]:
        """The messages that wait for a number, oldest first, at most FOUND_MAX."""
        wanted = (kind.value, plain(value), authority, authority, FOUND_MAX)
        return tuple(row[0] for row in self._cursor.execute(_PARKED, wanted).fetchall())

    def unpark(self, message: int) -> None:
        """Let a message wait no longer."""
        self._cursor.execute(_UNPARK, (message,))

    def flush(self) -> None:
        """Write what was gathered into the open transaction."""
        if self._new:
            self._cursor.executemany(_BIND, self._new)
            self.forget()

    def forget(self) -> None:
        """Drop what was gathered: the batch was rolled back, or written."""
        self._new.clear()
        self._seen.clear()
