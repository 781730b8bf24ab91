"""Mistakes that must turn the suite red: a piece of the package's text, what it becomes, and the tests that find it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

P02 = "tests/promises/test_p02_idempotent_intake.py"
P03 = "tests/promises/test_p03_conservation.py"
P04 = "tests/promises/test_p04_atomic_effect.py"
P05 = "tests/promises/test_p05_order.py"
P06 = "tests/promises/test_p06_outbox.py"
P07 = "tests/promises/test_p07_no_double_effect.py"
P08 = "tests/promises/test_p08_deadlines.py"
P09 = "tests/promises/test_p09_clock.py"
P14 = "tests/promises/test_p14_poison.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change of one file; the text must stand there exactly once."""

    file: str  # below the package
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One mistake, and where it must be found."""

    name: str
    edits: tuple[Edit, ...]
    killers: tuple[str, ...]  # tests, each of which must fail by itself
    quick: bool = False  # tried by `make test`, too


MUTATIONS: Final = (
    Mutation(
        name="the disk is not waited for",
        edits=(Edit(file="journal/database.py", old='"synchronous = FULL"', new='"synchronous = NORMAL"'),),
        killers=(
            "tests/journal/test_database.py::test_every_commit_reaches_the_disk",
            "tests/power/test_power_cut.py::test_a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged",
        ),
    ),
    Mutation(
        name="answers leave before the commit",
        edits=(
            Edit(
                file="journal/journal.py",
                old="        self._commit()\n        unit.settled()",
                new="        unit.settled()",
            ),
            Edit(
                file="journal/journal.py",
                old="            self._connection.execute(_BEGIN)\n",
                new="            if self._connection.in_transaction:\n                self._commit()\n"
                "            self._connection.execute(_BEGIN)\n",
            ),
        ),
        killers=(
            f"{P04}::test_a_commit_that_fails_stores_all_or_nothing_and_nobody_is_told",
            f"{P14}::test_a_daemon_that_meets_an_error_in_its_own_code_sets_the_message_aside_and_goes_on",
        ),
        quick=True,
    ),
    Mutation(
        name="after a failed commit the journal goes on",
        edits=(
            Edit(
                file="journal/journal.py",
                old='            self._fenced = True\n            raise OutcomeUnknown(\n                "COMMIT failed',
                new='            raise OutcomeUnknown(\n                "COMMIT failed',
            ),
        ),
        killers=(f"{P04}::test_a_commit_that_fails_stores_all_or_nothing_and_nobody_is_told",),
    ),
    Mutation(
        name="a message that comes again is a new one",
        edits=(
            Edit(
                file="journal/messages.py",
                old='same control id, else None."""\n',
                new='same control id, else None."""\n        if key:\n            return None\n',
            ),
            Edit(
                file="journal/schema_custody.py",
                old="    raw BLOB NOT NULL,\n    UNIQUE (partner, application, facility, control_id, sha256)\n",
                new="    raw BLOB NOT NULL\n",
            ),
        ),
        killers=(f"{P02}::test_the_same_message_again_gets_the_same_answer_and_changes_nothing",),
        quick=True,
    ),
    Mutation(
        name="a retry is a message with a new id",
        edits=(
            Edit(
                file="transports/mllp.py",
                old="            framed = enframe(effect.body, self._trailer)\n",
                new="            other = b'RE%018d' % (effect.id * 1000 + effect.attempts)\n"
                "            body = effect.body.replace(effect.wire_id.encode(), other) if effect.attempts > 1 else effect.body\n"
                "            framed = enframe(body, self._trailer)\n",
            ),
        ),
        killers=(f"{P06}::test_everything_owed_comes_to_its_end_once_the_world_is_well_again",),
    ),
    Mutation(
        name="a lease that was lost still settles",
        edits=(
            Edit(
                file="journal/outbox.py",
                old="reply = ?, lease_until = 0\nWHERE id = ? AND token = ? AND state = 'in-flight'",
                new="reply = ?, lease_until = 0\nWHERE id = ? AND ? > 0 AND state = 'in-flight'",
            ),
        ),
        killers=(f"{P07}::test_a_courier_that_was_away_too_long_can_say_nothing_more",),
        quick=True,
    ),
    Mutation(
        name="a later sending overtakes an earlier one of its referral",
        edits=(
            Edit(
                file="journal/outbox.py",
                old="('queued', 'in-flight') AND o.id < e.id",
                new="('nothing') AND o.id < e.id",
            ),
        ),
        killers=(f"{P05}::test_a_later_sending_never_overtakes_an_earlier_one_of_its_referral",),
    ),
    Mutation(
        name="deadlines do not wait for those who wait",
        edits=(
            Edit(
                file="flow/sweep.py",
                old="return SweepMode.CATCHING_UP if ticked.drained else SweepMode.WAITING",
                new="return SweepMode.CATCHING_UP",
            ),
        ),
        killers=(f"{P08}::test_after_a_long_silence_a_reply_that_waited_at_its_sender_comes_first",),
    ),
    Mutation(
        name="a deadline that fired fires again",
        edits=(Edit(file="journal/deadlines.py", old="SET state = 'fired', event = ?\n", new="SET event = 0 * ?\n"),),
        killers=(f"{P08}::test_each_fires_once_and_never_early_however_often_the_clock_looks",),
    ),
    Mutation(
        name="a deadline fires an hour early",
        edits=(
            Edit(
                file="flow/sweep.py",
                old="    rows = turn.unit.due(until, limit)\n",
                new="    rows = turn.unit.due(until + 3_600_000_000, limit)\n",
            ),
        ),
        killers=(f"{P08}::test_each_fires_once_and_never_early_however_often_the_clock_looks",),
    ),
    Mutation(
        name="what came is not written into the audit",
        edits=(
            Edit(
                file="journal/unit.py",
                old="        fresh = self._messages.fresh\n        if fresh:",
                new="        fresh = self._messages.fresh\n        if not fresh:",
            ),
        ),
        killers=(f"{P03}::test_everything_that_came_is_there_and_is_exactly_one_thing",),
    ),
    Mutation(
        name="the log tells the text of an error",
        edits=(
            Edit(
                file="service/handling.py",
                old="        broken = Broken(kind=type(error).__name__, where=where(error))",
                new="        broken = Broken(kind=str(error), where=where(error))",
            ),
        ),
        killers=(f"{P14}::test_a_daemon_that_meets_an_error_in_its_own_code_sets_the_message_aside_and_goes_on",),
    ),
    Mutation(
        name="one delimiter is not escaped",
        edits=(Edit(file="hl7/encoding.py", old='    table[ord(delimiters.repetition)] = f"{mark}R{mark}"\n', new=""),),
        killers=("tests/hl7/test_compose.py::test_reading_gives_back_what_was_written_for_any_text",),
    ),
    Mutation(
        name="timers run on a clock that people set",
        edits=(
            Edit(
                file="service/clock.py",
                old="    reactor.seconds = time.monotonic",
                new="    reactor.seconds = time.time",
            ),
        ),
        killers=(f"{P09}::test_the_reactors_timers_run_on_a_clock_that_nobody_sets",),
    ),
    Mutation(
        name="recorded time follows a clock that was set back",
        edits=(
            Edit(
                file="flow/step.py",
                old="max(to_micros(self.clock.now()), self.journal.high_water)",
                new="to_micros(self.clock.now())",
            ),
        ),
        killers=(f"{P05}::test_a_clock_that_is_set_back_does_not_turn_the_order_round",),
    ),
    Mutation(
        name="an acknowledgment of another message will do",
        edits=(
            Edit(
                file="transports/mllp.py",
                old="if ack.control_id_bytes != exchange.effect.wire_id.encode():",
                new="if not ack.control_id_bytes:",
            ),
        ),
        killers=(f"{P06}::test_everything_owed_comes_to_its_end_once_the_world_is_well_again",),
    ),
)
