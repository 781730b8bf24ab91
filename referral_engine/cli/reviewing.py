"""The review queue: a person names a message's referral, takes a match back, or parts record numbers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from referral_engine.cli.asking import LIMIT_DEFAULT, LIMIT_MAX, NUMBER, by_option, limit_option, tell
from referral_engine.cli.shared import (
    ask_daemon,
    conf_option,
    in_one_line,
    json_option,
    print_json,
    print_table,
    print_wrapped,
    seconds,
)

Row = Mapping[str, Any]
_INDENT: Final = 4  # of a line that goes on
_PIPED: Final = 200  # columns where nobody's terminal says how many
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
    lines = [[row[head] for head in heads[:-1]] + [_named(row)] for row in rows]
    for line in lines:
        line[heads.index("urgent")] = "yes" if line[heads.index("urgent")] else ""
    print_table(heads, lines, "nothing to review", under=2)


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
    _show(answer)


def _show(answer: Row) -> None:
    """The message, then each thing it speaks of beside its candidates, then what was decided before."""
    print_wrapped(f"review {answer['id']}  {answer['reason']}", bold=True)
    print_wrapped(seconds(_where(answer)))
    print_wrapped(
        seconds(
            f"message {answer['message_id']}: {answer['type']} from {answer['feed']}, received {answer['received_at']}"
        )
    )
    if answer["purged_at"]:
        print_wrapped(seconds(f"reduced to its header at {answer['purged_at']}: ask its sender for it again"))
    else:
        print_wrapped(f"to read it: referral-engine message show {answer['message_id']}")
    if answer["note"]:
        print_wrapped(f"note: {answer['note']}", _INDENT)
    parts = answer["parts"] or [answer]
    for part in parts:
        _part(answer, part, several=len(parts) > 1)
    for decision in answer["decisions"]:
        _decided(decision)


def _where(answer: Row) -> str:
    """Whose turn it is."""
    if answer["state"] == "done":
        return f"done at {answer['closed_at']}; to decide again: review undo {answer['message_id']}"
    return f"open with {answer['queue']}, due {answer['due_at']}"


def _part(answer: Row, part: Row, *, several: bool) -> None:
    if several:
        click.secho(f"\npart {part['part']} of the message, for --part {part['part']}", bold=True)
    if part["about"]:
        print_wrapped(f"speaks of: {seconds(_about(part['about']))}", _INDENT)
    if part["fields"]:
        print_wrapped(f"found in: {', '.join(part['fields'])}", _INDENT)
    for one in part["candidates"]:
        click.echo()
        _candidate(one)
    click.echo("" if part["candidates"] else "\nno candidate")
    if answer["state"] != "done" and part["about"]:
        print_wrapped(f"review bind would: {_outcome(part['about'])}", _INDENT)
        if part["level"] == 0:
            print_wrapped("something speaks against it: bind is refused without --sure", _INDENT, fg="red")


def _about(about: Row) -> str:
    """What kind of thing it is: "report CN, of 2026-03-10T15:30:00Z, by 1550000016"."""
    words = [f"{about['kind']} {about['document_kind']}".rstrip()]
    words += [f"of {about['happened_at']}"] if about["happened_at"] else []
    words += [f"by {about['provider']}"] if about["provider"] else []
    words += [f"naming order {about['placer_number']}"] if about["placer_number"] else ["naming no order"]
    words += ["taking something back"] if about["retracts"] else []
    words += ["which its sender calls another patient's"] if about["wrong_patient"] else []
    return ", ".join(words)


def _outcome(about: Row) -> str:
    """What putting it on a referral does there."""
    match about["kind"], about["retracts"], about["may_close"]:
        case "report", True, _:
            return "take back what the referral has of this document, and tell the EHR"
        case "report", _, True:
            return "keep it with the referral; a final note closes it and goes to the ordering provider"
        case "report", _, _:
            return "keep it with the referral; a document of this kind closes nothing (closing_documents)"
        case "appointment", _, _:
            return "move the referral's appointment as the message says, and tell the EHR"
        case "order", _, _:
            return "change or cancel the referral's order; a new order is no evidence: dismiss it, or say new"
        case _:
            return "take over what the message says of the patient"


def _candidate(one: Row) -> None:
    """The two patients side by side; what differs stands out."""
    print_wrapped(f"{one['referral']}  {_referral(one)}; score {one['score']}", _INDENT, bold=True)
    if one["compared"]:
        _compared(one["compared"])
    parts = [f"{part['name']} {part['verdict']} {part['points']:+d}" for part in one["parts"] if part["points"]]
    if parts:
        print_wrapped(f"  score: {', '.join(parts)}", _INDENT)


def _referral(one: Row) -> str:
    """Which referral it is, as a person knows it."""
    words = [one["status"] or "no longer there", one["service"] or one["specialty"] or "", one["channel"] or ""]
    words += [f"order {one['placer_number'] or 'without a number'} of {one['ordered_at']}"] if one["ordered_at"] else []
    words += [f"booked for {', '.join(one['appointments'])}"] if one["appointments"] else []
    return seconds(", ".join(filter(None, words)))


def _compared(rows: Sequence[Row]) -> None:
    """Three columns: what is compared, the message's word, the referral's; and whether they agree."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="")
    for head in ("", "the message says", "the referral says", ""):
        table.add_column(head, overflow="fold")
    for row in rows:
        differs = row["verdict"] == "differs"
        cells = (f"  {row['name']}", row["message"] or "-", row["referral"] or "-", _MARKS[row["verdict"]])
        table.add_row(*(Text(in_one_line(cell)) for cell in cells), style="bold red" if differs else None)
    Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED).print(table)


