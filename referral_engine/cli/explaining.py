"""`explain`: everything that would become of a message, and nothing of it happens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import click

from referral_engine.base.clock import ManualClock, to_micros
from referral_engine.base.errors import ConfigError, JournalError, Refused
from referral_engine.channels.book import Book
from referral_engine.cli.explanation import shape_explanation
from referral_engine.cli.explanation_text import TEXT_AT, explanation_text
from referral_engine.cli.framing import Framing, framing_of
from referral_engine.cli.shared import (
    FOUND_PROBLEMS,
    conf_option,
    json_option,
    load_book,
    print_json,
    print_wrapped,
    refuse_configuration,
    seconds,
)
from referral_engine.flow.explaining import explain
from referral_engine.flow.inputs import Arrived
from referral_engine.flow.rehearsal import NODE
from referral_engine.flow.step import Step
from referral_engine.journal.journal import Journal
from referral_engine.service.clock import MachineClock
from referral_engine.service.files import read_or_make_key
from referral_engine.service.scratch import opened_copy


@click.command(name="explain")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--at", "journal", metavar="JOURNAL", help="Against a copy of this journal; else one that is empty.")
@click.option("--key", metavar="FILE", help="The journal's key; by default the one of --conf. '' for a plain journal.")
@click.option("--from", "peer", default="127.0.0.1", show_default=True, help="The address it would come from.")
@click.option("--time", "when", metavar="TIME", help='When it would come: "2026-03-02 09:00", clinic wall time.')
@conf_option
@json_option
def explain_(
    file: str, journal: str | None, key: str | None, peer: str, when: str | None, conf: str, *, as_json: bool
) -> None:
    """Say what the engine would do with a message: how it is read, which referral it means, what would follow.

    Framing, character set, sender, event, match with its reasons, the tracks that would move, what would be sent to
    whom, which clocks would start. Nothing is written and nothing is sent; a journal is copied first. Exit 1 when a
    person would have to look at it.

    \b
    Example:
      referral-engine explain sample_messages/orm-o01-cardiology-ppo.hl7
      referral-engine explain sample_messages/siu-s12-cardiology.hl7 --at backup/journal.db
    """
    _check_address(peer)
    book = load_book(conf)
    framing = framing_of(Path(file).read_bytes(), max(one.frame_bytes_max for one in book.engine.listeners))
    now = _instant(book, when)
    with _journal_at(journal, key, book, now) as opened:
        step = Step(opened, book, ManualClock(now))
        told = [explain(step, Arrived(raw=raw, peer=peer)) for raw in framing.messages]
    if as_json:
        print_json({"framing": _plain(framing), "messages": [shape_explanation(one, book) for one in told]})
    else:
        print_wrapped(f"{file}: {framing.sentence}")
        for one in told:
            for line in explanation_text(shape_explanation(one, book)):
                print_wrapped(seconds(line), TEXT_AT)
        if not journal:
            click.echo("\nmatched against an empty journal: --at JOURNAL names one with referrals in it")
    troubled = not told or any(one.fault or one.tasks for one in told)
    sys.exit(FOUND_PROBLEMS if troubled else 0)


def _plain(framing: Framing) -> dict[str, object]:
    return {"sentence": framing.sentence, "framed": framing.framed, "messages": len(framing.messages)}


def _check_address(peer: str) -> None:
    """Refuse what is no address.  Raises BadParameter."""
    try:
        ip_address(peer)
    except ValueError:
        raise click.BadParameter("write an address such as 10.20.30.40", param_hint="--from") from None


def _instant(book: Book, when: str | None) -> datetime:
    """When it would come, UTC; now unless said otherwise.  Raises BadParameter."""
    if not when:
        return MachineClock().now()
    calendars = book.engine.calendars
    calendar = calendars.get("default") or next(iter(calendars.values()))
    try:
        said = datetime.fromisoformat(when)
    except ValueError:
        raise click.BadParameter('write a time such as "2026-03-02 09:00"', param_hint="--time") from None
    return said if said.tzinfo else said.replace(tzinfo=calendar.zone)


@contextmanager
def _journal_at(path: str | None, key: str | None, book: Book, now: datetime) -> Iterator[Journal]:
    """An empty journal in memory, or a copy of the one that was named; exits 1 when it cannot be had."""
    if path is None:
        opened = Journal.open(":memory:", None, node=NODE, now=to_micros(now))
        try:
            yield opened
        finally:
            opened.close()
        return
    if key and not Path(key).is_file():
        raise click.BadParameter(f"there is no file {key}", param_hint="--key")
    key_file = book.engine.journal.key_file if key is None else key
    try:
        secret = read_or_make_key(key_file) if key_file and Path(key_file).is_file() else None
        with opened_copy(path, secret) as copied:
            yield copied
    except ConfigError as error:
        refuse_configuration(error, "the key")
    except (Refused, JournalError) as error:
        click.echo(f"referral-engine: {error}", err=True)
        sys.exit(FOUND_PROBLEMS)
