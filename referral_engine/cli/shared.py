"""What several commands need: the configuration from disk, the daemon's ear, and plain ways to print."""

from __future__ import annotations

import gc
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from textwrap import wrap
from typing import Any, Final, NoReturn

import click
from click.core import ParameterSource

from referral_engine.base.errors import ConfigError, Problem
from referral_engine.channels.book import Book, read_book
from referral_engine.channels.lint import render_problem
from referral_engine.channels.shape import nearest
from referral_engine.service.control_client import ControlError, ask
from referral_engine.service.files import read_files, socket_name
from referral_engine.service.places import places_from

FOUND_PROBLEMS: Final = 1
BAD_CONFIGURATION: Final = 78
DEFAULT_CONF: Final = "conf/engine.toml"
SYSTEM_SOCKET: Final = "/run/referral-engine/control.sock"  # of the service that systemd starts
PIPED_COLUMNS: Final = 10_000  # a row stays one line for grep, however long it is
# What writes from right to left, or has no width, would make one name look like another.
_UNSEEN: Final = (0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2060, 0x206A), 0xFEFF)
SHOWN: Final = (
    {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
    | {code: f"\\u{code:04x}" for code in _UNSEEN}
    | {9: "\t", 10: "\n"}
)
_ONE_LINE: Final = SHOWN | {9: "\\t", 10: "\\n"}
_FRACTION: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z")
_GAP: Final = 2  # spaces between two columns; one where it is too narrow
_NARROWEST: Final = 12  # a column is not folded below this
_PADDED: Final = 80  # of a column that is piped: one long cell does not push all others out of sight
_INDENT: Final = 4  # of what stands under a row


def _conf_file(context: click.Context, _option: click.Parameter, conf: str) -> str:
    """The file; one that was asked for by name must be there, or a slip would start an engine of defaults."""
    named = context.get_parameter_source("conf") is not ParameterSource.DEFAULT
    if named and not Path(conf).is_file():
        sentence = "there is no such file"
        help_ = "without --conf the built-in defaults hold"
        problem = Problem(file=conf, line=0, column=1, code="FILE1", sentence=sentence, help=help_)
        refuse_configuration(ConfigError([problem]))
    return conf


conf_option = click.option(
    "--conf",
    default=DEFAULT_CONF,
    show_default=True,
    metavar="FILE",
    callback=_conf_file,
    help="The engine's own file; others lie beside it.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")


@contextmanager
def uncollected() -> Iterator[None]:
    """While many values are made that stay: Python would look for rubbish among all of them again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def load_book(conf: str) -> Book:
    """The configuration in force; prints every problem and exits 78 when there is one."""
    try:
        with uncollected():
            return read_book(files_of(conf))
    except ConfigError as error:
        refuse_configuration(error)


def files_of(conf: str) -> dict[str, str]:
    """The files of a configuration; whoever stands in the wrong directory is told so, and not that all is well.

    Raises ConfigError, click.UsageError.
    """
    files = read_files(conf)
    if not files:
        raise click.UsageError(
            f"there is neither {conf} nor channels/ in {Path.cwd()}: go where they are, or name --conf"
        )
    return files


def text_of(place: Path) -> str:
    """The text of a file that an analyst named.  Raises ConfigError."""
    try:
        return place.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problem = Problem(file=str(place), line=0, column=1, code="FILE1", sentence=f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        help_ = "save the file as UTF-8 in the editor"
        problem = Problem(file=str(place), line=0, column=1, code="FILE3", sentence="is not UTF-8", help=help_)
    raise ConfigError([problem])


def refuse_configuration(error: ConfigError, what: str = "the configuration") -> NoReturn:
    """Show every problem of `what` and exit 78."""
    for problem in error.problems:
        click.echo(render_problem(problem), err=True)
    count = len(error.problems)
    click.echo(f"{count} {'problem' if count == 1 else 'problems'}: {what} is not used", err=True)
    sys.exit(BAD_CONFIGURATION)


def ask_daemon(conf: str, question: str, words: Mapping[str, object] | None = None) -> object:
    """The running daemon's answer; a clear sentence and exit 1 when it is not there or refuses."""
    try:
        return ask(control_socket(conf), question, words)
    except ControlError as error:
        refused_by_daemon(error)


def refused_by_daemon(error: Exception) -> NoReturn:
    """Say why there is no answer, and what starts a daemon that is not there; exit 1."""
    click.echo(f"referral-engine: {error}", err=True)
    if "not running" in str(error):
        click.echo("start it with: referral-engine run", err=True)
    sys.exit(FOUND_PROBLEMS)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`did you mean "NAME"?` for a slip of the finger or a name cut short; else all that are known."""
    begun = [name for name in known if word and name.startswith(word)]
    near = begun[0] if len(begun) == 1 else nearest(word, known)
    return f'did you mean "{near}"?' if near else f"there are: {', '.join(known) or 'none'}"


def control_socket(conf: str) -> str:
    """Where the daemon listens: said by the environment, else as the files say, else systemd's own place."""
    said = os.environ.get("REFERRAL_ENGINE_SOCKET")
    if said:
        return said
    ours = places_from(os.environ, conf).passing(socket_name(conf))
    return ours if _may_be_there(ours) or not _may_be_there(SYSTEM_SOCKET) else SYSTEM_SOCKET


def _may_be_there(socket: str) -> bool:
    """Whether something is there, or its directory is closed to us: then the answer says whose it is."""
    try:
        return Path(socket).exists()
    except PermissionError:
        return True


def print_json(answer: object) -> None:
    """One JSON document."""
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[object]], empty: str, *, under: int = 0) -> None:
    """A plain table, or one sentence when there is nothing; instants to the second.

    under: how many columns at the right go under their row, one a line, where a terminal is too narrow for all.
    """
    if not rows:
        click.echo(empty)
        return
    from rich.cells import cell_len
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    cells = [[seconds(in_one_line(str(cell))) if cell is not None else "" for cell in row] for row in rows]
    console = Console(highlight=False)
    widths = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    if not console.is_terminal:
        for line in (list(heads), *cells):
            padded = (
                cell + " " * (min(width, _PADDED) - cell_len(cell)) for cell, width in zip(line, widths, strict=True)
            )
            click.echo((" " * _GAP).join(padded).rstrip())
        return
    shown = len(heads) - (under if _wide(widths, _GAP) > console.width else 0)
    gap = _GAP if _wide(widths[:shown], _GAP) <= console.width else 1
    widths = _folded(widths[:shown], console.width, gap)
    for number, line in enumerate((list(heads[:shown]), *cells)):
        grid = Table.grid(padding=(0, gap, 0, 0))
        for width in widths:
            grid.add_column(width=width, overflow="fold")
        grid.add_row(*map(Text, line[:shown]), style="bold" if number == 0 else None)
        console.print(grid)
        for head, cell in zip(heads[shown:], line[shown:], strict=False):
            if cell:
                console.print(Padding(Text(f"{head}: {cell}"), (0, 0, 0, _INDENT)))


