"""`referral-engine generate`: files in, nothing of an earlier run overwritten by accident."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner, Result

from referral_engine.cli import generating
from referral_engine.cli.main import main
from referral_engine.hl7.message import Message
from tests.channels.shipped import ROOT

CONF = ("--conf", str(ROOT / "conf" / "engine.toml"))


def generated(*words: str) -> Result:
    return CliRunner().invoke(main, ["generate", *CONF, *words])


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert (
            generated("--seed", "7", "--referrals", "12", "--noise", "0.3", "--to", str(tmp_path / name)).exit_code == 0
        )
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_every_message_has_a_line_that_says_what_it_must_cause(tmp_path: Path) -> None:
    answer = generated("--seed", "7", "--referrals", "25", "--noise", "0.2", "--to", str(tmp_path), "--json")
    assert answer.exit_code == 0, answer.output
    summary = json.loads(answer.output)
    told = [json.loads(line) for line in (tmp_path / "expected.jsonl").read_text().splitlines()]
    files = sorted(path.name for path in (tmp_path / "messages").iterdir())
    assert [one["file"] for one in told] == files
    assert [one["n"] for one in told] == list(range(1, summary["messages"] + 1))
    for one in told:
        assert Message.parse((tmp_path / "messages" / one["file"]).read_bytes()).header.type == one["type"]
        assert one["expect"]["disposition"] in {"applied", "no-op", "needs-human", "quarantined", "duplicate"}
        assert one["expect"]["level"] in {None, -1, 0, 1, 2, 3, 4, 5, 6}
    stories = [json.loads(line) for line in (tmp_path / "stories.jsonl").read_text().splitlines()]
    ended = [one for one in stories if one["ended"]]
    assert summary["stories"] == len(ended) == sum(summary["plots"].values()) == 25
    named = {one["story"] for one in ended}
    assert {one["story"] for one in told if one["story"].startswith("S")} == named
    assert all(where["status"] and where["placer"] for one in ended for where in one["referrals"])


def test_a_directory_with_something_in_it_is_refused_unless_forced(tmp_path: Path) -> None:
    assert generated("--seed", "1", "--referrals", "9", "--to", str(tmp_path)).exit_code == 0
    (tmp_path / "messages" / "mine.hl7").write_bytes(b"kept")
    refused = generated("--seed", "2", "--referrals", "3", "--to", str(tmp_path))
    assert refused.exit_code == 2
    assert "is not empty" in refused.output
    assert generated("--seed", "2", "--referrals", "3", "--to", str(tmp_path), "--force").exit_code == 0
    told = [json.loads(line)["file"] for line in (tmp_path / "expected.jsonl").read_text().splitlines()]
    left = sorted(path.name for path in (tmp_path / "messages").iterdir())
    assert left == sorted([*told, "mine.hl7"])  # nothing of the first run, and what was not ours is still there


def test_the_expected_log_goes_where_it_is_asked_to_go(tmp_path: Path) -> None:
    log = tmp_path / "elsewhere.jsonl"
    answer = generated("--seed", "3", "--referrals", "2", "--to", str(tmp_path / "to"), "--expected", str(log))
    assert answer.exit_code == 0
    assert log.is_file()
    assert not (tmp_path / "to" / "expected.jsonl").exists()
    assert "seed 3" in answer.output


def test_an_unknown_feed_and_a_day_that_is_none_are_misuse(tmp_path: Path) -> None:
    unknown = generated("--to", str(tmp_path / "a"), "--feed", "nobody")
    assert unknown.exit_code == 2
    assert 'no feed of an ordering side called "nobody"' in unknown.output
    assert not (tmp_path / "a").exists()
    wrong = generated("--to", str(tmp_path / "b"), "--start", "2026-02-30")
    assert wrong.exit_code == 2
    assert "is not a day such as 2026-03-02" in wrong.output


def test_a_dialect_is_written_as_its_sender_writes(tmp_path: Path) -> None:  # F-E07
    answer = generated("--seed", "5", "--referrals", "60", "--feed", "oracle-health", "--to", str(tmp_path))
    assert answer.exit_code == 0, answer.output
    orders = [
        message
        for path in (tmp_path / "messages").glob("*-oracle-health.hl7")
        if (message := Message.parse(path.read_bytes())).header.message_code == "ORM"
    ]
    controls = {message.value("ORC-1") for message in orders}
    assert controls & {"OC", "OD"}, "a cancel of this sender is OC or OD"
    assert not controls & {"CA", "DC", "XO"}


def test_a_place_that_cannot_be_written_is_named_in_a_sentence(tmp_path: Path) -> None:
    answer = generated("--seed", "7", "--referrals", "1", "--to", str(tmp_path / "a"), "--expected", "/nonexistent/x")

    assert answer.exit_code == 1
    assert "/nonexistent/x: cannot be written: No such file or directory" in answer.output


def test_one_that_is_broken_off_says_that_it_is_not_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_off(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(generating, "_write", broken_off)

    answer = generated("--seed", "7", "--to", str(tmp_path / "a"))

    assert answer.exit_code == 1
    assert "is not whole; --force begins again" in answer.output
