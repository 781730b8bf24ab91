"""The review queue: a person names a message's referral, takes a match back, or parts record numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import click

from referral_engine.cli.asking import LIMIT_DEFAULT, LIMIT_MAX, NUMBER, by_option, limit_option, tell
from referral_engine.cli.shared import (
    ask_daemon,
    conf_option,
    json_option,
    print_json,
    print_table,
    visible,
)

Row = Mapping[str, Any]
_MARKS: Final = {"agrees": "=", "differs": "≠ DIFFERS", "missing": "? not said"}

reason_option = click.option("--reason", required=True, help="Why; it stays in the journal.")


@click.group()
def review() -> None:
    """Say which referral a message belongs to, or take what a message said off its referral.

    \b
    Example:
      referral-engine review list
    """


@review.command(name="list")
@limit_option
@conf_option
@json_option
def list_reviews(limit: int, conf: str, *, as_json: bool) -> None:
    """List what waits for a person's word, the most urgent first.

    \b
    Example:
      referral-engine review list --json
    """
    rows = cast("Sequence[Row]", ask_daemon(conf, "reviews", {"limit": limit}))
    if as_json:
        print_json(rows)
        return
    heads = ("id", "message_id", "type", "feed", "received_at", "due_at", "urgent", "level", "reason", "candidates")
    print_table(heads, [[*(row[head] for head in heads[:-1]), _named(row)] for row in rows], "nothing to review")


def _named(row: Row) -> str:
    """The candidates with their scores."""
    return ", ".join(f"{one['referral']} ({one['score']})" for one in row["candidates"])


@review.command(name="show")
@click.argument("number", type=NUMBER, metavar="ID")
@conf_option
@json_option
def show_review(number: int, conf: str, *, as_json: bool) -> None:
    """Show one review: the message's patient beside each candidate's, the score, and what was decided before.

    \b
    Example:
      referral-engine review show 7
    """
    answer = cast("Row", ask_daemon(conf, "review", {"task": number}))
    if as_json:
        print_json(answer)
        return
    for line in _shown(answer):
        click.echo(line)


def _shown(answer: Row) -> Iterator[str]:
    yield click.style(f"review {answer['id']}  {visible(answer['reason'])}", bold=True)
    yield (
        f"message {answer['message_id']}  {answer['type']} from {answer['feed']}, received {answer['received_at']}; "
        f"due {answer['due_at']}, with {answer['queue']}"
    )
    if answer["note"]:
        yield f"note: {visible(answer['note'])}"
    if answer["fields"]:
        yield f"found in: {visible(', '.join(answer['fields']))}"
    for one in answer["candidates"]:
        yield ""
        yield from _candidate(one)
    if not answer["candidates"]:
        yield "\nno candidate"
    for decision in answer["decisions"]:
        yield from _decided(decision)


def _candidate(one: Row) -> Iterator[str]:
    """The two patients side by side; what differs stands out."""
    head = f"{one['referral']}  {one['status']}, {one['channel']}, score {one['score']}"
    yield click.style(head, bold=True)
    for row in one["compared"]:
        line = f"  {row['name']:14} {visible(row['message']) or '-':32} {visible(row['referral']) or '-':32}"
        mark = _MARKS[row["verdict"]]
        yield click.style(line + mark, fg="red", bold=True) if row["verdict"] == "differs" else line + mark
    parts = [f"{part['name']} {part['verdict']} {part['points']:+d}" for part in one["parts"] if part["points"]]
    if parts:
        yield f"  score: {', '.join(parts)}"


def _decided(decision: Row) -> Iterator[str]:
    where = f"referral {decision['referral']}" if decision["referral"] else "no referral"
    yield (
        f"\n{decision['at']}  part {decision['part']}: level {decision['level']}, {where}, by {decision['by']}: "
        f"{visible(decision['reason'])}"
    )
    if decision["undone_at"]:
        yield f"{decision['undone_at']}  undone by {decision['undone_by']}: {visible(decision['undone_reason'])}"


part_option = click.option("--part", type=click.IntRange(0), help="Which of several things the message speaks of.")


@review.command()
@click.argument("number", type=NUMBER, metavar="ID")
@click.argument("referral")
@reason_option
@click.option("--sure", is_flag=True, help="Although something says that it is another patient's.")
@part_option
@by_option
@conf_option
def bind(number: int, referral: str, conf: str, *, part: int | None, **words: object) -> None:
    """Put a message on a referral.

    \b
    Example:
      referral-engine review bind 7 RE-0001 --reason "both charts looked at, same person"
    """
    told = {"task": number, "decision": "bind", "referral": referral, "part": -1 if part is None else part, **words}
    tell(conf, "review-decide", told, f"review {number}: bound to {referral}")


@review.command(name="new")
@click.argument("number", type=NUMBER, metavar="ID")
@click.option("--channel", required=True, help="The specialist's channel.")
@reason_option
@part_option
@by_option
@conf_option
def bind_as_new(number: int, channel: str, conf: str, *, part: int | None, **words: object) -> None:
    """Make a referral that nobody ordered here from a message, and put the message on it; the office is sent nothing.

    An order whose number another referral has begins a loop of its own.

    \b
    Example:
      referral-engine review new 7 --channel cardiology-heart-group --reason "ordered by telephone"
    """
    told = {"task": number, "decision": "new", "channel": channel, "part": -1 if part is None else part, **words}
    tell(conf, "review-decide", told, f"review {number}: a new referral of {channel}")


def _simple(word: str, does: str) -> None:
    example = f'referral-engine review {word} 7 --reason "asked the office"'

    @review.command(name=word, help=f"{does}.\n\n\b\nExample:\n  {example}")
    @click.argument("number", type=NUMBER, metavar="ID")
    @reason_option
    @by_option
    @conf_option
    def decide(number: int, conf: str, **words: object) -> None:
        tell(conf, "review-decide", {"task": number, "decision": word, **words}, f"review {number}: {word}")


_simple("dismiss", "Say that a message is about no referral")
_simple("wrong-patient", "Set a message aside: it names a patient it is not about")
_simple("needs-info", "Leave a review open for another business day, and note what is being asked")


@review.command(name="confirm")
@click.argument("number", type=NUMBER, metavar="MESSAGE")
@reason_option
@by_option
@conf_option
def confirm_match(number: int, conf: str, **words: object) -> None:
    """Say that a message which was matched provisionally is on the right referral.

    \b
    Example:
      referral-engine review confirm 42 --reason "the office confirmed the time"
    """
    tell(conf, "review-confirm", {"message": number, **words}, f"message {number}: confirmed")


@review.command(name="undo")
@click.argument("number", type=NUMBER, metavar="MESSAGE")
@click.option("--referral", default="", help="Only off this one, where the message is evidence of several.")
@reason_option
@by_option
@conf_option
def undo_message(number: int, conf: str, **words: object) -> None:
    """Take what a message said off its referral: tracks and clocks as before, and whoever was told hears of it.

    \b
    Example:
      referral-engine review undo 42 --reason "the letter is about the patient's sister"
    """
    tell(conf, "review-undo", {"message": number, **words}, f"message {number}: undone, and open for review again")


@review.command(name="merges")
@click.option(
    "--limit", type=click.IntRange(1, LIMIT_MAX), default=LIMIT_DEFAULT, show_default=True, help="At most this many."
)
@conf_option
@json_option
def list_merges(limit: int, conf: str, *, as_json: bool) -> None:
    """List the record numbers that a message said are one person's, newest first.

    \b
    Example:
      referral-engine review merges
    """
    rows = cast("Sequence[Row]", ask_daemon(conf, "merges", {"limit": limit}))
    if as_json:
        print_json(rows)
        return
    heads = ("id", "kind", "survivor", "retired", "message_id", "at", "undone_at", "undone_by")
    lines = [[_number(row[head]) for head in heads] for row in rows]
    print_table(heads, lines, "no merges")


def _number(value: object) -> object:
    """A record number with its authority; anything else as it is."""
    return f"{value['value']} ({value['authority']})" if isinstance(value, Mapping) else value


@review.command(name="undo-merge")
@click.argument("number", type=NUMBER, metavar="ID")
@reason_option
@by_option
@conf_option
def part_merge(number: int, conf: str, **words: object) -> None:
    """Say that two record numbers are not one patient's; what was decided because of them comes up for review.

    \b
    Example:
      referral-engine review undo-merge 3 --reason "two sisters"
    """
    tell(conf, "merge-undo", {"merge": number, **words}, f"merge {number}: undone")
