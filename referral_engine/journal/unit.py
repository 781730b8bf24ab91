"""One unit of work: everything the door may ask and write inside one transaction, delegated to one module a noun."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from referral_engine.journal.audit import Audit, first_bad_line
from referral_engine.journal.database import Connection
from referral_engine.journal.deadlines import Deadlines
from referral_engine.journal.digests import batch_seal
from referral_engine.journal.instance import Instance
from referral_engine.journal.numbers import number_key
from referral_engine.journal.outbox import Outbox
from referral_engine.journal.poison import Poison
from referral_engine.journal.referrals import Portion, Referrals
from referral_engine.journal.rows import (
    AuditRow,
    DeadlineRow,
    Disposition,
    Earlier,
    EffectRow,
    EffectState,
    EventRow,
    MessageKey,
    MessageRow,
    TaskRow,
    VersionRow,
)
from referral_engine.journal.sweeping import Sweeping
from referral_engine.journal.tasks import Tasks
from referral_engine.journal.unit_matching import MatchingUnit
from referral_engine.journal.versions import Versions
from referral_engine.loop.referral import Referral


class Unit(MatchingUnit):
    """The open batch; use it only inside `with journal.batch(now) as unit`."""

    __slots__ = (
        "_audit", "_connection", "_deadlines", "_instance", "_outbox", "_poison", "_referrals", "_tasks", "_versions",
        "sweeping",
    )  # fmt: skip

    def __init__(self, connection: Connection, instance: Instance) -> None:
        super().__init__(connection, instance)
        self._connection = connection
        self._instance = instance
        self._referrals = Referrals(connection)
        self._poison = Poison(connection)
        self._deadlines = Deadlines(connection)
        self._outbox = Outbox(connection, instance)
        self._tasks = Tasks(connection)
        self._audit = Audit(connection, instance)
        self._versions = Versions(connection)
        self.sweeping = Sweeping(connection, instance, self._outbox.flush)

    # -- messages and events ------------------------------------------------------------------------------------------

    def next_sequence(self) -> int:
        """The next number of the one order that messages and events share."""
        self._instance.sequence += 1
        return self._instance.sequence

    def look_ahead(self, keys: Sequence[MessageKey], numbers: Iterable[tuple[str, str]]) -> None:
        """Ask once for a whole batch what `earlier` and `is_known` would ask for each of its messages.

        numbers: kind (the value of a BindingKind) and value.
        """
        self._messages.look_ahead(keys)
        self._bindings.look_ahead(numbers)

    def earlier(self, key: MessageKey) -> Earlier | None:
        """The first arrival of the same bytes, else the newest of the same control id, else None."""
        return self._messages.earlier(key)

    def add_message(self, row: MessageRow, *, passing: bool = False) -> None:
        """Store one message with this batch, and the numbers it waits for; passing: see `Messages`."""
        self._messages.add(row, self._parked.numbers_of(row.sequence), passing=passing)

    def message(self, sequence: int) -> MessageRow | None:
        """One message, of this batch or an earlier one."""
        return self._messages.message(sequence)

    def change_disposition(
        self, sequence: int, disposition: Disposition, level: int, reason: str, referral: str
    ) -> None:
        """Say anew what became of a message; one that concerns nobody from now on is kept whole for its time."""
        self._messages.change(sequence, disposition, level, reason, referral)
        if disposition is Disposition.NO_OP and not referral and sequence <= self.purging.through:
            self.purging.come_back(sequence, self.now)

    def add_event(self, row: EventRow) -> None:
        """Store one event with this batch."""
        self._messages.add_event(row)

    def events(self, referral: str) -> tuple[EventRow, ...]:
        """The events of one referral, the oldest first."""
        return self._messages.events(referral)

    # -- referrals ----------------------------------------------------------------------------------------------------

    def referral(self, identity: str) -> Referral | None:
        """One referral as this batch left it."""
        return self._referrals.referral(identity)

    def save_referral(self, referral: Referral, at: int, *, new: bool) -> None:
        """Store a referral; a changed one must be the successor of what `referral` returned."""
        self._referrals.save(referral, at, new=new)

    def open_referrals(self, after: str, looked_at: int) -> Portion:
        """The open ones among the referrals that follow a number, of so many that are looked at."""
        return self._referrals.open_after(after, looked_at)

    # -- what broke its handling --------------------------------------------------------------------------------------

    @property
    def suspects(self) -> dict[int, int]:
        """Mark of a message to how often the engine stopped with it in hand."""
        return self._poison.suspects

    def blame(self, marks: Iterable[int]) -> None:
        """The engine stopped while it had these messages in hand."""
        self._poison.blame(marks, self.now)

    def absolve(self, mark: int) -> None:
        """The handling of a suspect ended."""
        self._poison.absolve(mark)

    @property
    def bars_anything(self) -> bool:
        """Whether a message that was set aside holds up others."""
        return self._poison.bars_anything

    def bar(self, message: int, numbers: Iterable[tuple[str, str]]) -> None:
        """What has one of these numbers, kind and value, waits behind this message."""
        self._poison.bar(message, [number_key(kind, value) for kind, value in numbers])

    def barred_by(self, numbers: Iterable[tuple[str, str]]) -> int:
        """The message that one with these numbers waits behind; 0 for none."""
        return self._poison.barred_by(number_key(kind, value) for kind, value in numbers)

    def unbar(self, message: int) -> bool:
        """Nothing waits behind this message any more; False when nothing did."""
        return self._poison.unbar(message)

    def pending(self) -> tuple[int, ...]:
        """The messages that wait for a person's word about another, in the order they came."""
        self._messages.flush()
        return self._poison.pending()

    # -- deadlines ----------------------------------------------------------------------------------------------------

    def change_deadlines(
        self, referral_id: str, added: Sequence[DeadlineRow], removed: Sequence[tuple[str, int]]
    ) -> None:
        """Start these clocks and cancel those, named by (kind, generation); a fired one stays fired."""
        self._deadlines.change(referral_id, added, removed)

    def deadlines(self, referral_id: str) -> tuple[DeadlineRow, ...]:
        """Every clock one referral ever had, by due time."""
        return self._deadlines.of_referral(referral_id)

    def due(self, now: int, limit: int) -> list[DeadlineRow]:
        """At most `limit` clocks that have run out, oldest first."""
        return self._deadlines.due(now, limit)

    def due_of(self, referral_id: str, now: int, limit: int) -> list[DeadlineRow]:
        """At most `limit` clocks of one referral that have run out, oldest first."""
        return self._deadlines.due_of(referral_id, now, limit)

    def overdue(self, now: int) -> int:
        """How many clocks have run out and not fired."""
        return self._deadlines.overdue(now)

    def fire(self, row: DeadlineRow, sequence: int) -> bool:
        """Mark one as fired by event `sequence`; False when it did not run any more, or not to that instant."""
        return self._deadlines.fire(row, sequence)

    # -- outbox -------------------------------------------------------------------------------------------------------

    def owe(self, row: EffectRow) -> int:
        """Store one owed sending with this batch; its number."""
        return self._outbox.owe(row)

    def withdraw(self, referral: str, wanted: AbstractSet[str | int], at: int, reason: str) -> int:
        """Cancel what has not left yet of these purposes, or of these numbers; how many there were."""
        return self._outbox.withdraw(referral, wanted, at, reason)

    def claim(
        self, lane: str, now: int, lease_seconds: float, limit: int, transport: str = ""
    ) -> tuple[EffectRow, ...]:
        """Lease at most `limit` sendings of a lane; each has a token that settles it, once."""
        return self._outbox.claim(lane, now, lease_seconds, limit, transport)

    def lost(self, lane: str, limit: int, transport: str = "") -> tuple[EffectRow, ...]:
        """Lease what was taken, never settled, and must not be sent again: nobody knows whether it arrived."""
        return self._outbox.lost(lane, self.now, limit, transport)

    def stranded(self, served: frozenset[str], limit: int) -> tuple[EffectRow, ...]:
        """Lease what waits in lanes that nobody serves any more, at most `limit`; UNSETTLED is what may have arrived.

        What a courier still holds a lease of is its own to settle.
        """
        return self._outbox.stranded(served, self.now, limit)

    def oldest(self, lane: str) -> int:
        """Since when the head of a lane's queue has been waiting; 0 when nothing has to wait."""
        return self._outbox.oldest(lane, self.now)

    def release(self, effect: int, token: int) -> bool:
        """Give a leased sending back unsent; False when the lease was not the newest, or is settled."""
        return self._outbox.release(effect, token)

    def settle(
        self,
        effect: int,
        token: int,
        state: EffectState,
        now: int,
        next_at: int = 0,
        reason: str = "",
        reply: bytes = b"",
        *,
        hold: bool = False,
    ) -> EffectRow | None:
        """Record what became of a leased sending; None when the lease was not the newest, or is settled.

        hold: nothing of its lane may overtake it from now on.
        """
        return self._outbox.settle(effect, token, state, now, next_at, reason, reply, hold=hold)

    def lately(self, referral: str, lane: str, since: int, before: int) -> tuple[int, ...]:
        """When sendings of a lane arrived for one referral after `since`; older ones on their way count as now."""
        return self._outbox.lately(referral, lane, since, self.now, before)

    def effect(self, number: int) -> EffectRow | None:
        """One owed sending."""
        return self._outbox.effect(number)

    def effects_of(self, referral: str) -> tuple[EffectRow, ...]:
        """Everything ever owed for one referral, the oldest first."""
        return self._outbox.of_referral(referral)

    def decide_effect(self, number: int, decision: str, now: int) -> EffectRow | None:
        """Retry, park or cancel by a person's word; None when it is not in a state that allows it."""
        return self._outbox.decide(number, decision, now)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def open_task(self, row: TaskRow) -> int:
        """Open a task; its number, or 0 when that referral has one of the kind, which then says the newest reason."""
        return self._tasks.open(row)

    def close_tasks(self, referral: str, kinds: Iterable[str], at: int, note: str) -> int:
        """Close the open tasks of these kinds; how many there were."""
        return self._tasks.close(referral, kinds, at, note)

    def claim_task(self, number: int, by: str) -> TaskRow | None:
        """Let a person take a task; None when it is done, another's, or unknown."""
        return self._tasks.claim(number, by)

    def finish_task(self, number: int, by: str, note: str, at: int) -> TaskRow | None:
        """Close a task with what the person learned; None when it is done already, or unknown."""
        return self._tasks.finish(number, by, note, at)

    def close_message_tasks(self, message: int, kind: str, at: int, note: str) -> int:
        """Close a message's open tasks of a kind; how many there were."""
        return self._tasks.close_of_message(message, kind, at, note)

    def tasks_of_referral(self, referral: str) -> tuple[TaskRow, ...]:
        """The tasks of one referral, open and done, the oldest first."""
        return self._tasks.of_referral(referral)

    def reopen_tasks(self, referral: str, closed_at: int, note: str) -> int:
        """Open again what was closed at that instant with that note; how many there were."""
        return self._tasks.reopen(referral, closed_at, note)

    def overdue_tasks(self, kind: str, limit: int) -> tuple[TaskRow, ...]:
        """Open tasks of a kind that are past their time and have not been escalated."""
        return self._tasks.overdue(kind, self.now, limit)

    def escalate_task(self, number: int, queue: str, reason: str) -> None:
        """Move a task to another queue, urgent, once."""
        self._tasks.escalate(number, queue, reason, self.now)

    def postpone_task(self, number: int, due_at: int, note: str) -> None:
        """Give an open task more time, and say in its note why."""
        self._tasks.postpone(number, due_at, note)

    def asked_to_verify(self, reason: str) -> bool:
        """Whether a verify-contact task with this reason was ever opened."""
        return self._tasks.asked_to_verify(reason)

    def is_asked(self, kind: str, reason: str) -> bool:
        """Whether a task of this kind with this reason is open."""
        return self._tasks.is_asked(kind, reason)

    def task(self, number: int) -> TaskRow | None:
        """One task."""
        return self._tasks.task(number)

    # -- versions of the configuration --------------------------------------------------------------------------------

    def add_version(self, row: VersionRow) -> int:
        """Store one version under the next number; that number."""
        return self._versions.add(row)

    def newest_version(self) -> VersionRow | None:
        """The version in force, without its files; None in a journal that has none."""
        return self._versions.newest()

    def version_files(self, config: str) -> dict[str, str] | None:
        """Name to text of the newest version of a hash; None when that is not stored."""
        return self._versions.files(config)

    # -- audit and clock ----------------------------------------------------------------------------------------------

    def audit(self, row: AuditRow) -> None:
        """Append one line to the audit."""
        self._audit.add(row)

    def verify_audit(self) -> int | None:
        """The first line that is altered, missing or out of order; None when the chain is whole."""
        self.flush()
        self._instance.store(self.now)
        return first_bad_line(self._connection)

    def next_due(self, now: int) -> int | None:
        """When something is due next, `now` at the earliest; None when nothing is."""
        instants = [at for at in (self._deadlines.next_due(), self._outbox.next_due()) if at is not None]
        return max(now, min(instants)) if instants else None

    def lanes_due(self) -> frozenset[str]:
        """The lanes in which something may be sent now."""
        return self._outbox.lanes_due(self.now)

    # -- for the journal ----------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what was gathered into the open transaction."""
        self._seal()
        self._messages.flush()
        self._parked.flush()
        self._referrals.flush()
        self._bindings.flush()
        self._decisions.flush()
        self._deadlines.flush()
        self._outbox.flush()
        self._audit.flush()

    def settled(self) -> None:
        """The batch is stored: memory follows."""
        self._messages.forget()
        self._bindings.forget()
        self._decisions.settled()
        self._parked.settled()
        self._poison.settled()

    def _seal(self) -> None:
        """One line of the audit for the messages of this batch: none can be taken out or changed unseen."""
        fresh = self._messages.fresh
        if fresh:
            target = f"messages {fresh[0][0]}-{fresh[-1][0]} ({len(fresh)})"
            self._audit.add(
                AuditRow(at=self.now, actor="door", action="received", object=target, outcome=batch_seal(fresh))
            )
            fresh.clear()

    def forget(self) -> None:
        """Drop what memory holds: the batch was rolled back."""
        self._messages.forget()
        self._parked.forget()
        self._referrals.forget()
        self._bindings.forget()
        self._decisions.forget()
        self._merges.forget()
        self._deadlines.forget()
        self._outbox.forget()
        self._audit.forget()

    def rolled_back(self) -> None:
        """The transaction is over and nothing of it is stored: read again what memory follows."""
        self._decisions.settled()
        self._poison.rolled_back()
