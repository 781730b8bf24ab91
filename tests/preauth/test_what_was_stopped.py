"""A packet that was denied, cancelled or ended leaves by no way, also when it was in flight; through the door."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from referral_engine.base.values import replace
from referral_engine.channels.channel import FaxTransport, lane_of
from referral_engine.channels.engine import Pilot
from referral_engine.flow.inputs import Claim, EvidenceUnbound, OutboxDecision, Settled
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.flow.step import Step
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome
from tests.flow.stage import (
    HEART,
    ORDER,
    arrived,
    at,
    book,
    book_with,
    done,
    engine,
    kinds,
    owed,
    sample,
    story,
    tick,
    tracks,
)
from tests.preauth.test_the_payers_word import HMO, changed, held, state

SECOND = lane_of(HEART, 1)
DENIAL = b"AUT|HMO200|61002|||||||0"
CANCEL = sample(ORDER, {"MSH-10": "CANCEL", "ORC-1": "CA"})
ANOTHER = "1902345671"


@dataclass
class Ladder:
    """An order that came in, for an office with a fax behind its interface; no courier has looked yet."""

    stage: Rehearsal

    def claim(self, lane: str = HEART) -> tuple[EffectRow, ...]:
        return self.stage.step.run([Claim(lane=lane, limit=4)])[0].effects

    def settle(self, row: EffectRow, outcome: Outcome) -> None:
        self.stage.step.run([Settled(effect=row.id, token=row.token, outcome=outcome)])

    def hear(self, raw: bytes) -> None:
        self.stage.step.run([arrived(raw)])

    @property
    def leaves(self) -> list[str]:
        return [row.purpose for lane in (HEART, SECOND) for row in self.claim(lane)]


@pytest.fixture
def ladder() -> Ladder:
    heart = book().channels[HEART]
    fax = FaxTransport(gateway="rightfax", number="+12175550199")
    other = book_with(replace(heart, fallbacks=(fax,), policy=replace(heart.policy, fallbacks=1)))
    stage = engine(other=other)
    stage.step.run([arrived(sample(ORDER))])
    return Ladder(stage)


def denied() -> bytes:
    """The order, changed: the payer said no."""
    lines = sample(ORDER, {"MSH-10": "DENIED", "ORC-1": "XO"}).split(b"\r")
    at_line = next(number for number, line in enumerate(lines) if line.startswith(b"IN1"))
    return b"\r".join([*lines[: at_line + 1], DENIAL, *lines[at_line + 1 :]])


# ------------------------------------------------------------------------------------------------ in flight, parked


@pytest.mark.parametrize("message", [CANCEL, denied()], ids=["cancelled", "denied"])
def test_a_packet_in_flight_when_it_is_stopped_is_not_tried_again(ladder: Ladder, message: bytes) -> None:
    (packet,) = ladder.claim()
    ladder.hear(message)

    ladder.settle(packet, Outcome.RETRY)

    assert ladder.leaves == []
    assert [row.state.value for row in owed(ladder.stage) if row.purpose == "order"] == ["cancelled"]


def test_the_second_way_of_a_cancelled_order_does_not_leave_and_the_cancel_does(ladder: Ladder) -> None:
    (first,) = ladder.claim()
    ladder.settle(first, Outcome.FAILED)
    (second,) = ladder.claim(SECOND)
    ladder.hear(CANCEL)

    ladder.settle(second, Outcome.RETRY)

    assert ladder.leaves == ["cancel"]


def test_a_stopped_packet_that_nobody_heard_of_again_may_have_arrived_and_is_a_persons(ladder: Ladder) -> None:
    ladder.claim()
    ladder.hear(denied())

    ladder.stage.clock.move_to(at("2026-03-02 11:00"))
    tick(ladder.stage)

    assert ladder.leaves == []
    assert "unknown-delivery" in kinds(ladder.stage)
    assert tracks(ladder.stage)["authorization"] == "denied"


@pytest.mark.parametrize("message", [CANCEL, denied()], ids=["cancelled", "denied"])
def test_a_person_cannot_let_a_stopped_packet_go_by_trying_it_again(ladder: Ladder, message: bytes) -> None:
    (packet,) = ladder.claim()
    ladder.settle(packet, Outcome.RETRY)
    ladder.stage.step.run([OutboxDecision(effect=packet.id, decision="park", by="coordinator")])
    ladder.hear(message)

    (refused,) = ladder.stage.step.run([OutboxDecision(effect=packet.id, decision="retry", by="coordinator")])

    assert "must not leave" in refused.refused
    assert ladder.leaves == []


# ------------------------------------------------------------------------------------------------ the next way


def test_what_waits_for_its_second_way_is_held_when_the_payer_says_no(ladder: Ladder) -> None:
    (first,) = ladder.claim()
    ladder.settle(first, Outcome.FAILED)

    ladder.hear(denied())

    assert (tracks(ladder.stage)["authorization"], tracks(ladder.stage)["dispatch"]) == ("denied", "held")
    assert ladder.leaves == []  # nor a change, which tells the office the whole order


def test_a_denied_packet_of_unknown_fate_takes_no_other_way_and_a_person_is_told(ladder: Ladder) -> None:
    (first,) = ladder.claim()
    ladder.settle(first, Outcome.UNKNOWN)
    ladder.hear(denied())

    ladder.stage.clock.move_to(at("2026-03-02 14:00"))
    tick(ladder.stage)

    assert SECOND not in {row.lane for row in owed(ladder.stage)}
    assert {"undeliverable", "preauth"} <= set(kinds(ladder.stage))


def test_what_an_undone_denial_had_owed_again_does_not_leave_once_the_approval_is_undone_too() -> None:
    waiting = Ladder(held())
    (approval,) = waiting.stage.step.run([arrived(changed("A1", "AUTH-10"))])
    (denial,) = waiting.stage.step.run([arrived(changed("D1", "AUTH-11", extra=DENIAL.decode()))])

    for one in (denial, approval):
        waiting.stage.step.run([EvidenceUnbound(message=one.sequence, by="coordinator", reason="another patient's")])

    assert state(waiting.stage) == ("required", "held")
    assert waiting.leaves == []


def test_an_office_that_does_not_answer_gets_no_second_notice_of_what_was_denied() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.receive(denied())

    stage.move_to(at("2026-03-04 09:01"))

    assert "call-specialist" in kinds(stage)
    assert "second-notice" not in {row.purpose for row in owed(stage)}


# ------------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("number", ["auth-9", "AUTH 9", "AUTH9", "00AUTH-9", "AUTH-9 "])
def test_a_denied_number_typed_otherwise_is_the_denied_number(number: str) -> None:
    stage = held()
    stage.receive(changed("D1", "AUTH-9", extra=DENIAL.decode()))

    stage.receive(changed("D2", number))
    refused = done(stage, "preauth", authorized=number).refused

    assert "the payer denied that number" in refused
    assert state(stage) == ("denied", "held")


@pytest.mark.parametrize("remark", ["   ", "DENIED", "pending"])
def test_a_remark_of_a_person_in_the_place_of_the_number_lets_nothing_go(remark: str) -> None:
    stage = held()

    assert "no digit" in done(stage, "preauth", authorized=remark).refused
    assert state(stage) == ("required", "held")


def authorized(ends: str = "20260601", provider: str = "") -> str:
    return f"AUT|HMO200|61002||20260101|{ends}|AUTH-1" + (f"{'|' * 18}{provider}" if provider else "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (authorized("20260201"), authorized("20260601")),
        (authorized(provider=ANOTHER), authorized(provider="1234567893")),
    ],
    ids=["it had ended and is prolonged", "it named another specialist and names this one"],
)
def test_an_authorization_put_right_under_its_own_number_lets_the_packet_go(before: str, after: str) -> None:
    stage = engine()
    lines = [line for line in sample(HMO).split(b"\r") if line]
    at_line = next(number for number, line in enumerate(lines) if line.startswith(b"IN1"))
    stage.receive(b"\r".join([*lines[: at_line + 1], before.encode(), *lines[at_line + 1 :]]) + b"\r")
    assert state(stage) == ("required", "held")

    stage.receive(changed("X1", extra=before))
    assert state(stage) == ("required", "held")
    stage.receive(changed("X2", extra=after))

    assert state(stage) == ("approved", "received")


def test_the_insurance_that_pays_first_decides_wherever_it_stands() -> None:
    lines = [line for line in sample(HMO).split(b"\r") if line]
    at_line = next(number for number, line in enumerate(lines) if line.startswith(b"IN1"))
    first = lines[at_line].split(b"|")
    first[14] = b"DENIED"
    second = b"IN1|2|MCD1|77001|Sample Medicaid||||||||||S-2|MCD"
    stage = engine()

    stage.receive(b"\r".join([*lines[:at_line], second, b"|".join(first), *lines[at_line + 1 :]]) + b"\r")

    assert state(stage) == ("denied", "held")


# ------------------------------------------------------------------------------------------------ the pilot


def test_an_order_is_no_duplicate_of_one_whose_packet_the_pilot_only_watched() -> None:
    watching = replace(book(), version="pilot", engine=replace(book().engine, pilot=Pilot(mode="shadow")))
    stage = engine(other=watching)
    stage.receive(sample(ORDER))
    stage.step = Step(stage.journal, book(), stage.clock)

    stage.receive(sample(ORDER, {"MSH-10": "ANOTHER", "ORC-2.1": "P-2002", "OBR-2.1": "P-2002"}))

    assert story(stage, "P-2002").referral.duplicate_of == ""
    assert [row.state.value for row in owed(stage) if row.purpose == "order"] == ["cancelled", "delivered"]
