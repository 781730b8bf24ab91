"""What a crash left in flight can be taken up by the next process at once, under a new token."""

from __future__ import annotations

from pathlib import Path

from referral_engine.journal.journal import Journal
from tests.journal.made import an_effect

KEY = bytes(range(32))


def test_what_was_in_flight_at_a_crash_is_claimed_by_the_next_process_without_waiting(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    journal = Journal.open(path, KEY, node="K7QD")
    with journal.batch(1) as unit:
        unit.owe(an_effect(1))
    with journal.batch(2) as unit:
        (first,) = unit.claim("ehr", 10**9, 3600.0, 1)
    journal.close()

    again = Journal.open(path, KEY)
    with again.batch(3) as unit:
        (second,) = unit.claim("ehr", 10**9 + 1, 3600.0, 1)
        stale = unit.settle(first.id, first.token, first.state, 3)

    assert second.id == first.id
    assert second.wire_id == first.wire_id
    assert second.body == first.body
    assert second.attempts == first.attempts + 1
    assert second.token > first.token
    assert stale is None
    again.close()
