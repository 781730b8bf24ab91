"""The hash that every row of the journal carries, so that a changed byte is found when the row is read or scrubbed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from referral_engine.journal.database import Row

_canonical = msgspec.json.Encoder().encode


def message_digest(columns: Row) -> bytes:
    """The hash of a message's row: every column but the bytes, for which their own SHA-256 stands.

    columns: sequence, partner, application, facility, control_id, sha256, received_at, peer, type, disposition, level,
    reason, referral, answer_code, answer, config; of a reduced one also when it was, and the SHA-256 of what is left.
    """
    return hashlib.sha256(_canonical(columns)).digest()


def event_digest(columns: Row) -> bytes:
    """The hash of an event's row: sequence, at, referral, kind, summary, reason, message, made_by, body, config."""
    return hashlib.sha256(_canonical(columns)).digest()


def decision_digest(columns: Row) -> bytes:
    """The hash of a decision's row: message, part, number, then the other columns of a DecisionRow, in its order."""
    return hashlib.sha256(_canonical(columns)).digest()


def merge_digest(columns: Row) -> bytes:
    """The hash of a merge's row: every column of a MergeRow, in its order."""
    return hashlib.sha256(_canonical(columns)).digest()


def version_digest(columns: Row) -> bytes:
    """The hash of a version's row: number, at, config, made_by, action, reason, forced, and the SHA-256 of the rest."""
    return hashlib.sha256(_canonical(columns)).digest()


def referral_digest(identity: str, version: int, state: bytes) -> bytes:
    """The hash of what a referral is now."""
    return hashlib.sha256(b"%b\x00%d\x00%b" % (identity.encode(), version, state)).digest()


def effect_digest(wire_id: str, body: bytes) -> bytes:
    """The hash of what is owed: the number and the bytes that go on the wire."""
    return hashlib.sha256(wire_id.encode() + b"\x00" + body).digest()


def batch_seal(messages: Iterable[tuple[int, bytes]]) -> str:
    """What the audit keeps of the messages of one batch, (sequence, SHA-256 of the bytes) in order; hexadecimal."""
    seal = hashlib.sha256()
    for sequence, sha256 in messages:
        seal.update(sequence.to_bytes(8, "big") + sha256)
    return seal.hexdigest()
