"""Questions to the journal that change nothing; every answer is a value and has a limit."""

from __future__ import annotations

from typing import Final

from referral_engine.base.errors import Altered
from referral_engine.journal.aftermath import Aftermath
from referral_engine.journal.answers import (
    Conservation,
    Counts,
    EffectCount,
    MessageCount,
    MessageLine,
    ReferralLine,
    Review,
    Story,
)
from referral_engine.journal.audit import first_bad_line
from referral_engine.journal.clock_counts import COUNTS, NEWEST, REFERRALS_MAX, ClockCounts, counted
from referral_engine.journal.codec import decode_referral
from referral_engine.journal.conservation import Books, balance
from referral_engine.journal.database import Row
from referral_engine.journal.deadlines import Deadlines
from referral_engine.journal.decisions import OF_MESSAGE, OF_REFERRAL, newest
from referral_engine.journal.digests import referral_digest
from referral_engine.journal.merges import MERGE_COLUMNS, merge_of
from referral_engine.journal.messages import EVENT_COLUMNS, ONE_MESSAGE, event_of, message_of
from referral_engine.journal.outbox import EFFECT_COLUMNS, ONE_EFFECT, effect_of
from referral_engine.journal.reading_versions import ANSWER_ROWS_MAX, VersionReading, bounded
from referral_engine.journal.rows import (
    DecisionRow,
    Disposition,
    EffectRow,
    EffectState,
    MergeRow,
    MessageRow,
    TaskRow,
)
from referral_engine.journal.tasks import ONE_TASK, TASK_COLUMNS, task_of
from referral_engine.journal.timeline import timeline
from referral_engine.journal.traffic import Traffic
from referral_engine.loop.referral import Referral
from referral_engine.loop.states import Status, Urgency

ROWS_MAX: Final = ANSWER_ROWS_MAX
STORY_MAX: Final = 1_000  # rows of each kind in one referral's story
NAMED_MAX: Final = 20  # referrals named by the conservation check

