"""`schema`: what each kind of file may hold, as JSON Schema, for editors that complete and validate while typing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import click
import msgspec

from referral_engine.channels.schemas import DRAFT, KINDS, Kind, schema
from referral_engine.cli.shared import FOUND_PROBLEMS, print_json
from referral_engine.flow.scenario import Scenario

SCENARIO: Final = "scenario"
ALL_KINDS: Final = (*KINDS, SCENARIO)


@click.command(name="schema")
@click.argument("kind", type=click.Choice(ALL_KINDS), required=False)
@click.option("--write", "folder", metavar="DIR", type=click.Path(file_okay=False), help="Write one file a kind there.")
def schema_(kind: str | None, folder: str | None) -> None:
    """Print the JSON Schema (draft 2020-12) of a kind of file, or of all kinds; made from what its reader asks for.

    Editors with a TOML language server complete and validate by it: a file names its schema in its first line, as in
    `#:schema ../docs/schemas/channel.schema.json`. What only `check` can know (a name nobody defines, two lines that
    disagree) no schema says.

    \b
    Example:
      referral-engine schema channel
      referral-engine schema --write docs/schemas
    """
    chosen = (kind,) if kind else ALL_KINDS
    if folder is not None:
        _write(Path(folder), chosen)
    elif kind:
        print_json(schema_of(kind))
    else:
        print_json({one: schema_of(one) for one in ALL_KINDS})


def schema_of(kind: str) -> Mapping[str, object]:
    """The schema of one of `ALL_KINDS`."""
    if kind == SCENARIO:
        told = "sample_messages/scenarios/NAME.toml: one story"
        return {"$schema": DRAFT, "title": told, **msgspec.json.schema(Scenario)}
    return schema(cast("Kind", kind))


def schema_text(kind: str) -> str:
    """The file as it is committed."""
    return json.dumps(schema_of(kind), indent=1, ensure_ascii=False) + "\n"


def _write(folder: Path, kinds: tuple[str, ...]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in kinds:
            place = folder / f"{kind}.schema.json"
            place.write_text(schema_text(kind), encoding="utf-8")
            click.echo(str(place))
    except OSError as error:
        click.echo(f"referral-engine: {folder}: cannot be written: {error.strerror}", err=True)
        sys.exit(FOUND_PROBLEMS)
