"""A channel is live, in shadow or off: a shadow follows orders on every track and clock, and changes nothing outside."""

from __future__ import annotations

from collections.abc import Mapping

from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.channels.channel import Mode
from referral_engine.flow.inputs import ReviewDecided
from referral_engine.flow.pilot import NOT_ASKED, SHADOWED
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.flow.step import Step
from tests.flow.stage import BOOKING, HEART, MONDAY, NOTE, ORDER, at, book, kinds, owed, row, sample, story, tasks, tick

TWIN = "cardiology-new-office"


def with_modes(modes: Mapping[str, Mode], twin: Mode = "off") -> Book:
    """The shipped channels in these modes; `twin`: of another one that takes what the cardiologists take."""
    shipped = book()
    channels = {name: replace(one, mode=modes.get(name, one.mode)) for name, one in shipped.channels.items()}
    like = channels[HEART]
    other = replace(like, name=TWIN, mode=twin, replies=replace(like.replies, applications=(), facilities=()))
    return replace(shipped, version="modes", channels={**channels, TWIN: other})


def played(book_: Book, *days: tuple[str, str]) -> Rehearsal:
    """Samples at clinic times."""
    stage = Rehearsal(book=book_, start=at(MONDAY))
    for wall, name in days:
        stage.move_to(at(wall))
        stage.receive(sample(name))
    return stage


def test_an_order_that_only_a_shadow_takes_is_followed_and_sent_to_nobody() -> None:
    stage = played(with_modes({HEART: "shadow"}), (MONDAY, ORDER), ("2026-03-03 09:00", BOOKING))

    stage.move_to(at("2026-03-12 09:00"))

    assert story(stage).referral.watched
    assert story(stage).line.status == "scheduled"
    assert {(one.state.value, one.reason, one.attempts) for one in owed(stage)} == {("cancelled", SHADOWED, 0)}
    assert any(clock.state == "fired" for clock in story(stage).deadlines)
    assert any(clock.state == "pending" for clock in story(stage).deadlines)


def test_a_person_is_told_of_each_order_that_only_a_shadow_takes_and_of_nothing_else() -> None:
    stage = played(with_modes({HEART: "shadow"}), (MONDAY, ORDER))

    stage.move_to(at("2026-03-20 09:00"))

    assert kinds(stage) == ["unroutable-order"]
    assert tasks(stage)[0].reason == (
        f"only the channel {HEART} takes it, and that is in shadow: followed, and nothing is sent"
    )
    asked = [one for one in stage.journal.read().tasks(done=True) if one.referral]
    assert asked
    assert {(one.state.value, one.note) for one in asked} == {("done", NOT_ASKED)}


def test_beside_a_live_channel_a_shadow_is_only_counted() -> None:
    alone = played(with_modes({}), (MONDAY, ORDER), ("2026-03-03 09:00", BOOKING), ("2026-03-11 09:00", NOTE))
    beside = played(
        with_modes({}, twin="shadow"), (MONDAY, ORDER), ("2026-03-03 09:00", BOOKING), ("2026-03-11 09:00", NOTE)
    )

    assert story(beside).line.channel == HEART
    assert story(beside).events[0].reason == story(alone).events[0].reason
    assert f"in shadow it would also be taken by {TWIN}" in story(beside).messages[0].reason
    assert [(one.purpose, one.state) for one in owed(beside)] == [(one.purpose, one.state) for one in owed(alone)]
    assert kinds(beside) == kinds(alone)
    assert [one.body for one in owed(beside)] == [one.body for one in owed(alone)]


def test_what_a_shadow_followed_stays_watched_when_its_channel_goes_live() -> None:
    stage = played(with_modes({HEART: "shadow"}), (MONDAY, ORDER))
    stage.step = Step(stage.journal, replace(with_modes({}), version="live"), stage.clock)

    stage.move_to(at("2026-03-03 09:00"))
    stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-20 09:00"))
    again = row(stage, stage.receive(sample(ORDER, {"MSH-10": "AGAIN"})))

    assert {one.state.value for one in owed(stage)} == {"cancelled"}
    assert again.reason == "this order is known"


def test_a_new_order_is_no_duplicate_of_one_that_was_only_watched() -> None:
    stage = played(with_modes({HEART: "shadow"}), (MONDAY, ORDER))
    stage.step = Step(stage.journal, replace(with_modes({}), version="live"), stage.clock)

    stage.receive(sample(ORDER, {"MSH-10": "ANOTHER", "ORC-2.1": "P-2002", "OBR-2.1": "P-2002"}))

    assert story(stage, "P-2002").referral.duplicate_of == ""
    assert next(one.purpose for one in owed(stage) if one.state.value == "delivered") == "order"


def test_what_was_live_when_it_was_ordered_is_finished_live() -> None:
    stage = played(with_modes({}), (MONDAY, ORDER))
    stage.step = Step(stage.journal, replace(with_modes({HEART: "off"}), version="off"), stage.clock)

    stage.move_to(at("2026-03-03 09:00"))
    stage.receive(sample(BOOKING))

    assert {one.state.value for one in owed(stage)} == {"delivered"}


def test_a_closure_that_was_only_watched_is_not_waited_for() -> None:
    stage = played(
        with_modes({HEART: "shadow"}), (MONDAY, ORDER), ("2026-03-03 09:00", BOOKING), ("2026-03-11 09:00", NOTE)
    )
    before = len(story(stage).events)

    stage.move_to(at("2026-03-25 09:00"))

    assert story(stage).referral.closure.value == "closing"
    assert len(story(stage).events) == before
    assert [clock.kind for clock in story(stage).deadlines if clock.state == "pending"] == ["open-30"]


def test_a_person_who_names_a_shadow_for_a_new_referral_must_be_sure() -> None:
    stage = played(with_modes({HEART: "shadow"}), (MONDAY, NOTE))
    stage.move_to(at("2026-03-06 09:00"))
    tick(stage)
    (review,) = tasks(stage, "match-review")
    new = ReviewDecided(task=review.id, decision="new", by="jane", reason="known here", channel=HEART)

    refused = stage.put(new).refused
    sure = stage.put(replace(new, sure=True)).refused

    assert refused == f"channel {HEART} is in shadow, so nothing would be sent: say that you are sure"
    assert sure == ""
    assert {one.state.value for one in owed(stage)} == {"cancelled"}
