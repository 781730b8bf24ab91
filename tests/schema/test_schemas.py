"""The schemas are what the readers ask for: committed as they are made, true of every shipped file, and they refuse."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from referral_engine.channels.book import part_of
from referral_engine.channels.source import Source, read_source
from referral_engine.cli.schemas import ALL_KINDS, SCENARIO, schema_of, schema_text
from tests.channels.shipped import ROOT
from tests.cli.terminal import run
from tests.schema.validating import faults

COMMITTED = ROOT / "docs" / "schemas"
ALL_MISTAKES = sorted((ROOT / "tests" / "channels" / "mistakes").glob("*.toml"))
# What a schema can see: a key nobody knows, one that is missing, a wrong kind of value, a word of no closed set.
SEEN = ("CH101", "CH102", "CH103", "CH104")
# One of these that only `check` sees, for it depends on another key.
UNSEEN = {"CH102-permission-without-reason"}


@cache
def made(kind: str) -> Mapping[str, Any]:
    return json.loads(schema_text(kind))  # type: ignore[no-any-return]  # a schema is an object


def plain(value: Any) -> Any:
    """A TOML value as an editor's language server shows it to a schema: dates are text."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.isoformat() if isinstance(value, date | datetime) else value


def shipped() -> list[tuple[str, Path]]:
    files = [*ROOT.glob("conf/**/*.toml"), *ROOT.glob("channels/**/*.toml")]
    kinds = [
        (str(part_of(path.relative_to(ROOT).as_posix(), Source(file="", lines=(), tree={}, spans={}))), path)
        for path in sorted(files)
        if not path.name.endswith(".test.toml")
    ]
    return kinds + [(SCENARIO, path) for path in sorted((ROOT / "sample_messages" / "scenarios").glob("*.toml"))]


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_committed_schema_is_what_the_reader_asks_for(kind: str) -> None:
    committed = (COMMITTED / f"{kind}.schema.json").read_text(encoding="utf-8")

    assert committed == schema_text(kind), "make it again: referral-engine schema --write docs/schemas"


def test_every_committed_schema_is_of_a_kind() -> None:
    assert {path.name for path in COMMITTED.iterdir()} == {f"{kind}.schema.json" for kind in ALL_KINDS}


@pytest.mark.parametrize(("kind", "path"), shipped(), ids=lambda value: getattr(value, "stem", value))
def test_a_shipped_file_is_valid_and_names_its_schema_in_its_first_line(kind: str, path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert list(faults(plain(tomllib.loads(text)), made(kind), made(kind))) == []
    first = text.splitlines()[0]
    where = os.path.relpath(COMMITTED / f"{kind}.schema.json", path.parent)
    assert first == f"#:schema {where}"


def mistakes() -> list[tuple[str, Path, Source]]:
    """The kind, the place and the content of each mistaken file that is TOML and of a kind that has a schema."""
    found = []
    for path in ALL_MISTAKES:
        text = path.read_text(encoding="utf-8")
        name = text.split("\n", 1)[0].removeprefix("# as ")
        source = read_source(name, text)
        kind = part_of(name, source) if isinstance(source, Source) else None
        if kind is not None and isinstance(source, Source) and not name.endswith(".test.toml"):
            found.append((str(kind), path, source))
    return found


def test_few_mistakes_are_out_of_a_schemas_reach() -> None:
    assert len(ALL_MISTAKES) - len(mistakes()) <= 8


@pytest.mark.parametrize(("kind", "path", "source"), mistakes(), ids=lambda value: getattr(value, "stem", ""))
def test_a_schema_refuses_the_mistakes_it_can_see_and_no_others(kind: str, path: Path, source: Source) -> None:
    told = list(faults(plain(source.tree), made(kind), made(kind)))

    code = path.stem.split("-", 1)[0]
    if code in SEEN and path.stem not in UNSEEN:
        assert told, "an editor would say nothing of it"
    elif code.startswith(("CH3", "CH4", "CHW")) or path.stem in UNSEEN:
        assert not told  # values that disagree are `check`'s: an editor that complains of them too would be wrong


def test_a_key_that_only_one_kind_of_transport_asks_for_is_known() -> None:
    transport = made("channel")["properties"]["transport"]

    assert {"host", "number", "directory", "gateway", "ack_mode"} <= transport["properties"].keys()
    assert transport["required"] == ["kind"]


def test_tables_whose_keys_the_analyst_makes_up_take_any_key() -> None:
    engine, feed = made("engine")["properties"], made("feed")["properties"]

    assert engine["calendar"]["additionalProperties"]["required"] == ["timezone"]
    assert feed["controls"]["additionalProperties"]["enum"]
    assert made("channel")["properties"]["match"]["additionalProperties"] == {"$ref": "#/$defs/test"}


def test_the_command_prints_one_schema_all_of_them_or_writes_them(tmp_path: Path) -> None:
    assert run("schema", "preauth").json == made("preauth")
    assert set(run("schema").json) == set(ALL_KINDS)

    said = run("schema", "--write", tmp_path / "out")

    assert said.exit_status == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{kind}.schema.json" for kind in ALL_KINDS}
    assert (tmp_path / "out" / "feed.schema.json").read_text() == schema_text("feed")
    assert schema_of("feed")["title"]


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    said = run("schema", "--write", tmp_path / "file" / "below")

    assert (said.exit_status, "cannot be written" in said.err) == (1, True)


def _keys(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a schema, at any depth, with how its value is read."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for below in schema.values():
            yield from _keys(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from _keys(below)


def test_every_key_that_takes_a_certificate_or_a_secret_takes_the_name_of_a_file() -> None:
    named = re.compile("(client_)?(cert|key)|ca|.*(password|secret|token).*")
    taken = {
        key: one.get("description", "")
        for kind in ALL_KINDS
        for key, one in _keys(made(kind))
        if named.fullmatch(key) and one.get("type") != "object"
    }

    assert taken.keys() >= {"cert", "key", "ca", "client_cert", "client_key"}
    assert set(taken.values()) == {"the name of a file inside the credentials directory"}


def test_a_file_of_defaults_may_hold_what_is_lent_and_must_hold_nothing() -> None:
    lent = {"transport": {"ack_timeout": "45 seconds"}, "no_show": {"attempts": 2}, "hold": {"remind_after": "1 day"}}

    assert list(faults(lent, made("defaults"), made("defaults"))) == []
    assert list(faults({"transport": {"number": "+12175550142"}}, made("defaults"), made("defaults")))
    assert list(faults({"match": {"MSH-9": "ORM^O01"}}, made("defaults"), made("defaults")))
