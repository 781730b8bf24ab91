"""Made-up rows and referrals for the journal's tests; every test says only what matters to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlcipher3 import dbapi2

from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.journal.database import Connection, Cursor
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import (
    AuditRow,
    DeadlineRow,
    Disposition,
    EffectRow,
    EventRow,
    MessageKey,
    MessageRow,
    TaskRow,
    TaskState,
)
from referral_engine.journal.unit import Unit
from referral_engine.loop.referral import Identifier, Order, Patient, PatientId, Referral

KEY = bytes(range(32))
SECOND = 1_000_000
ORDERED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CANARY = "QUETZALCOATLUS"  # a patient's name that is nowhere else


_CONTENTS: dict[bytes, bytes] = {}  # by hash, so that a row's bytes are those its key speaks of


def a_key(control_id: bytes = b"MSG1", content: bytes = b"content", partner: str = "ehr") -> MessageKey:
    digest = hashlib.sha256(content).digest()
    _CONTENTS[digest] = content
    return MessageKey(
        partner=partner,
        sending_application="EPIC",
        sending_facility="MAIN",
        control_id=control_id,
        sha256=digest,
    )


def a_message(sequence: int, key: MessageKey | None = None, **changes: object) -> MessageRow:
    known = key or a_key(b"MSG%d" % sequence)
    row = MessageRow(
        sequence=sequence,
        key=known,
        received_at=sequence * SECOND,
        peer="127.0.0.1",
        type="ORM^O01",
        raw=_CONTENTS[known.sha256],
        disposition=Disposition.NO_OP,
        level=-1,
        reason="",
        referral="",
        answer_code="AA",
        answer=b"MSA|AA|%d" % sequence,
        config="c1",
    )
    return replace(row, **changes)  # type: ignore[arg-type]  # a test names the fields it changes


def an_event(sequence: int, referral: str = "K7QD-0001", **changes: object) -> EventRow:
    row = EventRow(
        sequence=sequence,
        at=sequence * SECOND,
        referral=referral,
        kind="ReferralOrdered",
        summary="ordered",
        reason="placer number",
        message=0,
        by="feed:ehr",
        body=b"{}",
        config="c1",
    )
    return replace(row, **changes)  # type: ignore[arg-type]  # a test names the fields it changes


def a_referral(identity: str = "K7QD-0001", **changes: object) -> Referral:
    patient = Patient(ids=(PatientId(value=Phi("MRN1"), authority="HOSP"),), family=Phi(CANARY), given=Phi("ANNA"))
    order = Order(placer=Identifier(value=f"P-{identity}", authority="EHR"), ordered_at=ORDERED, specialty="cardiology")
    return replace(Referral(id=identity, channel="cardiology", patient=patient, order=order), **changes)  # type: ignore[arg-type]


def an_effect(ordinal: int, *, cause: int = 1, referral: str = "K7QD-0001", **changes: object) -> EffectRow:
    row = EffectRow(
        id=0,
        referral=referral,
        cause=cause,
        ordinal=ordinal,
        lane="ehr",
        transport="mllp",
        recipient="ehr",
        purpose="status",
        wire_id=f"W{cause}-{ordinal}",
        body=b"MSH|what goes on the wire",
        created_at=SECOND,
    )
    return replace(row, **changes)  # type: ignore[arg-type]  # a test names the fields it changes


def a_deadline(kind: str = "schedule", due_at: int = 100, generation: int = 1, **changes: object) -> DeadlineRow:
    row = DeadlineRow(referral="K7QD-0001", kind=kind, generation=generation, due_at=due_at)
    return replace(row, **changes)  # type: ignore[arg-type]  # a test names the fields it changes


def a_task(kind: str = "call-patient", referral: str = "K7QD-0001", **changes: object) -> TaskRow:
    row = TaskRow(
        id=0,
        queue="front-desk",
        kind=kind,
        referral=referral,
        message=0,
        opened_at=SECOND,
        due_at=0,
        state=TaskState.OPEN,
        reason="no consent",
    )
    return replace(row, **changes)  # type: ignore[arg-type]  # a test names the fields it changes


def a_line(number: int) -> AuditRow:
    return AuditRow(at=number, actor="feed:ehr", action="applied", object=f"message {number}")


def in_memory() -> Journal:
    return Journal.open(":memory:", None, node="K7QD", now=1)


def with_referral(journal: Journal, referral: Referral | None = None) -> Referral:
    """One referral, stored."""
    made = referral or a_referral()
    with journal.batch(1) as unit:
        unit.next_sequence()
        unit.save_referral(made, 1, new=True)
    return made


class Spoiled:
    """A connection that fails where a test wants it to."""

    def __init__(self, connection: Connection, spoil: Callable[[str], Exception | None]) -> None:
        self.connection = connection
        self.spoil = spoil

    @property
    def in_transaction(self) -> bool:
        return self.connection.in_transaction

    def cursor(self) -> Cursor:
        return self.connection.cursor()

    def execute(self, statement: str, values: Sequence[object] = ()) -> Cursor:
        error = self.spoil(statement)
        if error is not None:
            raise error
        return self.connection.execute(statement, values)

    def close(self) -> None:
        self.connection.close()

    def abandon(self) -> None:
        self.connection.abandon()


def spoiled(journal: Journal, word: str, error: Exception | None = None, *, after: bool = False) -> None:
    """Let every statement that begins with `word` fail; with `after`, once it was done."""
    inner = journal._connection

    def spoil(statement: str) -> Exception | None:
        if not statement.startswith(word):
            return None
        if after:
            inner.execute(statement)
        return error or dbapi2.OperationalError("disk I/O error")

    journal._connection = Spoiled(inner, spoil)


def messages_in(unit: Unit, *sequences: int) -> list[bool]:
    """Which of these messages are there."""
    return [unit.message(sequence) is not None for sequence in sequences]
