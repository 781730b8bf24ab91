"""The outbox: leases, fencing tokens, order within a referral, and what people may decide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.base.errors import Altered
from referral_engine.journal.journal import Journal
from referral_engine.journal.outbox import UNSETTLED
from referral_engine.journal.rows import EffectRow, EffectState
from tests.journal.made import SECOND, an_effect, in_memory

NOW = 10 * SECOND


def owing(*rows: EffectRow) -> Journal:
    journal = in_memory()
    with journal.batch(1) as unit:
        for row in rows:
            unit.owe(row)
    return journal


def claimed(journal: Journal, now: int = NOW, limit: int = 10, lane: str = "ehr") -> tuple[EffectRow, ...]:
    with journal.batch(now) as unit:
        return unit.claim(lane, now, 60, limit)


def settled(journal: Journal, row: EffectRow, state: EffectState, next_at: int = 0) -> EffectRow | None:
    with journal.batch(NOW) as unit:
        return unit.settle(row.id, row.token, state, NOW, next_at, "said", b"MSA|AA")


def test_a_claimed_sending_carries_its_bytes_and_a_token() -> None:
    journal = owing(an_effect(1))

    (row,) = claimed(journal)

    assert (row.id, row.state, row.attempts, row.token) == (1, EffectState.IN_FLIGHT, 1, 1)
    assert (row.body, row.wire_id) == (b"MSH|what goes on the wire", "W1-1")
    assert claimed(journal) == ()


def test_one_referrals_sendings_leave_in_order_and_others_do_not_wait() -> None:
    journal = owing(an_effect(1), an_effect(2), an_effect(3, referral="K7QD-0002"))

    first = claimed(journal)

    assert [row.id for row in first] == [1, 3]
    settled(journal, first[0], EffectState.DELIVERED)
    assert [row.id for row in claimed(journal)] == [2]


def test_sendings_of_no_referral_do_not_wait_for_each_other() -> None:
    journal = owing(an_effect(1, referral=""), an_effect(2, referral=""))

    assert [row.id for row in claimed(journal)] == [1, 2]


def test_another_lane_does_not_wait() -> None:
    journal = owing(an_effect(1), an_effect(2, lane="cardiology"))

    assert [row.id for row in claimed(journal, lane="cardiology")] == [2]


def test_a_retry_holds_back_what_stands_behind_it() -> None:
    journal = owing(an_effect(1), an_effect(2))
    (first,) = claimed(journal)

    settled(journal, first, EffectState.QUEUED, next_at=NOW + 5 * SECOND)

    assert claimed(journal, NOW + 4 * SECOND) == ()
    (again,) = claimed(journal, NOW + 5 * SECOND)
    assert (again.id, again.attempts, again.wire_id) == (1, 2, first.wire_id)
    settled(journal, again, EffectState.DELIVERED)
    assert [row.id for row in claimed(journal, NOW + 5 * SECOND)] == [2]


@pytest.mark.parametrize("state", [EffectState.FAILED, EffectState.UNKNOWN, EffectState.CANCELLED])
def test_what_will_not_be_tried_again_holds_nothing_back(state: EffectState) -> None:
    journal = owing(an_effect(1), an_effect(2))
    (first,) = claimed(journal)

    settled(journal, first, state)

    assert [row.id for row in claimed(journal)] == [2]


def test_nothing_leaves_before_its_time() -> None:
    journal = owing(an_effect(1, next_at=NOW + 1))

    assert claimed(journal, NOW) == ()
    assert len(claimed(journal, NOW + 1)) == 1


def test_a_limit_is_kept() -> None:
    journal = owing(*(an_effect(number, referral=f"K7QD-{number}") for number in range(5)))

    assert [row.id for row in claimed(journal, limit=2)] == [1, 2]


def test_an_expired_lease_goes_to_another_with_a_new_token() -> None:
    journal = owing(an_effect(1))
    (first,) = claimed(journal, NOW)

    assert claimed(journal, NOW + 60 * SECOND) == ()
    (second,) = claimed(journal, NOW + 60 * SECOND + 1)

    assert (second.id, second.attempts) == (1, 2)
    assert second.token > first.token


def test_a_lease_of_what_cannot_be_repeated_is_not_given_again() -> None:
    journal = owing(an_effect(1, transport="fax"))
    claimed(journal, NOW)

    assert claimed(journal, NOW + 3600 * SECOND) == ()


def test_a_stale_token_settles_nothing() -> None:
    journal = owing(an_effect(1))
    (first,) = claimed(journal, NOW)
    (second,) = claimed(journal, NOW + 61 * SECOND)

    assert settled(journal, first, EffectState.FAILED) is None
    done = settled(journal, second, EffectState.DELIVERED)

    assert done is not None
    assert (done.state, done.reason, done.reply, done.settled_at) == (EffectState.DELIVERED, "said", b"MSA|AA", NOW)
    assert settled(journal, second, EffectState.FAILED) is None


def test_a_settlement_survives_its_late_courier() -> None:
    journal = owing(an_effect(1))
    (row,) = claimed(journal, NOW)

    late = settled(journal, row, EffectState.DELIVERED)

    assert late is not None, "nobody took it over, so the lease still counts"


def test_what_waits_is_withdrawn_and_what_left_is_not() -> None:
    journal = owing(
        an_effect(1, purpose="prompt"), an_effect(2, purpose="prompt", lane="patient"), an_effect(3, purpose="closure")
    )
    claimed(journal)

    with journal.batch(NOW) as unit:
        assert unit.withdraw("K7QD-0001", frozenset({"prompt"}), NOW, "booked") == 1
        rows = [unit.effect(number) for number in (1, 2, 3)]

    assert [row.state.value for row in rows if row] == ["in-flight", "cancelled", "queued"]
    assert rows[1] is not None
    assert (rows[1].reason, rows[1].settled_at) == ("booked", NOW)


def test_what_this_batch_owes_can_be_withdrawn_in_it() -> None:
    journal = in_memory()

    with journal.batch(1) as unit:
        unit.owe(an_effect(1, purpose="prompt"))
        assert unit.withdraw("K7QD-0001", frozenset({"prompt"}), 1, "booked") == 1

    assert claimed(journal) == ()


@pytest.mark.parametrize(
    ("state", "decision", "becomes"),
    [
        ("failed", "retry", "queued"), ("unknown", "retry", "queued"), ("parked", "retry", "queued"),
        ("delivered", "retry", None), ("cancelled", "retry", None), ("in-flight", "retry", None),
        ("queued", "park", "parked"), ("failed", "park", "parked"), ("delivered", "park", None),
        ("queued", "cancel", "cancelled"), ("parked", "cancel", "cancelled"), ("delivered", "cancel", None),
        ("in-flight", "cancel", None),
    ],
)  # fmt: skip
def test_a_person_decides_what_may_be_decided(state: str, decision: str, becomes: str | None) -> None:
    journal = owing(an_effect(1, state=EffectState(state), transport="fax"))

    with journal.batch(NOW) as unit:
        row = unit.decide_effect(1, decision, NOW)
        stored = unit.effect(1)

    assert (row.state.value if row else None) == becomes
    assert stored is not None
    assert stored.state.value == (becomes or state)
    assert [row.id for row in claimed(journal)] == ([1] if stored.state is EffectState.QUEUED else [])


def test_a_decision_about_nothing_is_refused() -> None:
    journal = in_memory()

    with journal.batch(1) as unit:
        assert unit.decide_effect(9, "retry", NOW) is None


@pytest.mark.parametrize("twin", [an_effect(1, wire_id="OTHER"), an_effect(2, wire_id="W1-1")])
def test_the_table_itself_refuses_the_same_sending_twice(twin: EffectRow) -> None:
    journal = owing(an_effect(1))

    with pytest.raises(AssertionError, match="UNIQUE"), journal.batch(1) as unit:
        unit.owe(twin)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["delivered", "queued", "failed"])), min_size=1, max_size=12)
)
def test_whatever_happens_one_referrals_sendings_are_settled_in_order(steps: list[tuple[int, str]]) -> None:
    journal = owing(*(an_effect(number, referral=f"K7QD-{who}") for number, (who, _) in enumerate(steps)))
    over: dict[str, list[int]] = {}
    now = NOW

    for _ in range(4 * len(steps)):
        for row in claimed(journal, now, limit=2):
            outcome = EffectState(steps[row.id - 1][1])
            if outcome is EffectState.QUEUED and row.attempts > 1:
                outcome = EffectState.DELIVERED
            settled(journal, row, outcome, next_at=now + SECOND)
            if outcome is not EffectState.QUEUED:
                over.setdefault(row.referral, []).append(row.id)
        now += SECOND

    assert all(order == sorted(order) for order in over.values())
    assert sum(map(len, over.values())) == len(steps)
    assert journal.read().conservation().effects_counted == len(steps)
    assert journal.read().counts().owed(EffectState.QUEUED) == 0


# H042
def test_a_held_lane_is_free_again_when_what_holds_it_becomes_pointless() -> None:
    journal = owing(an_effect(1), an_effect(2, referral="K7QD-0002"))
    first, second = claimed(journal)
    with journal.batch(NOW) as unit:
        unit.settle(first.id, first.token, EffectState.QUEUED, NOW, NOW + SECOND, "MSA-1 was AE", hold=True)
        unit.release(second.id, second.token)
    assert claimed(journal) == ()

    with journal.batch(NOW) as unit:
        unit.withdraw("K7QD-0001", frozenset({"status"}), NOW, "booked")

    assert [row.id for row in claimed(journal)] == [2]


# H073, P7
def test_what_cannot_be_repeated_is_handed_out_as_lost_once_its_lease_is_over() -> None:
    journal = owing(an_effect(1, transport="sms"), an_effect(2, referral="K7QD-0002"))
    claimed(journal, NOW)

    with journal.batch(NOW + 61 * SECOND) as unit:
        lost = unit.lost("ehr", 16)
        again = unit.claim("ehr", unit.now, 60, 16)

    assert [row.id for row in lost] == [1]
    assert [(row.id, row.attempts, row.reason) for row in again] == [(2, 2, UNSETTLED)]


# F-G22
def test_what_is_lost_by_one_transport_is_not_sent_again_by_another() -> None:
    journal = owing(an_effect(1))
    claimed(journal, NOW)

    with journal.batch(NOW + 61 * SECOND) as unit:
        again = unit.claim("ehr", unit.now, 60, 16, "spool")
        lost = unit.lost("ehr", 16, "spool")

    assert (again, [row.id for row in lost]) == ((), [1])


# F-B10
def test_an_altered_sending_is_not_handed_out_and_closes_the_journal() -> None:
    journal = owing(an_effect(1))
    journal._connection.execute("UPDATE effects SET body = x'4D5348' WHERE id = 1")

    with pytest.raises(Altered, match="sending 1 "):
        claimed(journal)

    assert journal.fenced


# F-G10
@pytest.mark.parametrize("limit", [1, 2, 4])
def test_with_a_backlog_old_and_new_take_turns(limit: int) -> None:
    late = NOW + 3600 * SECOND
    journal = owing(*(an_effect(number, referral=f"K7QD-{number}") for number in range(1, 41)))
    with journal.batch(late) as unit:
        for number in range(41, 51):
            unit.owe(an_effect(number, referral=f"K7QD-{number}", created_at=late))
    order: list[int] = []

    for _ in range(20 // limit):
        order += [row.id for row in claimed(journal, late, limit=limit)]

    assert sorted(order) == [*range(1, 11), *range(41, 51)]
    assert max(order.index(number) for number in range(41, 51)) >= 16, "neither came in one go"


def test_the_head_of_a_queue_is_as_old_as_its_oldest_sending_and_what_is_not_due_does_not_wait() -> None:
    journal = owing(an_effect(1, created_at=3 * SECOND), an_effect(2, created_at=SECOND, next_at=NOW + SECOND))
    with journal.batch(NOW) as unit:
        now, elsewhere = unit.oldest("ehr"), unit.oldest("cardiology")
    claimed(journal)
    with journal.batch(NOW) as unit:
        on_its_way = unit.oldest("ehr")
    with journal.batch(NOW + 2 * SECOND) as unit:
        later = unit.oldest("ehr")

    assert (now, elsewhere, on_its_way, later) == (3 * SECOND, 0, 3 * SECOND, 3 * SECOND)
