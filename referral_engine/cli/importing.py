"""`channel import`: fax channels from a directory list, all that are sound at once, the others with their reason."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from referral_engine.base.errors import ConfigError
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.directory_list import BYTES_MAX, Entry, NoList, Refusal, read_directory
from referral_engine.channels.draft import one_line
from referral_engine.channels.questions import name_from, usual_calendar
from referral_engine.cli.making import Found, Making
from referral_engine.cli.new_files import place_files
from referral_engine.cli.shared import (
    FOUND_PROBLEMS,
    conf_option,
    json_option,
    print_json,
    print_table,
    refuse_configuration,
    visible,
)
from referral_engine.service.clock import MachineClock
from referral_engine.service.files import channels_folder, folder_beside, read_files
from referral_engine.service.sample_files import FOLDER

COUNTRY_DIGITS_MAX: Final = 3


@click.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--to", type=click.Path(file_okay=False), metavar="DIR", help="Where the files go; usually channels/.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@click.option("--network", type=click.Choice(("in", "out")), default="out", show_default=True, help="Of all of them.")
@click.option("--gateway", metavar="NAME", help="Of conf/engine.toml; needed only when there are several.")
@click.option("--calendar", metavar="NAME", help="Of conf/engine.toml; usually the first.")
@click.option("--country", default="1", show_default=True, metavar="CODE", help="Of numbers written without one.")
@click.option(
    "--specialty", "meanings", multiple=True, metavar="TEXT=NAME", help="What a specialty of the list is called here."
)
@conf_option
@json_option
def import_(
    file: str,
    to: str | None,
    network: str,
    gateway: str | None,
    calendar: str | None,
    country: str,
    meanings: tuple[str, ...],
    conf: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make fax channels from a directory list (CSV): name, NPI, specialty, fax, phone, address.

    The first row names the columns, in any order and by their usual names. A row is refused with its number and a
    sentence when its NPI or fax number cannot be right, when it is there twice, or when an order for it could also go
    to another channel; the others become files that pass `check` together with what exists. No file is overwritten.
    Exit status 1 when a row was refused.

    \b
    Example:
      referral-engine channel import directory.csv --dry-run
      referral-engine channel import directory.csv --network in --specialty "Orthopedic Surgery=orthopaedics"
    """
    try:
        files = read_files(conf)
        book = read_book(files)
    except ConfigError as error:
        refuse_configuration(error)
    usual = {
        "channel.network": network,
        "channel.calendar": _known("--calendar", calendar or usual_calendar(book), tuple(book.engine.calendars)),
        "transport.gateway": _known("--gateway", gateway or _only(book), tuple(book.engine.gateways)),
    }
    rows = _rows(Path(file), book, _country(country), dict(map(_meaning, meanings)))
    folder = Path(to) if to else channels_folder(conf)
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("rows", total=len(rows))
        making = Making(
            files=files,
            book=book,
            folder=folder,
            samples=folder_beside(conf, FOLDER),
            list_name=one_line(Path(file).name),
            usual=usual,
            today=MachineClock().now().date(),
            advance=lambda count: progress.advance(bar, count),
        )
        try:
            found = making.of(rows)
        except ConfigError as error:
            refuse_configuration(error, "the list")
    if found.written and not dry_run:
        _place(folder, found.written)
    _report(found, len(rows), folder, dry_run=dry_run, as_json=as_json)
    sys.exit(FOUND_PROBLEMS if found.refused else 0)


def _rows(file: Path, book: Book, country: str, meanings: Mapping[str, str]) -> tuple[Entry | Refusal, ...]:
    """The rows of the list; a file that is none is a sentence."""
    try:
        with file.open("rb") as there:
            raw = there.read(BYTES_MAX + 1)
        rows = read_directory(raw, book, country=country, meanings=meanings)
    except (OSError, NoList) as error:
        said = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise click.ClickException(visible(f"{file} {said}")) from None
    if not rows:
        raise click.ClickException(f"{file} has no row below its header")
    return rows


def _place(folder: Path, written: Mapping[str, str]) -> None:
    try:
        place_files(folder, {Path(name).name: text for name, text in written.items()})
    except OSError as error:
        why = error.strerror or error
        raise click.ClickException(f"nothing is written to {folder}: {why}") from None


def _known(option: str, name: str, known: tuple[str, ...]) -> str:
    """A name that conf/engine.toml defines."""
    if name in known:
        return name
    listed = ", ".join(known) or "none"
    said = f'conf/engine.toml has no "{name}"' if name else "say which"
    raise click.BadParameter(f"{said}; there are: {listed}", param_hint=option)


def _only(book: Book) -> str:
    """The one gateway there is; "" when a person must say which."""
    return next(iter(book.engine.gateways)) if len(book.engine.gateways) == 1 else ""


def _country(code: str) -> str:
    if not (code.isascii() and code.isdigit() and len(code) <= COUNTRY_DIGITS_MAX) or code.startswith("0"):
        raise click.BadParameter(f'"{code}" is not a country code such as 1 or 44', param_hint="--country")
    return code


def _meaning(text: str) -> tuple[str, str]:
    """TEXT=NAME."""
    said, equals, name = text.rpartition("=")
    if not (equals and said.strip() and name_from(name) == name and name):
        raise click.BadParameter(f'"{text}" is not TEXT=NAME', param_hint="--specialty")
    return said.strip(), name


def _report(found: Found, rows: int, folder: Path, *, dry_run: bool, as_json: bool) -> None:
    """Every row refused with its reason, what is worth a look, and the numbers."""
    warned = Counter((one.code, one.sentence, one.help) for one in found.warnings)
    if as_json:
        refused = [
            {"row": one.row, "name": one.title, "sentence": one.sentence, "help": one.help} for one in found.refused
        ]
        warnings = [
            {"code": code, "sentence": sentence, "help": help_, "files": number}
            for (code, sentence, help_), number in sorted(warned.items())
        ]
        print_json(
            {
                "rows": rows,
                "dry_run": dry_run,
                "written": sorted(found.written),
                "refused": refused,
                "warnings": warnings,
            }
        )
        return
    if found.refused:
        told = [(one.row, one.title, one.sentence, one.help) for one in found.refused]
        print_table(("row", "name", "refused because", "what to do"), told, "")
        click.echo()
    for (code, sentence, help_), number in sorted(warned.items()):
        files = "1 file" if number == 1 else f"{number} files"
        click.echo(visible(f"warning[{code}] in {files}: {sentence}" + (f" ({help_})" if help_ else "")))
    would = "would be written" if dry_run else "written"
    lines = "1 row" if rows == 1 else f"{rows} rows"
    channels = "1 channel" if len(found.written) == 1 else f"{len(found.written)} channels"
    click.echo(f"{lines}: {channels} {would} to {folder}, {len(found.refused)} refused")