_REFERRAL_COLUMNS: Final = "id, status, channel, specialty, priority, ordered_at, updated_at, placer_number, version"
_LINE_COLUMNS: Final = (
    "sequence, control_id, partner, type, received_at, disposition, answer_code, referral, level, reason, purged_at, "
    "config"
)
# The newest referrals.
_REFERRALS = f"SELECT {_REFERRAL_COLUMNS} FROM referrals ORDER BY rowid DESC LIMIT ? + 0"  # noqa: S608  # our own columns
# The newest referrals of one status.
_REFERRALS_OF = f"""
SELECT {_REFERRAL_COLUMNS} FROM referrals WHERE status = ? ORDER BY ordered_at DESC LIMIT ? + 0
"""  # noqa: S608  # our own columns
# One referral, with its state.
_REFERRAL = f"SELECT {_REFERRAL_COLUMNS}, digest, state FROM referrals WHERE id = ?"  # noqa: S608  # our own columns
# The newest referral of an order number.
_BY_PLACER = "SELECT referral FROM bindings WHERE kind = 'placer' AND value = ? ORDER BY since DESC LIMIT 1"
# The newest messages.
_MESSAGES = f"SELECT {_LINE_COLUMNS} FROM messages ORDER BY sequence DESC LIMIT ? + 0"  # noqa: S608  # our own columns
# The newest messages of one disposition; spelled out, because only then the small index of the rare ones is used.
_MESSAGES_OF = {
    disposition: f"""
SELECT {_LINE_COLUMNS} FROM messages WHERE disposition = '{disposition.value}' ORDER BY sequence DESC LIMIT ? + 0
"""  # noqa: S608  # our own columns
    for disposition in Disposition
}
# The messages of one referral: those matched to it, and those that caused its events.
_MESSAGES_OF_REFERRAL = f"""
SELECT {_LINE_COLUMNS} FROM messages WHERE sequence IN (
    SELECT sequence FROM messages WHERE referral = ?1 AND referral <> ''
    UNION SELECT message FROM events WHERE referral = ?1 AND message > 0)
ORDER BY sequence LIMIT ?2 + 0
"""  # noqa: S608  # our own columns
# The events of one referral.
_EVENTS = f"""
SELECT {EVENT_COLUMNS} FROM events WHERE referral = ? ORDER BY sequence LIMIT ? + 0
"""  # noqa: S608  # our own columns
# What was ever owed for one referral.
_EFFECTS = f"""
SELECT {EFFECT_COLUMNS} FROM effects WHERE referral = ? ORDER BY id LIMIT ? + 0
"""  # noqa: S608  # our own columns
# The newest of everything owed.
_OUTBOX = f"SELECT {EFFECT_COLUMNS} FROM effects ORDER BY id DESC LIMIT ? + 0"  # noqa: S608  # our own columns
# What was owed after a number, the oldest first.
_OWED_AFTER = f"SELECT {EFFECT_COLUMNS} FROM effects WHERE id > ? ORDER BY id LIMIT ? + 0"  # noqa: S608  # our own columns
# What is not settled, or needs a person; the oldest first.
_UNSETTLED = f"""
SELECT {EFFECT_COLUMNS} FROM effects WHERE id IN (
    SELECT id FROM effects WHERE state = 'queued'
    UNION ALL SELECT id FROM effects WHERE state = 'in-flight'
    UNION ALL SELECT id FROM effects WHERE state = 'failed' OR state = 'unknown' OR state = 'parked')
ORDER BY id LIMIT ? + 0
"""  # noqa: S608  # our own columns
# The tasks of one referral.
_TASKS_OF = f"""
SELECT {TASK_COLUMNS} FROM tasks WHERE referral = ? AND referral <> '' ORDER BY id LIMIT ? + 0
"""  # noqa: S608  # our own columns
# The open tasks, urgent ones first, then the oldest.
_TASKS = f"""
SELECT {TASK_COLUMNS} FROM tasks WHERE state <> 'done' AND (?1 = '' OR queue = ?1)
ORDER BY urgent DESC, opened_at, id LIMIT ?2 + 0
"""  # noqa: S608  # our own columns
# All tasks, the newest first.
_ALL_TASKS = f"""
SELECT {TASK_COLUMNS} FROM tasks WHERE ?1 = '' OR queue = ?1 ORDER BY id DESC LIMIT ?2 + 0
"""  # noqa: S608  # our own columns
# The open match reviews, urgent ones first, then the oldest.
_REVIEWS = f"""
SELECT {TASK_COLUMNS} FROM tasks WHERE state <> 'done' AND kind = 'match-review'
ORDER BY urgent DESC, opened_at, id LIMIT ? + 0
"""  # noqa: S608  # our own columns
# The newest edges between record numbers.
_MERGES = f"SELECT {MERGE_COLUMNS} FROM merges ORDER BY id DESC LIMIT ? + 0"  # noqa: S608  # our own columns
# The counts that are kept as things happen.
_TALLIES = "SELECT owner, state, number FROM tallies WHERE noun = ? AND number <> 0 ORDER BY owner, state"
# The counts that small indexes answer.
_STATUS = """
SELECT
    (SELECT count(*) FROM tasks WHERE state <> 'done'),
    (SELECT count(*) FROM deadlines WHERE state = 'pending'),
    (SELECT min(due_at) FROM deadlines WHERE state = 'pending'),
    (SELECT min(next_at) FROM effects WHERE state = 'queued'),
    (SELECT count(*) FROM referrals WHERE status IN
        ('note-received', 'attended', 'scheduled', 'patient-notified', 'held', 'ordered')),
    high_water, sequence, epoch
FROM instance
"""
# What is stored, counted one by one, against what was counted as it came.
_SUMS = """
SELECT
    (SELECT ifnull(sum(number), 0) FROM tallies WHERE noun = 'message'), (SELECT count(*) FROM messages),
    (SELECT ifnull(sum(number), 0) FROM tallies WHERE noun = 'effect'), (SELECT count(*) FROM effects)
"""
# Open referrals that no clock runs for.
_UNWATCHED = """
SELECT id FROM referrals AS r
WHERE status IN ('note-received', 'attended', 'scheduled', 'patient-notified', 'held', 'ordered')
    AND NOT EXISTS (SELECT 1 FROM deadlines AS d WHERE d.referral = r.id AND d.state = 'pending')
ORDER BY id LIMIT ? + 0
"""


