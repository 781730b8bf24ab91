"""Numbers that point at referrals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from referral_engine.base.ident import Phi
from referral_engine.journal.asking import for_each_size, in_parts
from referral_engine.journal.codec import number_of, plain
from referral_engine.journal.database import Connection, Row
from referral_engine.journal.instance import Instance
from referral_engine.journal.rows import BindingKind
from referral_engine.loop.referral import Identifier, PatientId

PATIENTS_MAX: Final = 3  # record numbers of one message that one look has places for
FOUND_MAX: Final = 50  # referrals one number leads to; more is a number that means nothing

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
# Which of these numbers of one kind point at any referral.
_KNOWN = for_each_size("SELECT DISTINCT value FROM bindings WHERE kind = ? AND value IN ({places})")


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

    def look_ahead(self, numbers: Iterable[tuple[str, str]]) -> None:
        """Ask once which of these numbers, kind and value, point anywhere; `is_known` then answers without a look."""
        by_kind: dict[str, set[str]] = {}
        for kind, value in numbers:
            by_kind.setdefault(kind, set()).add(value)
        for kind, values in by_kind.items():
            for _, size, places in in_parts(list(values)):
                self._known.update(
                    (kind, row[0]) for row in self._cursor.execute(_KNOWN[size], (kind, *places)).fetchall()
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
