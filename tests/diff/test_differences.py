"""What a candidate would have made of the last days: exactly what it changes, and the line that changes it."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from referral_engine.flow.inputs import PatientReplied
from referral_engine.stories.places import site_of
from referral_engine.stories.script import Line
from referral_engine.stories.traffic import Plan, traffic
from tests.channels.shipped import shipped_files
from tests.diff.given import (
    ENGINE_FILE,
    HEART_FILE,
    Practice,
    changed,
    line_of,
    wall,
)
from tests.flow.stage import BOOKING, HEART, NOTE, ORDER, book

HMO = "orm-o01-cardiology-hmo.hl7"
FAXED = "orm-o01-orthopaedics.hl7"
SCHEDULE = (HEART_FILE, 'schedule = { routine = "7 days"', 'schedule = { routine = "5 days"')
REMARK = (HEART_FILE, "# Heart Group of Springfield", "# The Heart Group of Springfield")


@pytest.fixture(scope="module")
def week() -> Practice:
    """An order that nobody books, and one by fax."""
    made = Practice()
    made.receive("2026-03-02 09:00", ORDER)
    made.receive("2026-03-02 10:00", FAXED)
    made.engine.move_to(made.engine.clock.now() + timedelta(days=9))
    return made


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_files_that_decide_the_same_differ_in_nothing(seed: int) -> None:
    """Whatever came: a remark makes another version, and no difference."""
    site = site_of(book(), "ehr")
    plan = Plan(begins=date(2026, 3, 2), days=1, stories=6, noise=0.3)
    lines = [one for one in traffic(site, plan, random.Random(seed)) if isinstance(one, Line)]
    practice = Practice()
    for line in lines:
        if line.at < lines[0].at + timedelta(days=3):
            practice.engine.move_to(line.at)
            practice.engine.receive(line.write())

    same = practice.compare(changed(REMARK), since="2026-03-02 12:00")

    assert same.found == [], f"seed {seed}"
    assert same.before.unlike == 0, f"seed {seed}"
    assert same.before.replayed > 10


def test_a_changed_clock_moves_that_clock_and_what_it_causes(week: Practice) -> None:
    files = changed(SCHEDULE)

    compared = week.compare(files)

    assert compared.told() == [
        "clock moves schedule P-1001",
        "task moves schedule P-1001",
        "send moves ehr task schedule P-1001",
        "send moves team team-post schedule P-1001",
    ]
    clock = compared.one("clock", "schedule")
    assert (wall(clock.before_at), wall(clock.after_at)) == ("2026-03-09 09:00", "2026-03-07 09:00")
    assert (clock.before, clock.after) == ("runs out", "runs out")
    assert clock.referral == week.engine.journal.read().find("P-1001")
    assert compared.lines() == {line_of(files, HEART_FILE, 'routine = "5 days"')}


def test_a_referral_that_was_open_before_keeps_the_clocks_it_has(week: Practice) -> None:
    compared = week.compare(changed(SCHEDULE), since="2026-03-03 09:00")

    assert compared.found == []
    assert len(compared.before.loops) == 2


def test_an_order_that_no_line_of_match_takes_any_more_takes_everything_with_it(week: Practice) -> None:
    files = changed((HEART_FILE, '["REFCARD", "REFEP"]', '["REFEP"]'))

    compared = week.compare(files)

    (route,) = [one for one in compared.found if one.kind == "message"]
    assert (route.before, route.after) == (f"AA, applied, {HEART}, level 1", "AA, needs-human")
    assert route.why == f'{HEART}: OBR-4.1 is "REFCARD", wanted "REFEP"'
    assert route.line == line_of(files, HEART_FILE, '"OBR-4.1"')
    assert "task appears unroutable-order P-1001" in compared.told()
    assert "send vanishes specialist order P-1001" in compared.told()
    assert "clock vanishes schedule P-1001" in compared.told()
    assert {one.placer for one in compared.found} == {"P-1001"}
    assert compared.lines() == {route.line}


def test_a_removed_channel_is_named(week: Practice) -> None:
    files = changed()
    del files[HEART_FILE]

    compared = week.compare(files)

    assert {one.why for one in compared.found} == {f"{HEART}: there is no such channel now"}
    assert compared.lines() == {HEART_FILE}


def test_a_hold_that_asks_for_less_lets_the_packet_go_at_once() -> None:
    practice = Practice()
    practice.receive("2026-03-02 09:00", HMO)
    practice.do("2026-03-03 10:00", "preauth", release=True)
    files = changed((HEART_FILE, '{ "IN1-15" = "HMO" }', '{ "IN1-15" = "EPO" }'))

    compared = practice.compare(files, until="2026-03-04 09:00")

    order = compared.one("send", "specialist order")
    assert (order.change, wall(order.before_at), wall(order.after_at)) == (
        "moves", "2026-03-03 10:00", "2026-03-02 09:00",
    )  # fmt: skip
    assert "task vanishes preauth" in " ".join(compared.told())
    assert "clock vanishes hold-remind" in " ".join(compared.told())
    assert order.line == line_of(files, HEART_FILE, '"IN1-15"')


def test_quiet_hours_move_what_patients_are_sent_and_nothing_else(week: Practice) -> None:
    files = changed((ENGINE_FILE, '"21:00-08:00"', '"21:00-11:00"'))

    compared = week.compare(files)

    assert {one.kind for one in compared.found} == {"send"}
    assert {one.what.split()[0] for one in compared.found} == {"patient"}
    assert compared.lines() == {line_of(files, ENGINE_FILE, "quiet_hours")}
    assert all(wall(one.after_at)[-5:] >= "11:00" for one in compared.found)


def test_a_fallback_is_what_a_failed_packet_goes_by() -> None:
    practice = Practice(partners={HEART: "AR"})
    practice.receive("2026-03-02 09:00", ORDER)
    way = '[fallback]\nkind   = "spool"\ndirectory = "heart"\n\n[message] '
    files = changed((HEART_FILE, "[message] ", way))

    compared = practice.compare(files, until="2026-03-02 18:00")

    sent = [one for one in compared.found if one.kind == "send" and one.change == "appears"]
    assert f"{HEART}/fallback by spool" in {one.after for one in sent}
    assert compared.before.sends, "the failure was replayed"
    assert "undeliverable" in {kind for _, kind, _ in compared.before.tasks}


def test_another_address_in_the_packet_changes_its_bytes_only(week: Practice) -> None:
    files = changed((HEART_FILE, '"CENTRICITY"      # MSH-5', '"CENTRIC2"        # MSH-5'))

    compared = week.compare(files)

    assert {(one.kind, one.change) for one in compared.found} == {("send", "changes")}
    assert {one.what.split()[0] for one in compared.found} == {"specialist"}
    assert compared.lines() == {line_of(files, HEART_FILE, '"CENTRIC2"')}


def test_a_channel_in_shadow_sends_nothing_and_a_person_is_asked() -> None:
    practice = Practice()
    practice.receive("2026-03-02 09:00", ORDER)
    files = changed((HEART_FILE, 'calendar  = "', 'mode      = "shadow"\ncalendar  = "'))

    compared = practice.compare(files, until="2026-03-02 09:30")

    assert [one for one in compared.told("send") if "appears" in one] == []
    assert "send vanishes specialist order P-1001" in compared.told()
    assert "task appears unroutable-order P-1001" in compared.told()
    assert compared.one("send", "specialist order").line == line_of(files, HEART_FILE, '"shadow"')


def test_what_people_and_patients_did_is_done_again() -> None:
    practice = Practice()
    practice.receive("2026-03-02 09:00", HMO)
    practice.do("2026-03-03 10:00", "preauth", authorized="A-77", note="called")
    identity = practice.engine.journal.read().referrals()[0].id
    practice.engine.put(PatientReplied(referral=identity, answer="YES"))

    compared = practice.compare(changed(REMARK), until="2026-03-04 09:00")

    (loop,) = compared.before.loops.values()
    kinds = [kind for _, kind, _ in loop.steps]
    really = practice.engine.journal.read().story(identity)
    assert really is not None
    assert sorted(kinds) == sorted(one.kind for one in really.events)
    assert (loop.real, compared.before.missed.acts) == (identity, 0)


def test_a_delivery_ends_as_it_really_did_and_when() -> None:
    practice = Practice(partners={HEART: "AR"})
    practice.receive("2026-03-02 09:00", ORDER)

    compared = practice.compare(changed(REMARK), until="2026-03-02 12:00")

    told = [said for _, kind, said in next(iter(compared.before.loops.values())).steps if kind == "DeliverySettled"]
    assert told[0] == "To specialist: order failed (dispatch queued -> undeliverable)"


def test_a_whole_loop_is_the_same_in_the_replay_as_it_was() -> None:
    practice = Practice()
    practice.receive("2026-03-02 09:00", ORDER)
    practice.receive("2026-03-03 09:00", BOOKING)
    practice.receive("2026-03-11 09:00", NOTE)

    compared = practice.compare(shipped_files(), since="2026-03-04 09:00", until="2026-03-12 09:00")

    (loop,) = compared.before.loops.values()
    assert (loop.status, compared.before.unlike, compared.found) == ("closed", 0, [])