def _wide(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)


def _folded(widths: Sequence[int], room: int, gap: int) -> list[int]:
    """Widths that fit, the widest made narrower first: a short number or instant is never broken."""
    fitted = list(widths)
    foldable = range(0 if widths[0] > room // 2 else 1, len(widths))  # a name that leads its row stays whole
    while _wide(fitted, gap) > room and foldable:
        widest = max(foldable, key=fitted.__getitem__)
        if fitted[widest] <= _NARROWEST:
            break
        fitted[widest] -= 1
    return fitted


def seconds(text: str) -> str:
    """Instants in a text for people, without the fractions of a second that --json has."""
    return _FRACTION.sub(r"\1Z", text)


def print_wrapped(text: str, indent: int = 0, **style: Any) -> None:
    """One line, folded at the words where a terminal is too narrow for it."""
    from rich.console import Console

    width = Console().width if sys.stdout.isatty() else PIPED_COLUMNS
    lines = wrap(in_one_line(text), width, subsequent_indent=" " * indent, break_on_hyphens=False, drop_whitespace=True)
    for line in lines or [""]:
        click.secho(line, **style)


def in_one_line(text: str) -> str:
    """As `visible`, and nothing in it begins a new line: a name may not write a row of its own."""
    return text.translate(_ONE_LINE)


def visible(text: str) -> str:
    """Text for a terminal: what a message holds may not move the cursor or change the colours."""
    return text.translate(SHOWN)


def counted(number: int, what: str) -> str:
    """1 test, 2 tests, 1,000 tests."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def day_of(text: str, option: str) -> date:
    """A day on the clinic's wall as an option says it.  Raises click.BadParameter."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  # a day without a zone
    except ValueError:
        raise click.BadParameter(f'"{text}" is not a day such as 2026-03-02', param_hint=option) from None
