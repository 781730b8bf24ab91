"""`diff` and `shadow` against a running daemon: its journal and its versions over the control socket."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from referral_engine.cli import shadowing
from referral_engine.cli.diffing import versions_of
from referral_engine.cli.traffic_pages import Engine
from referral_engine.flow.disagreement import Difference
from tests.e2e.support import Site, an_order, eventually

CARDIOLOGY = "cardiology-heart-group"
_numbers = count(1)


def candidate(live: Site, path: Path, was: str, now: str) -> str:
    """A copy of the site's files with one change in the cardiologists' channel."""
    for folder in ("conf", "channels"):
        shutil.copytree(live.root / folder, path / folder)
    file = path / "channels" / f"{CARDIOLOGY}.toml"
    assert was in file.read_text()
    file.write_text(file.read_text().replace(was, now))
    return str(path)


def test_a_candidate_is_compared_over_what_the_daemon_received(live: Site, tmp_path: Path) -> None:
    number = f"D{next(_numbers):04d}"
    assert live.send(an_order(number)) == ["AA"]
    eventually(lambda: live.sendings(live.referral_of(f"P-{number}"), state="delivered"), "the packet arrived")
    files = candidate(live, tmp_path, '["REFCARD", "REFEP"]', '["REFEP"]')
    conf = str(live.root / "conf" / "engine.toml")

    covered = live.ask("coverage", "--conf", conf, "--since", "1h", "--json")
    misspelt = live.ask("diff", "--conf", conf, "--channel", "cardiology-hart-group")
    unmoved = live.ask("config", "migrate", "--conf", conf, "--dry-run", "--channel", "cardiology-hart-group")
    same = live.ask("diff", "--conf", conf, "--since", "1h")
    told = live.ask("diff", "--conf", conf, "--candidate", files, "--since", "1h", "--json")

    assert any(one["ran"] for one in covered.json()["clocks"] if one["channel"] == CARDIOLOGY)
    assert (misspelt.exit_status, unmoved.exit_status) == (2, 1)
    assert f'did you mean "{CARDIOLOGY}"?' in misspelt.err
    assert f'did you mean "{CARDIOLOGY}"?' in unmoved.err
    assert (same.exit_status, "no differences" in same.out) == (0, True), same
    assert told.exit_status == 1, told
    whole = told.json()
    (route,) = [
        one for one in whole["differences"] if one["kind"] == "message" and one["placer_number"] == f"P-{number}"
    ]
    assert route["referral"] == live.referral_of(f"P-{number}")
    assert route["why"].endswith('OBR-4.1 is "REFCARD", wanted "REFEP"')
    assert f"channels/{CARDIOLOGY}.toml:" in route["line"]
    assert whole["messages"]["decided_otherwise_than_then"] == 0


def test_a_shadow_beside_live_traffic_tells_each_disagreement_once(
    live: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadowing, "LAG", timedelta(0))
    files = candidate(live, tmp_path, 'schedule = { routine = "7 days"', 'schedule = { routine = "5 days"')
    conf = str(live.root / "conf" / "engine.toml")
    engine = Engine(str(live.var / "control.sock"))
    follower = shadowing.Follower(engine, *versions_of(engine, conf, files), channel="")
    number = f"D{next(_numbers):04d}"

    assert live.send(an_order(number)) == ["AA"]
    told = eventually(lambda: _read_on(follower), "the shadow disagrees")
    again = _read_on(follower)
    follower.close()

    assert [(one.kind, one.change, one.what, one.placer) for one in told] == [
        ("clock", "moves", "schedule", f"P-{number}")
    ]
    assert again == []
    assert follower.counts == {("clock", "moves", CARDIOLOGY): 1}


def test_worlds_that_hold_too_much_begin_anew_and_forget_no_count(
    live: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadowing, "LAG", timedelta(0))
    monkeypatch.setattr(shadowing, "MESSAGES_MAX", 1)
    files = candidate(live, tmp_path, 'schedule = { routine = "7 days"', 'schedule = { routine = "5 days"')
    engine = Engine(str(live.var / "control.sock"))
    follower = shadowing.Follower(
        engine, *versions_of(engine, str(live.root / "conf" / "engine.toml"), files), channel=""
    )

    for _ in range(2):
        assert live.send(an_order(f"D{next(_numbers):04d}")) == ["AA"]
        assert len(eventually(lambda: _read_on(follower), "the shadow disagrees")) == 1
    follower.close()

    assert (follower.restarts, follower.counts) == (1, {("clock", "moves", CARDIOLOGY): 2})


def _read_on(follower: shadowing.Follower) -> list[Difference]:
    follower.read()
    return follower.compare()


def test_a_shadow_that_ends_says_what_it_found(live: Site, tmp_path: Path) -> None:
    files = candidate(live, tmp_path, 'name      = "', 'name      = "')

    told = live.ask(
        "shadow", "--conf", str(live.root / "conf" / "engine.toml"), "--candidate", files, "--for", "1s", "--json"
    )

    assert told.exit_status == 0, told
    assert json.loads(told.out.splitlines()[-1])["summary"]["summary"] == []