class Reading(VersionReading):
    """What is stored, for people and programs that look; used by the journal's thread between batches."""

    __slots__ = ()

    def referrals(self, *, status: Status | None = None, limit: int = 100) -> tuple[ReferralLine, ...]:
        """The newest referrals, of one status or of all."""
        if status is None:
            return tuple(map(_referral_line, self._rows(_REFERRALS, bounded(limit))))
        return tuple(map(_referral_line, self._rows(_REFERRALS_OF, status.value, bounded(limit))))

    def referral(self, identity: str) -> Referral | None:
        """One referral's present state."""
        row = self._row(_REFERRAL, identity)
        return _state_of(row) if row is not None else None

    def find(self, number: str) -> str:
        """The id behind our own number or the newest order of a placer number; "" when there is none."""
        if self._row(_REFERRAL, number) is not None:
            return number
        row = self._row(_BY_PLACER, number)
        return str(row[0]) if row is not None else ""

    def story(self, identity: str) -> Story | None:
        """One referral with all that ever happened to it, merged in time order."""
        row = self._row(_REFERRAL, identity)
        if row is None:
            return None
        messages = tuple(map(_message_line, self._rows(_MESSAGES_OF_REFERRAL, identity, STORY_MAX)))
        events = tuple(map(event_of, self._rows(_EVENTS, identity, STORY_MAX)))
        effects = tuple(map(effect_of, self._rows(_EFFECTS, identity, STORY_MAX)))
        tasks = tuple(map(task_of, self._rows(_TASKS_OF, identity, STORY_MAX)))
        deadlines = Deadlines(self._connection).of_referral(identity)
        return Story(
            line=_referral_line(row),
            referral=_state_of(row),
            timeline=timeline(messages, events, effects, tasks),
            messages=messages,
            events=events,
            effects=effects,
            deadlines=deadlines,
            tasks=tasks,
            truncated=max(map(len, (messages, events, effects, tasks))) >= STORY_MAX,
        )

    def tasks(self, *, queue: str = "", done: bool = False, limit: int = 1000) -> tuple[TaskRow, ...]:
        """Open tasks, urgent ones first; with `done` all tasks, the newest first."""
        return tuple(map(task_of, self._rows(_ALL_TASKS if done else _TASKS, queue, bounded(limit))))

    def task(self, number: int) -> TaskRow | None:
        """One task."""
        row = self._row(ONE_TASK, number)
        return task_of(row) if row is not None else None

    def outbox(self, *, settled: bool = False, limit: int = 1000) -> tuple[EffectRow, ...]:
        """What is owed or needs a person, the oldest first; with `settled` everything, the newest first."""
        return tuple(map(effect_of, self._rows(_OUTBOX if settled else _UNSETTLED, bounded(limit))))

    def owed_after(self, number: int, limit: int = ROWS_MAX) -> tuple[EffectRow, ...]:
        """Everything owed after the sending of this number, the oldest first."""
        return tuple(map(effect_of, self._rows(_OWED_AFTER, number, bounded(limit))))

    def effect(self, number: int) -> EffectRow | None:
        """One owed sending."""
        row = self._row(ONE_EFFECT, number)
        return effect_of(row) if row is not None else None

    def messages(self, *, disposition: Disposition | None = None, limit: int = 100) -> tuple[MessageLine, ...]:
        """The newest messages, of one disposition or of all."""
        if disposition is None:
            return tuple(map(_message_line, self._rows(_MESSAGES, bounded(limit))))
        return tuple(map(_message_line, self._rows(_MESSAGES_OF[disposition], bounded(limit))))

    def message(self, sequence: int) -> MessageRow | None:
        """One message with its bytes and its answer."""
        row = self._row(ONE_MESSAGE, sequence)
        return message_of(row) if row is not None else None

    def decisions(self, message: int) -> tuple[DecisionRow, ...]:
        """The newest decision about each part of a message, first to last, undone ones included."""
        return newest(self._rows(OF_MESSAGE, message, ROWS_MAX))

    def decisions_of(self, referral: str) -> tuple[DecisionRow, ...]:
        """The newest decision about each part of a message among those that name a referral, the oldest first."""
        return newest(self._rows(OF_REFERRAL, referral, ROWS_MAX))

    def merges(self, limit: int = 100) -> tuple[MergeRow, ...]:
        """The newest edges between record numbers, undone ones included."""
        return tuple(map(merge_of, self._rows(_MERGES, bounded(limit))))

    def reviews(self, limit: int = 100) -> tuple[Review, ...]:
        """The open match reviews with what was decided about their messages, urgent ones first, then the oldest."""
        tasks = map(task_of, self._rows(_REVIEWS, bounded(limit)))
        return tuple(Review(task=one, decisions=self.decisions(one.message) if one.message else ()) for one in tasks)

    def clock_counts(self, since: int, until: int = 2**62, before: int = 0) -> ClockCounts:
        """How the clocks that were to run out from `since` to `until` went: REFERRALS_MAX referrals at a time.

        before: the `next` of the page of newer ones; 0 begins with the newest.
        """
        newest = before or self._rows(NEWEST)[0][0]
        oldest = max(newest - REFERRALS_MAX, 0)
        rows = self._rows(COUNTS, oldest, newest, since, until)
        return ClockCounts(counts=counted(rows), next=oldest, referrals=newest - oldest)

    def traffic(self) -> Traffic:
        """What came in and what became of it, a page at a time."""
        return Traffic(self._rows)

    def aftermath(self) -> Aftermath:
        """All that a journal in memory holds, for a replay."""
        return Aftermath(self._rows)

    def counts(self) -> Counts:
        """The numbers of the status page; they cost the same however large the journal is."""
        row = self._row(_STATUS)
        assert row is not None, "a journal has its one row"
        return Counts(
            messages=tuple(
                MessageCount(partner=owner, disposition=Disposition(state), number=number)
                for owner, state, number in self._rows(_TALLIES, "message")
            ),
            effects=tuple(
                EffectCount(lane=owner, state=EffectState(state), number=number)
                for owner, state, number in self._rows(_TALLIES, "effect")
            ),
            tasks_open=row[0],
            deadlines_pending=row[1],
            oldest_deadline_at=row[2],
            oldest_queued_at=row[3],
            referrals_open=row[4],
            high_water=row[5],
            sequence=row[6],
            epoch=row[7],
        )

    def conservation(self) -> Conservation:
        """Whether what came is all there, counted row by row: for `verify`, not for every second."""
        row = self._row(_SUMS)
        assert row is not None, "sums are one row"
        return Conservation(
            messages_counted=row[0],
            messages_stored=row[1],
            effects_counted=row[2],
            effects_stored=row[3],
            open_without_deadline=tuple(one[0] for one in self._rows(_UNWATCHED, NAMED_MAX)),
        )

    def books(self, *, deep: bool = False) -> Books:
        """What each feed sent and what became of it, with the ids of any difference; deep: counted row by row."""
        return balance(self._connection, deep=deep)

    def first_bad_audit_line(self) -> int | None:
        """The first line of the audit that is altered, missing or out of order; None when it is whole."""
        return first_bad_line(self._connection)


def _referral_line(row: Row) -> ReferralLine:
    return ReferralLine(
        id=row[0],
        status=Status(row[1]),
        channel=row[2],
        specialty=row[3],
        priority=Urgency(row[4]),
        ordered_at=row[5],
        updated_at=row[6],
        placer_number=row[7],
        version=row[8],
    )


def _state_of(row: Row) -> Referral:
    """The referral in a row of _REFERRAL.  Raises JournalError when a byte of it was altered."""
    identity, version, digest, state = row[0], row[8], row[-2], row[-1]
    if referral_digest(identity, version, state) != digest:
        raise Altered(f"referral {identity}")
    return decode_referral(state)


def _message_line(row: Row) -> MessageLine:
    return MessageLine(
        sequence=row[0],
        control_id=row[1],
        partner=row[2],
        type=row[3],
        received_at=row[4],
        disposition=Disposition(row[5]),
        answer_code=row[6],
        referral=row[7],
        level=row[8],
        reason=row[9],
        purged_at=row[10],
        config=row[11],
    )
