"""`coverage`: the running engine's orders, page by page, against the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from referral_engine.base.errors import Refused
from referral_engine.channels.book import read_book
from referral_engine.cli import covering
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.hl7.message import Message
from referral_engine.service import clock_counts, order_facts
from referral_engine.service.files import read_files
from tests.cli.terminal import ROOT, run

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
SAMPLES = ("orm-o01-cardiology-ppo", "orm-o01-orthopaedics", "orm-o01-laboratory", "siu-s12-cardiology")


class MarchClock:
    """The machine's clock, an hour after the orders came."""

    def now(self) -> datetime:
        return NOW.replace(hour=16)


@pytest.fixture
def engine() -> Iterator[Rehearsal]:
    book = read_book(read_files(str(ROOT / "conf" / "engine.toml")))
    rehearsal = Rehearsal(book=book, start=NOW)
    for name in SAMPLES:
        rehearsal.receive((ROOT / "sample_messages" / f"{name}.hl7").read_bytes())
    yield rehearsal
    rehearsal.close()


def asked(engine: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, object]]:
    """Let the command ask this engine; gives every question it asks."""
    questions: list[Mapping[str, object]] = []

    def ask(_conf: str, question: str, words: Mapping[str, object]) -> object:
        if question == "clocks":
            return clock_counts.clock_counts(engine.journal.read(), words)
        assert question == "orders"
        questions.append(words)
        return order_facts.order_facts(engine.journal.read(), words)

    monkeypatch.setattr(covering, "ask_daemon", ask)
    monkeypatch.setattr(covering, "MachineClock", MarchClock)
    return questions


def test_the_orders_of_the_running_engine_are_held_against_the_files(
    engine: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(engine, monkeypatch)

    told = run("coverage", "--json").json

    assert (told["orders"], told["taken"], told["unwanted"], told["contested"]) == (2, 2, 0, 0)
    assert {one["name"]: one["taken"] for one in told["channels"]} == {
        "cardiology-heart-group": 1,
        "imaging-northside": 0,
        "orthopaedics-lakeside": 1,
    }
    assert ("imaging-northside", "took none of 2 orders") in [
        (one["channel"], one["sentence"]) for one in told["findings"]
    ]


def test_a_person_is_told_what_to_look_at_and_sees_no_patient(
    engine: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(engine, monkeypatch)

    said = run("coverage")

    assert said.exit_status == 0
    assert "2 orders since 30d: 2 taken by one channel, 0 by none, 0 wanted by several\n" in said.out
    assert "channels/imaging-northside.toml:" in said.out
    for name in SAMPLES:
        message = Message.parse((ROOT / "sample_messages" / f"{name}.hl7").read_bytes())
        assert message.value("PID-5.1") not in said.out


def test_orders_come_page_by_page_and_none_twice(engine: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_facts, "ORDERS_MAX", 1)
    questions = asked(engine, monkeypatch)

    told = run("coverage", "--json").json

    assert told["orders"] == 2
    pages = [int(str(one["before"])) for one in questions]
    assert pages[0] == 0
    assert pages[1:] == sorted(set(pages[1:]), reverse=True)
    assert len(pages) == 4  # three orders, of which one is no referral, and then no more


def test_older_orders_are_left_out(engine: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(engine, monkeypatch)
    monkeypatch.setattr(MarchClock, "now", lambda _self: NOW.replace(day=9))

    assert run("coverage", "--since", "1w", "--json").json["orders"] == 2
    assert run("coverage", "--since", "167h", "--json").json["orders"] == 0


def test_a_length_that_is_none_is_misuse() -> None:
    assert run("coverage", "--since", "a month").exit_status == 2


def test_without_an_engine_it_says_so() -> None:
    said = run("coverage")

    assert said.exit_status == 1
    assert "the daemon is not running" in said.err


def test_what_every_clock_did_is_told_and_what_it_means(engine: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(engine, monkeypatch)
    engine.move_to(NOW.replace(day=4))

    said, told = run("coverage", "--clocks"), run("coverage", "--json").json

    found = {
        (one["channel"], one["kind"]): tuple(one[word] for word in ("ran", "fired", "cancelled", "running"))
        for one in told["clocks"]
    }
    assert found["cardiology-heart-group", "confirm"] == (1, 0, 1, 0)  # they booked before it ran out
    assert found["orthopaedics-lakeside", "patient-prompt"] == (1, 1, 0, 0)
    assert found["orthopaedics-lakeside", "open-30"] == (1, 0, 0, 1)
    assert "never ran: any clock; nothing came to where they start" in said.out  # imaging got no order
    assert "cardiology-heart-group confirm 1 0 1 0 " in " ".join(said.out.split())


def test_clocks_that_ended_before_the_time_are_left_out(engine: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(engine, monkeypatch)
    engine.move_to(NOW.replace(day=9))
    monkeypatch.setattr(MarchClock, "now", lambda _self: NOW.replace(day=9))

    told = run("coverage", "--since", "1d", "--json").json

    ran = {one["kind"]: one["ran"] for one in told["clocks"] if one["channel"] == "orthopaedics-lakeside"}
    assert ran["patient-prompt"] == 0  # it fired on the second
    assert ran["open-30"] == 1  # it still runs


@pytest.mark.parametrize("words", [{"since": "x"}, {"before": -1}])
def test_a_page_of_clocks_that_is_none_is_refused(engine: Rehearsal, words: dict[str, object]) -> None:
    with pytest.raises(Refused):
        clock_counts.clock_counts(engine.journal.read(), words)


def test_a_page_before_no_number_is_refused(engine: Rehearsal) -> None:
    with pytest.raises(Refused):
        order_facts.order_facts(engine.journal.read(), {"before": "x"})
