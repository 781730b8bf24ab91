"""Whatever a partner does, whenever the engine dies: nothing is lost, changed, doubled or out of order, and all of it ends."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from referral_engine.channels.naks import NakMeaning
from referral_engine.loop.effects import Purpose
from tests.outbound.site import LANE, Receiver, Site, accepts, total_queue
from tests.transports.peers import ack, framed

WORDS = ("AA", "AA", "AE", "AR", "206", "cut", "close", "silence", "mismatch", "garbage", "late", "web page")
RETRY = {"first_seconds": 2.0, "longest_seconds": 20.0, "give_up_after_seconds": 1800.0, "ack_timeout_seconds": 5.0}


class Moody(Receiver):
    """Answers as chance says, until it is well again."""

    def __init__(self, clock: Any, chance: Random) -> None:
        super().__init__(clock, self._answer)
        self.chance = chance
        self.well = False
        self.accepted: list[str] = []
        self.before = ""

    def _answer(self, control_id: str) -> Any:
        word = "AA" if self.well else self.chance.choice(WORDS)
        before, self.before = self.before, control_id
        if word == "AA" or (word == "late" and before == control_id):
            self.accepted.append(control_id)
            return accepts(control_id)
        return {
            "AE": framed(ack("AE", control_id)),
            "AR": framed(ack("AR", control_id)),
            "206": framed(ack("AE", control_id, error="206")),
            "cut": "cut",
            "close": "close",
            "silence": None,
            "mismatch": accepts("NOBODY"),
            "garbage": b"\x0b\x00\xff\x1c\r",
            "late": accepts(before or "NOBODY"),
            "web page": b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
        }[word]


def _live(site: Site, office: Moody, chance: Random, nak: NakMeaning) -> None:
    office.clock = site.clock
    site.courier(office, nak=nak, chance=chance.random, claimed_at_once=chance.choice([1, 2, 16]), **RETRY)
    site.start()


# F-A03, F-G03 to F-G08, H082, P5, P6, P7
@given(
    seed=st.integers(0, 2**32),
    referrals=st.lists(st.sampled_from("ABCD"), min_size=1, max_size=12),
    error=st.sampled_from(["retry", "hold", "person"]),
    deaths=st.integers(0, 3),
)
@settings(max_examples=10, deadline=None)
def test_whatever_a_partner_does_nothing_is_lost_changed_doubled_or_out_of_order(
    seed: int, referrals: list[str], error: Any, deaths: int
) -> None:
    chance, nak = Random(seed), NakMeaning(error=error)
    site = Site()
    office = Moody(site.clock, chance)
    names = [f"{letter}{number:02d}" for number, letter in enumerate(referrals)]
    for name in names:
        site.owe(name, referral=f"RE-{name[0]}", purpose=Purpose.ORDER_CHANGE.value)
    _live(site, office, chance, nak)

    for _ in range(deaths):
        office.refuses = chance.random() < 0.3
        site.run(chance.choice([0.5, 7.0, 40.0]))
        for line in office.lines:
            line.end(cleanly=False)
        successor = Site(journal=site.journal)
        successor.wall.move_to(site.wall.now())
        site.journal._connection.execute("UPDATE effects SET lease_until = 0 WHERE state = 'in-flight'")
        site.journal._unit.forget()
        site = successor
        _live(site, office, chance, nak)
    site.run(20, step=1.0)
    office.refuses, office.well = False, True
    site.run(240, step=1.0)

    ledger = total_queue(site, office)
    assert ledger == {"lost": set(), "changed": set(), "unexpected": set(), "unfinished": set()}
    rows = {row.wire_id: row for row in site.rows()}
    delivered = {name for name, row in rows.items() if row.state.value == "delivered"}
    assert delivered <= set(office.accepted), "delivered is what the partner itself accepted"
    for_people = {row.referral for row in rows.values() if row.state.value in ("failed", "unknown")}
    assert {task.referral for task in site.tasks()} == for_people
    for letter in set(referrals):
        of_one = [name for name in office.effects if name[0] == letter]
        assert of_one == sorted(of_one)
    assert site.couriers[LANE].status()["circuit"] == "closed" or not delivered
    assert site.failed is None
    sums = site.journal.read().conservation()
    assert sums.effects_counted == sums.effects_stored
