"""`config` and `rules`: what is in force, and the loop's tables."""

from __future__ import annotations

from pathlib import Path

from referral_engine.loop.policy import Kind
from referral_engine.loop.tracks import TABLES
from tests.cli.terminal import copied_site, run


def test_config_shows_every_value_and_where_it_comes_from() -> None:
    said = run("config")

    assert said.exit_status == 0
    assert "listener.port" in said.out
    assert "conf/engine.toml:" in said.out
    assert "default" in said.out


def test_config_of_a_channel_shows_lists_whole() -> None:
    said = run("config", "imaging-northside")

    assert said.exit_status == 0
    assert '["ORM^O01", "OMG^O19"]' in said.out
    assert "channels/imaging-northside.toml:6" in said.out


def test_config_json_has_three_keys_a_row() -> None:
    rows = run("config", "cardiology-heart-group", "--json").json

    assert all(row.keys() == {"key", "value", "origin"} for row in rows)
    assert {"channel.name", "sla.confirm"} <= {row["key"] for row in rows}


def test_config_of_a_channel_that_does_not_exist_names_those_that_do() -> None:
    said = run("config", "nobody")

    assert said.exit_status == 1
    assert "there is no channel, feed or partner nobody; there are: cardiology-heart-group" in said.err


def test_a_conf_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    for words in (["config"], ["run"], ["check"], ["list"], ["status"]):
        said = run(*words, "--conf", tmp_path / "engine.toml")
        assert said.exit_status == 78, words
        assert f"{tmp_path / 'engine.toml'}: error[FILE1]: there is no such file" in said.err


def test_a_conf_file_that_was_named_is_read_from_anywhere(tmp_path: Path) -> None:
    engine = copied_site(tmp_path)

    assert f"{engine}:" in run("config", "--conf", engine).out


def test_rules_prints_every_track_and_every_clock() -> None:
    said = run("rules")

    assert said.exit_status == 0
    assert [f"Track {name}" for name in TABLES if f"Track {name}" not in said.out] == []
    assert [kind.value for kind in Kind if kind.value not in said.out] == []


def test_rules_in_markdown_has_a_table_a_track() -> None:
    said = run("rules", "--markdown")

    assert said.out.count("\n| --- |") == len(TABLES) + 1
    assert all(f"| {kind.value} |" in said.out for kind in Kind)


def test_rules_json_tells_the_same() -> None:
    tables = run("rules", "--json").json

    assert [table["title"] for table in tables] == [*(f"Track {name}" for name in TABLES), "Clocks"]
    assert all(len(row) == len(table["heads"]) for table in tables for row in table["rows"])
    assert {row[0] for row in tables[-1]["rows"]} == {kind.value for kind in Kind}


def test_config_of_a_partner_or_a_feed_shows_who_may_talk_to_us_and_how() -> None:
    said = run("config", "scanner")

    assert said.exit_status == 0
    assert '["MDM^*"]' in said.out
    assert "conf/partners/scanner.toml:8" in said.out
    assert "feed.party" in said.out