def _decided(decision: Row) -> None:
    where = f"referral {decision['referral']}" if decision["referral"] else "no referral"
    said = f"level {decision['level']}, {where}, by {decision['by']}: {decision['reason']}"
    click.echo()
    print_wrapped(seconds(f"{decision['at']}  part {decision['part']}: {said}"), _INDENT)
    if decision["undone_at"]:
        undone = f"undone by {decision['undone_by']}: {decision['undone_reason']}"
        print_wrapped(seconds(f"{decision['undone_at']}  {undone}"), _INDENT)


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
    before = _moments(conf, [referral])
    tell(conf, "review-decide", told, f"review {number}: bound to {referral}")
    _tell_since(conf, before)


@review.command(name="new")
@click.argument("number", type=NUMBER, metavar="ID")
@click.option("--channel", required=True, help="The specialist's channel.")
@reason_option
@click.option("--sure", is_flag=True, help="Although another channel sent the message.")
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

    A message that was dismissed, or set aside as another patient's, comes up for review again.

    \b
    Example:
      referral-engine review undo 42 --reason "the letter is about the patient's sister"
    """
    before = _moments(conf, _on(conf, number, str(words["referral"])))
    tell(conf, "review-undo", {"message": number, **words}, f"message {number}: undone, and open for review again")
    _tell_since(conf, before)
    rows = cast("Sequence[Row]", ask_daemon(conf, "reviews", {"limit": LIMIT_MAX}))
    for row in rows:
        if row["message_id"] == number:
            click.echo(f"review {row['id']} asks where it belongs")


def _on(conf: str, message: int, only: str) -> list[str]:
    """The referrals a message is evidence of; `only` that one, where it is named."""
    row = cast("Row", ask_daemon(conf, "message", {"message": message}))
    held = [one["referral"] for one in row["decisions"] if one["referral"] and not one["undone_at"]]
    held += [row["referral"]] if row["referral"] and not row["decisions"] else []
    return [one for one in dict.fromkeys(held) if only in ("", one)]


def _moments(conf: str, referrals: Sequence[str]) -> dict[str, set[str]]:
    """When something happened to these referrals, until now."""
    return {one: {line["at"] for line in _timeline(conf, one)} for one in referrals}


def _tell_since(conf: str, before: Mapping[str, set[str]]) -> None:
    """What has happened to each referral since: tracks, what is owed to whom, tasks."""
    for referral, known in before.items():
        for line in _timeline(conf, referral):
            if line["at"] not in known:
                print_wrapped(f"  {referral}  {line['summary']}", _INDENT)


def _timeline(conf: str, referral: str) -> Sequence[Row]:
    return cast("Sequence[Row]", cast("Row", ask_daemon(conf, "show", {"referral": referral}))["timeline"])


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
