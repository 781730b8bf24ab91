"""A configuration comes in force as a numbered version; running referrals keep the clocks they were accepted under."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_engine.base.clock import ManualClock, from_micros, to_micros
from referral_engine.base.values import replace
from referral_engine.channels.book import Book, read_book
from referral_engine.flow import step as door_module
from referral_engine.flow import versions
from referral_engine.flow.inputs import ConfigChanged, ConfigMigrated, ConfigRefused, EvidenceUnbound, Receipt, Ticked
from referral_engine.flow.past import policy_of_channel
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.loop.clocks import deadlines
from referral_engine.loop.policy import Kind, Policy
from referral_engine.loop.referral import Referral
from referral_engine.service.handling import Broken, through
from referral_engine.service.migration import shape_migration
from referral_engine.service.readings import READINGS
from referral_engine.service.why_shapes import shape_why
from tests.channels.shipped import shipped_files
from tests.flow.stage import BOOKING, HEART, NOTE, ORDER, arrived, at, row, sample, story, whole

FILE = f"channels/{HEART}.toml"
ENGINE = "conf/engine.toml"
LONGER = ('schedule = { routine = "7 days"', 'schedule = { routine = "10 days"')
LONGEST = ('schedule = { routine = "7 days"', 'schedule = { routine = "20 days"')
SHORTER = ('schedule = { routine = "7 days"', 'schedule = { routine = "3 days"')
CANCELLED = {"MSH-9.2": "S15", "MSH-10": "CANCELLED", "SCH-25": "Cancelled"}
Files = dict[str, str]


@cache
def _few() -> tuple[tuple[str, str], ...]:
    """Of the shipped files those that the sample orders need."""
    wanted = ("engine.toml", "ehr.toml", f"{HEART}.toml")
    return tuple((file, text) for file, text in shipped_files().items() if file.endswith(wanted))


def files(*changes: tuple[str, str], file: str = FILE, gone: str = "") -> Files:
    """The files with some words of one of them changed, or without one."""
    found = dict(_few())
    for old, new in changes:
        assert old in found[file], "a test changes what is there"
        found[file] = found[file].replace(old, new)
    return {name: text for name, text in found.items() if name != gone}


@cache
def _read(texts: tuple[tuple[str, str], ...]) -> Book:
    return read_book(dict(texts))


def book_of(texts: Files) -> Book:
    """The same as a value, read once."""
    return _read(tuple(sorted(texts.items())))


def changed(texts: Files, action: str = "reload", **more: object) -> ConfigChanged:
    """Somebody puts these files in force."""
    words = {"config": book_of(texts).version, "files": texts, "action": action, "by": "user:jane"} | more
    return ConfigChanged(**words)  # type: ignore[arg-type]  # a test names the fields it changes


def engine(*more: Files) -> Rehearsal:
    """An empty engine whose journal knows its configuration, as the daemon starts it; then these come in force."""
    stage = Rehearsal(book=book_of(files()), start=at("2026-03-02 09:00"))
    stage.step.run([changed(files(), "start", by="engine")])
    for texts in more:
        put(stage, texts)
    return stage


def put(stage: Rehearsal, texts: Files, **more: object) -> Receipt:
    """Another configuration comes in force, read beforehand."""
    stage.step.offer(book_of(texts))
    receipt = stage.put(changed(texts, **more))  # type: ignore[arg-type]  # as above
    assert not receipt.refused
    return receipt


def due(stage: Rehearsal, kind: str = "schedule", placer: str = "P-1001") -> list[str]:
    """When the running clocks of a kind are due, clinic wall time."""
    rows = [one for one in story(stage, placer).deadlines if one.kind == kind and one.state == "pending"]
    return [from_micros(one.due_at).astimezone(at("2026-03-02").tzinfo).strftime("%m-%d %H:%M") for one in rows]


def lines(stage: Rehearsal, action: str) -> list[tuple[str, str, str]]:
    """The lines of the audit that begin with a word."""
    rows = stage.journal._connection.execute("SELECT actor, action, object, outcome FROM audit ORDER BY sequence")
    return [(one[0], one[2], one[3]) for one in rows.fetchall() if one[1].startswith(action)]


# A version ------------------------------------------------------------------------------------------------------------


def test_a_configuration_that_comes_in_force_is_a_version_with_who_why_and_the_difference() -> None:
    stage = engine()

    receipt = put(stage, files(LONGER), reason="the office is slow in March")

    assert receipt.version == 2
    kept = stage.journal.read().version(2)
    assert kept is not None
    assert (kept.by, kept.action, kept.reason, kept.forced) == (
        "user:jane",
        "reload",
        "the office is slow in March",
        False,
    )
    assert dict(kept.files) == files(LONGER)
    told = kept.difference.splitlines()
    assert told[:2] == [f"--- {FILE}", f"+++ {FILE}"]
    assert [line for line in told[3:] if line[0] in "+-"] == [
        '-schedule = { routine = "7 days", urgent = "3 days" }',
        '+schedule = { routine = "10 days", urgent = "3 days" }',
    ]
    assert lines(stage, "config")[-1] == ("user:jane", "configuration 2", kept.config)
    assert stage.journal.read().first_bad_audit_line() is None
    assert stage.step.book is book_of(files(LONGER)), "what was offered is not read again"


def test_what_was_not_offered_is_read_and_what_is_wrong_is_refused_and_changes_nothing() -> None:
    stage, broken = engine(), files(("7 days", "7 bizdays"))

    receipt = stage.put(ConfigChanged(config="whatever", files=broken, action="reload", by="user:jane"))

    assert receipt.refused == f"the configuration has 1 problems, the first: {FILE}:51 CH205"
    assert receipt.version == 0
    assert stage.step.book.version == book_of(files()).version
    assert [one.number for one in stage.journal.read().versions()] == [1]
    assert stage.put(changed(files(LONGER))).version == 2
    assert stage.step.book.version == book_of(files(LONGER)).version


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"action": "guess"}, "'guess' is not one of start, reload, rollback"),
        ({"forced": True}, "say why: forcing a configuration needs a reason"),
        ({"config": "abc"}, "the files are those of configuration"),
    ],
)
def test_a_change_that_cannot_be_recorded_rightly_is_refused(more: dict[str, object], sentence: str) -> None:
    stage = engine()

    receipt = stage.put(changed(files(LONGER), **more))  # type: ignore[arg-type]  # the fields of a change

    assert sentence in receipt.refused
    assert stage.step.book.version == book_of(files()).version
    assert len(stage.journal.read().versions()) == 1


def test_the_same_change_twice_is_one_version() -> None:
    stage = engine()

    first, again = put(stage, files(LONGER)), put(stage, files(LONGER))
    both = stage.step.run([changed(files(SHORTER)), changed(files(SHORTER))])

    assert (first.version, again.version) == (2, 2)
    assert [one.version for one in both] == [3, 3]
    assert len(lines(stage, "config reload")) == 2


def test_a_start_with_the_files_of_the_newest_version_writes_nothing_and_one_with_others_does() -> None:
    stage = engine()
    before = stage.journal.read().version_in_force()

    again = stage.put(changed(files(), "start", by="engine"))

    assert again.version == 1
    assert stage.journal.read().version_in_force() == before
    assert stage.put(changed(files(LONGER), "start", by="engine")).version == 2


def test_a_rollback_is_a_new_version_of_the_old_texts() -> None:
    stage = engine(files(LONGER))

    assert put(stage, files(), action="rollback", reason="too slow").version == 3

    newest = stage.journal.read().version(3)
    assert newest is not None
    assert (newest.config, newest.action) == (book_of(files()).version, "rollback")
    assert '+schedule = { routine = "7 days"' in newest.difference


def test_files_that_come_and_go_are_told_and_a_difference_without_end_is_cut() -> None:
    told = versions.difference({"a.toml": "x = 1\n", "b.toml": "y = 1"}, {"b.toml": "y = 1\r\n", "c.toml": "z = 1\n"})

    assert told.splitlines() == [
        "--- a.toml", "+++ /dev/null", "@@ -1 +0,0 @@", "-x = 1",
        "--- b.toml", "+++ b.toml", "\\ only ends of lines differ",
        "--- /dev/null", "+++ c.toml", "@@ -0,0 +1 @@", "+z = 1",
    ]  # fmt: skip
    long = versions.difference({}, {"a.toml": "# é\n" * 60_000, "b.toml": "x\n" * 150_000})
    assert "\\ too long to compare: 0, 60000 lines" in long
    many = versions.difference({}, {f"{number}.toml": "# é and more\n" * 500 for number in range(60)})
    assert many.splitlines()[-1] == "\\ cut here: the difference is longer than 204800 bytes"
    assert len(many.encode()) < versions.DIFFERENCE_BYTES_MAX + 100


# H080
def test_an_address_that_changes_under_a_backlog_keeps_what_waits_and_the_journal_says_who_changed_it() -> None:
    stage = engine()
    stage.step.run([arrived(sample(ORDER))])
    waited = [(row.lane, row.state) for row in stage.journal.read().outbox()]

    put(stage, files(("port        = 6661", "port        = 6671")))

    assert [(row.lane, row.state) for row in stage.journal.read().outbox()] == waited
    assert HEART in [lane for lane, _ in waited]
    assert lines(stage, "config reload")[-1][:2] == ("user:jane", "configuration 2")
    (found, *_) = stage.journal.read().versions(1)
    version = stage.journal.read().version(found.number)
    assert version is not None
    assert "-port        = 6661\n+port        = 6671" in version.difference


def test_a_candidate_that_was_refused_is_in_the_audit_only() -> None:
    stage = engine()

    stage.put(ConfigRefused(config="abcdef012345", by="signal", code="CH203"))

    assert lines(stage, "config refused") == [("signal", "configuration abcdef012345", "CH203")]
    assert len(stage.journal.read().versions()) == 1


# The batch it is in ---------------------------------------------------------------------------------------------------


def test_everything_in_the_batch_of_a_change_is_decided_under_the_old_files() -> None:
    stage = engine()
    other = "orm-o01-electrophysiology-ppo.hl7"

    receipts = stage.step.run([arrived(sample(ORDER)), changed(files(LONGER)), arrived(sample(other)), Ticked()])
    third = stage.receive(sample(BOOKING))

    old, new = book_of(files()).version, book_of(files(LONGER)).version
    assert [row(stage, receipts[at]).config for at in (0, 2)] == [old, old]
    assert row(stage, third).config == new
    assert receipts[1].version == 2


def test_a_change_in_a_batch_that_broke_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = engine()
    before = whole(stage)
    with monkeypatch.context() as patched:
        patched.setattr(door_module, "tick", _broken)
        with pytest.raises(ZeroDivisionError):
            stage.step.run([changed(files(LONGER)), Ticked()])

    assert stage.step.book.version == book_of(files()).version
    assert len(stage.journal.read().versions()) == 1
    assert whole(stage) == before


def test_a_change_beside_poison_comes_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = engine()
    stage.step.offer(book_of(files(LONGER)))
    monkeypatch.setattr(door_module, "tick", _broken)

    results = through(stage.step, [Ticked(), changed(files(LONGER)), arrived(sample(ORDER))])

    assert isinstance(results[0], Broken)
    assert isinstance(results[1], Receipt)
    assert results[1].version == 2
    assert stage.step.book is book_of(files(LONGER))


def _broken(turn: object, given: object) -> Receipt:
    raise ZeroDivisionError


def test_a_change_outlives_a_crash_and_one_that_was_not_committed_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now = str(tmp_path / "journal.db"), to_micros(at("2026-03-02 09:00"))
    journal = Journal.open(path, None, node="RE", now=now)
    step = Step(journal, book_of(files()), ManualClock(at("2026-03-02 09:00")))
    step.run([changed(files(), "start"), arrived(sample(ORDER))])
    step.run([changed(files(LONGER))])
    with monkeypatch.context() as patched:
        patched.setattr(door_module, "tick", _broken)
        with pytest.raises(ZeroDivisionError):
            step.run([changed(files(SHORTER)), Ticked()])
    journal.close()

    journal = Journal.open(path, None)
    step = Step(journal, book_of(files(LONGER)), ManualClock(at("2026-03-02 10:00")))
    receipts = step.run([changed(files(LONGER), "start"), arrived(sample(BOOKING))])

    assert receipts[0].version == 2
    found = journal.read().referral(journal.read().find("P-1001"))
    assert found is not None
    assert found.config == book_of(files()).version
    journal.close()


def test_a_dry_run_of_a_change_leaves_the_old_one_in_force() -> None:
    stage = engine()

    assert stage.step.dry_run(changed(files(LONGER)), lambda _turn, receipt: receipt.version) == 2

    assert stage.step.book.version == book_of(files()).version
    assert len(stage.journal.read().versions()) == 1


def test_the_first_tick_under_new_files_hands_over_what_waits_for_a_channel_that_is_gone() -> None:
    stage = engine()
    stage.partners[HEART] = "silent"
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-02 09:10"))
    assert [one.state.value for one in stage.journal.read().outbox() if one.lane == HEART] == ["queued"]

    put(stage, files(gone=FILE))
    stage.step.run([Ticked()])

    assert [one.state.value for one in stage.journal.read().outbox() if one.lane == HEART] != ["queued"]
    assert "undeliverable" in {one.kind for one in stage.journal.read().tasks()}


# Running referrals ----------------------------------------------------------------------------------------------------


def test_a_running_referral_keeps_its_clocks_and_a_new_one_gets_the_new() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    assert due(stage) == ["03-09 09:00"]

    put(stage, files(LONGER))
    stage.receive(sample("orm-o01-electrophysiology-ppo.hl7"))
    stage.receive(sample(BOOKING))  # it stops the clock
    stage.receive(sample(BOOKING, CANCELLED))  # it runs again

    assert due(stage) == ["03-09 09:00"], "seven days from the packet, as when it was accepted"
    assert due(stage, placer="P-6001") == ["03-12 09:00"]


def test_everything_but_the_clocks_is_as_the_files_in_force_say() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    provisional = ("[replies]", "[replies]\nprovisional_notes = true")

    put(stage, files(LONGER, provisional))

    with stage.journal.batch(to_micros(stage.clock.now())) as unit:
        policy = stage.step._turn(unit, stage.clock.now()).policy_of(story(stage).referral)
    assert policy.provisional_notes
    assert policy.clocks == book_of(files()).channels[HEART].policy.clocks


def test_a_referral_whose_channel_has_no_file_any_more_keeps_its_last_policy() -> None:
    stage = engine()
    stage.receive(sample(ORDER))

    put(stage, files(gone=FILE))
    stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-10 13:00"))

    old = book_of(files()).channels[HEART].policy
    assert _running(stage) == {
        (one.kind.value, one.generation, one.due_at) for one in deadlines(_now(stage), old)
    } - _fired(stage)


def test_the_clocks_of_a_version_that_nobody_stored_become_those_in_force_and_say_so() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    with stage.journal.batch(to_micros(stage.clock.now())) as unit:
        unit.save_referral(replace(story(stage).referral, config="before0.2"), to_micros(stage.clock.now()), new=False)

    put(stage, files(LONGER))
    assert due(stage) == ["03-09 09:00"], "until something happens"
    stage.receive(sample(ORDER, {"ORC-1": "XO", "MSH-10": "CHANGED"}))

    assert due(stage) == ["03-12 09:00"]
    assert story(stage).referral.config == book_of(files(LONGER)).version
    put(stage, files())
    stage.receive(sample(ORDER, {"ORC-1": "XO", "MSH-10": "AGAIN"}))
    assert due(stage) == ["03-12 09:00"], "from here on they are those of a version that is stored"


def test_a_restart_under_other_files_leaves_running_clocks_alone(tmp_path: Path) -> None:
    path, start = str(tmp_path / "journal.db"), at("2026-03-02 09:00")
    journal = Journal.open(path, None, node="RE", now=to_micros(start))
    Step(journal, book_of(files()), ManualClock(start)).run([changed(files(), "start"), arrived(sample(ORDER))])
    journal.close()

    journal = Journal.open(path, None)
    step = Step(journal, book_of(files(LONGER)), ManualClock(at("2026-03-03 09:00")))
    step.run([changed(files(LONGER), "start")])
    step.run([Ticked(), arrived(sample(BOOKING))])
    step.run([arrived(sample(BOOKING, CANCELLED))])

    found = journal.read().story(journal.read().find("P-1001"))
    assert found is not None
    schedule = [one.due_at for one in found.deadlines if one.kind == "schedule" and one.state == "pending"]
    assert schedule == [to_micros(at("2026-03-10 09:00"))], "seven days from the cancellation"
    journal.close()


def test_a_running_referral_of_the_version_in_force_costs_no_question(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    asked: list[str] = []
    monkeypatch.setattr(type(stage.journal._unit._versions), "files", lambda _self, config: asked.append(config))

    stage.receive(sample(BOOKING))
    assert asked == []
    put(stage, files(LONGER))
    asked.clear()
    for number in range(3):
        stage.receive(sample(BOOKING, {"MSH-10": f"AGAIN-{number}", "SCH-11.4": f"2026031{number}1030"}))
    assert asked == [book_of(files()).version], "once for a version and a channel"


def test_an_undo_decides_each_part_of_a_history_by_the_clocks_of_its_time() -> None:
    stage, patient = engine(), files(LONGEST, ("48 hours", "20 days"))
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-09 09:01"))  # the schedule clock fires after seven days
    booking = stage.receive(sample(BOOKING))
    put(stage, patient)
    moved = stage.put(ConfigMigrated(by="user:jane", reason="they asked for more time"))
    assert moved.count == 1

    undone = stage.put(EvidenceUnbound(message=booking.sequence, by="jane", reason="another patient"))

    assert not undone.refused
    referral = story(stage).referral
    assert referral.config == book_of(patient).version
    assert "schedule" in [one.kind for one in stage.journal.read().tasks()], "what had fired stays fired"
    assert not [one for one in stage.journal.read().tasks() if "rules have changed" in one.reason]


# Moving them ----------------------------------------------------------------------------------------------------------


def test_migration_gives_running_referrals_the_clocks_in_force_with_a_reason_and_only_then() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    put(stage, files(LONGER))

    assert stage.put(ConfigMigrated(by="user:jane", reason="  ")).refused.startswith("say why")
    receipt = stage.put(ConfigMigrated(by="user:jane", reason="the office asked"))

    assert (receipt.count, receipt.more) == (1, False)
    assert due(stage) == ["03-12 09:00"]
    told = story(stage)
    assert told.referral.config == book_of(files(LONGER)).version
    assert told.events[-1].kind == "ClocksMigrated"
    assert lines(stage, "config migrated") == [
        ("user:jane", "all channels", f"1 referrals to {told.referral.config}: the office asked")
    ]
    assert stage.put(ConfigMigrated(by="user:jane", reason="again")).count == 0


def test_a_fired_clock_does_not_fire_again_however_often_clocks_move() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-09 09:01"))
    fired = [one for one in story(stage).deadlines if one.state == "fired"]
    assert "schedule" in {one.kind for one in fired}

    for change in (LONGEST, SHORTER):
        put(stage, files(change))
        stage.put(ConfigMigrated(by="user:jane", reason="another length"))
        stage.move_to(stage.clock.now() + timedelta(days=1))

    kept = {(one.kind, one.generation): one for one in story(stage).deadlines if one.state == "fired"}
    assert all(kept[one.kind, one.generation] == one for one in fired)
    assert [one.summary for one in story(stage).events].count("The clock schedule ran out") == 1


def test_a_clock_that_is_past_by_the_new_files_fires_at_the_next_tick_and_the_dry_run_says_so() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-06 09:00"))
    put(stage, files(SHORTER))

    told = _migration(stage)
    stage.put(ConfigMigrated(by="user:jane", reason="the office is quick"))
    stage.step.run([Ticked()])

    (one,) = told["referrals"]
    assert one["configuration"] == 1
    assert told["to"]["configuration"] == 2
    (clock,) = [clock for clock in one["clocks"] if clock["kind"] == "schedule"]
    assert (clock["due_before"], clock["due_after"]) == ("2026-03-09T14:00:00Z", "2026-03-05T15:00:00Z")
    assert clock["fires_at_once"]
    assert "schedule" in {row.kind for row in stage.journal.read().tasks()}
    assert _migration(stage)["referrals"] == []


def test_the_dry_run_changes_nothing_and_foretells_exactly_what_moves() -> None:
    stage = engine()
    _orders(stage, 3)
    put(stage, files(LONGER))
    before = whole(stage)

    told = _migration(stage)
    assert whole(stage) == before
    stage.put(ConfigMigrated(by="user:jane", reason="the office asked"))

    for one in told["referrals"]:
        found = stage.journal.read().story(one["referral"])
        assert found is not None
        running = {(row.kind, row.generation): row.due_at for row in found.deadlines if row.state == "pending"}
        for clock in one["clocks"]:
            assert _micros(clock["due_after"]) == running.get((clock["kind"], clock["generation"]))


def test_many_referrals_are_moved_in_portions_each_once() -> None:
    stage = engine()
    _orders(stage, 5)
    put(stage, files(LONGER))

    counts, told, after, seen = [], [], "", ""
    while True:
        page = _migration(stage, after=seen, limit=2)
        told += [one["referral"] for one in page["referrals"]]
        seen = page["cursor"]
        if not page["more"]:
            break
    while True:
        receipt = stage.put(ConfigMigrated(by="user:jane", reason="all of them", after=after, limit=2))
        counts.append(receipt.count)
        after = receipt.cursor
        if not receipt.more:
            break

    assert counts == [2, 2, 1]
    assert len(set(told)) == len(told) == 5
    assert len(lines(stage, "config migrated")) == 3


def test_only_the_referrals_of_one_channel_move_when_it_is_named() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    put(stage, files(LONGER))

    refused = stage.put(ConfigMigrated(by="user:jane", reason="why not", channel="nobody"))

    assert refused.refused == "there is no channel nobody whose clocks could be taken"
    assert stage.put(ConfigMigrated(by="user:jane", reason="why not", channel=HEART)).count == 1


def test_a_referral_whose_channel_is_gone_is_not_moved_and_the_dry_run_says_why() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    put(stage, files(gone=FILE))

    (one,) = _migration(stage)["referrals"]
    assert one["stays"] == "its channel has no file any more: it keeps its clocks"
    assert stage.put(ConfigMigrated(by="user:jane", reason="all of them")).count == 0
    assert due(stage) == ["03-09 09:00"]


def test_a_referral_that_is_over_is_not_moved() -> None:
    stage = engine()
    for name in (ORDER, BOOKING):
        stage.receive(sample(name))
    stage.move_to(at("2026-03-11 09:00"))
    stage.receive(sample(NOTE))
    assert story(stage).referral.is_over

    put(stage, files(LONGER))

    assert stage.put(ConfigMigrated(by="user:jane", reason="all of them")).count == 0


# Where a person looks -------------------------------------------------------------------------------------------------


def test_messages_and_referrals_say_by_which_configuration_they_were_decided() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-02 10:00"))
    put(stage, files(LONGER))
    stage.receive(sample(BOOKING))
    stage.move_to(at("2026-03-11 10:00"))
    put(stage, files(), action="rollback")
    stage.receive(sample(NOTE))

    rows = _ask(stage, "messages")
    shown = _ask(stage, "show", referral="P-1001")

    assert [one["configuration"] for one in rows] == [3, 2, 1]
    assert rows[0]["config"] == rows[2]["config"], "the same texts under two numbers"
    events = [one["configuration"] for one in shown["timeline"] if one["kind"] == "event"]
    assert (events[0], events[-1]) == (1, 3)
    assert {one["configuration"] for one in shown["timeline"] if one["kind"] in ("task", "effect")} >= {1, 2}
    assert _ask(stage, "message", message=rows[1]["id"])["decisions"][0]["configuration"] == 1
    assert shown["config"] == book_of(files()).version
    assert [one["number"] for one in _ask(stage, "versions", limit=2)] == [3, 2]
    assert _ask(stage, "version", version=2)["files"] == files(LONGER)


def test_why_explains_a_clock_by_the_files_it_was_set_under() -> None:
    stage = engine()
    stage.receive(sample(ORDER))
    put(stage, files(LONGER))

    before = _why(stage)
    stage.put(ConfigMigrated(by="user:jane", reason="the office asked"))
    after = _why(stage)

    for told, length, number in ((before, "7 days", 1), (after, "10 days", 2)):
        assert told["policy"]["lengths"] == [length]
        assert told["policy"]["configuration"] == number
        assert told["policy"]["configuration_in_force"] == 2
        assert [(life["length"], life["as_recorded"]) for life in told["lives"]] == [(length, True)]


# For any sequence -----------------------------------------------------------------------------------------------------

HOLIDAYS = ("2026-01-01,", "2026-01-01, 2026-03-03, 2026-03-09,")
HOURS = ('mon = "08:00-17:00"', 'mon = "10:00-14:00"')
IN_DAYS = ('confirm  = { routine = "48 hours"', 'confirm  = { routine = "2 business days"')
VARIANTS = (
    files(),
    files(LONGER, IN_DAYS),
    files(SHORTER),
    {**files(IN_DAYS), ENGINE: files(HOLIDAYS, HOURS, file=ENGINE)[ENGINE]},
    files(gone=FILE),
)
MESSAGES = (ORDER, "orm-o01-electrophysiology-ppo.hl7", BOOKING, NOTE, "the booking cancelled", "the order changed")
DOINGS = st.one_of(
    st.tuples(st.just("files"), st.integers(0, len(VARIANTS) - 1)),
    st.tuples(st.just("message"), st.integers(0, len(MESSAGES) - 1)),
    st.tuples(st.just("hours"), st.sampled_from((1, 30, 100, 300))),
    st.tuples(st.just("migrate"), st.just(0)),
)


@settings(max_examples=15)
@given(st.lists(DOINGS, max_size=12))
def test_the_clocks_of_every_open_referral_are_those_of_its_version(doings: Sequence[tuple[str, int]]) -> None:
    stage = engine()
    versions_by_hash = {book_of(texts).version: book_of(texts) for texts in VARIANTS}
    stage.receive(sample(ORDER))

    for number, (what, which) in enumerate(doings):
        _do(stage, what, which, number)

        for line in stage.journal.read().referrals():
            found = stage.journal.read().story(line.id)
            assert found is not None
            policy = policy_of_channel(versions_by_hash[found.referral.config], HEART)
            fired = {(one.kind, one.generation) for one in found.deadlines if one.state == "fired"}
            should = {
                (one.kind.value, one.generation, to_micros(one.due_at)) for one in deadlines(found.referral, policy)
            }
            running = {(one.kind, one.generation, one.due_at) for one in found.deadlines if one.state == "pending"}
            assert running == {one for one in should if one[:2] not in fired}
    stage.close()


def _do(stage: Rehearsal, what: str, which: int, number: int) -> None:
    match what:
        case "files":
            put(stage, VARIANTS[which])
        case "hours":
            stage.move_to(stage.clock.now() + timedelta(hours=which))
        case "migrate":
            stage.put(ConfigMigrated(by="user:jane", reason="any"))
        case _:
            name, fresh = MESSAGES[which], {"MSH-10": f"N{number}"}
            if name == "the booking cancelled":
                stage.receive(sample(BOOKING, CANCELLED | fresh))
            elif name == "the order changed":
                stage.receive(sample(ORDER, {"ORC-1": "XO"} | fresh))
            else:
                stage.receive(sample(name, fresh))


def test_a_clock_asks_a_policy_for_nothing_that_a_running_referral_does_not_keep() -> None:
    policy = book_of(files()).channels[HEART].policy
    names = {one.name for one in dataclasses.fields(policy)}
    old = replace(policy, **dict.fromkeys(names, "old"))
    kept = {name for name in names if getattr(policy.keeping_time_of(old), name) == "old"}
    asked: set[str] = set()

    class Spy:
        def __getattr__(self, name: str) -> object:
            asked.add(name)
            method = getattr(Policy, name)
            return method.__get__(self) if callable(method) else getattr(policy, name)

    stage = Rehearsal(book=book_of(files()), start=at("2026-03-02 09:00"), partners={HEART: "silent"})
    for name, hours in ((ORDER, 30), (BOOKING, 200), (NOTE, 0)):
        stage.receive(sample(name))
        deadlines(story(stage).referral, cast("Policy", Spy()))
        stage.partners[HEART] = "AA"  # the packet had not arrived; now it does
        stage.move_to(stage.clock.now() + timedelta(hours=hours))

    assert {"clocks", "calendar"} <= asked & names
    assert asked & names <= kept
    assert kept < names, "what is no clock follows the files in force"


# Between the lines ----------------------------------------------------------------------------------------------------


def _ask(stage: Rehearsal, name: str, **words: object) -> Any:  # JSON, as those who script against it see it
    return READINGS[name](stage.journal.read(), words)


def _why(stage: Rehearsal) -> Any:  # as above
    facts = _ask(stage, "why", referral="P-1001", clock="schedule")
    return shape_why(facts, Kind.SCHEDULE, stage.step.book)


def _migration(stage: Rehearsal, **words: object) -> Any:  # as above
    facts = _ask(stage, "migration", config=stage.step.book.version, **words)
    return shape_migration(facts, stage.step.book, stage.clock.now())


def _orders(stage: Rehearsal, number: int) -> None:
    """Orders of as many patients."""
    for one in range(number):
        fields = {"PID-3.1": f"9{one}", "PID-5.1": f"EXAMPLE{one}", "ORC-2.1": f"Q-{one}", "OBR-2.1": f"Q-{one}"}
        stage.receive(sample(ORDER, fields | {"MSH-10": f"MANY{one}"}))


def _micros(text: str | None) -> int | None:
    return None if text is None else to_micros(datetime.fromisoformat(text))


def _now(stage: Rehearsal) -> Referral:
    return story(stage).referral


def _running(stage: Rehearsal) -> set[tuple[str, int, object]]:
    rows = story(stage).deadlines
    return {(one.kind, one.generation, from_micros(one.due_at)) for one in rows if one.state == "pending"}


def _fired(stage: Rehearsal) -> set[tuple[str, int, object]]:
    rows = story(stage).deadlines
    return {(one.kind, one.generation, from_micros(one.due_at)) for one in rows if one.state == "fired"}
