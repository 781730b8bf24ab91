"""Questions to the running daemon, and what people tell it: list, show, tasks, outbox, messages."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, cast

import click

from referral_engine.cli.message_file import FileFirst, read_file
from referral_engine.cli.shared import (
    FOUND_PROBLEMS,
    ask_daemon,
    conf_option,
    json_option,
    print_json,
    print_table,
    print_wrapped,
    seconds,
    visible,
)

Row = Mapping[str, Any]
LIMIT_DEFAULT: Final = 100
SHOWN_MAX: Final = 2_000  # characters of a segment on a terminal; --raw and --json have all of them
LIMIT_MAX: Final = 10_000  # what the journal gives in one answer
NUMBER: Final = click.IntRange(1, 2**63 - 1)  # of a task, a sending, a message


def _me() -> str:
    """Who sits at this terminal; a user id that has no name is still somebody."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


limit_option = click.option(
    "--limit",
    type=click.IntRange(1, LIMIT_MAX),
    default=LIMIT_DEFAULT,
    show_default=True,
    help="At most this many.",
)
by_option = click.option("--by", default=_me, help="Who you are; the user of this terminal when not given.")


def _rows(conf: str, question: str, words: Mapping[str, object]) -> Sequence[Row]:
    return cast("Sequence[Row]", ask_daemon(conf, question, words))


def tell(conf: str, question: str, words: Mapping[str, object], done: str) -> None:
    """Give the daemon a command; print what it says when it refuses."""
    answer = cast("Row", ask_daemon(conf, question, words))
    if answer.get("refused"):
        click.echo(f"referral-engine: {answer['refused']}", err=True)
        sys.exit(FOUND_PROBLEMS)
    click.echo(done)


@click.command(name="list")
@click.option("--status", help="Only these: ordered, held, patient-notified, scheduled, attended, note-received, ...")
@limit_option
@conf_option
@json_option
def list_(status: str | None, limit: int, conf: str, *, as_json: bool) -> None:
    """List referrals, newest first.

    \b
    Example:
      referral-engine list --status scheduled
    """
    rows = _rows(conf, "list", {"status": status or "", "limit": limit})
    if as_json:
        print_json(rows)
        return
    heads = ("id", "status", "channel", "specialty", "priority", "ordered_at", "placer_number")
    print_table(heads, [[row[head] for head in heads] for row in rows], "no referrals")


@click.command()
@click.argument("referral")
@click.option("--bytes", "with_bytes", is_flag=True, help="Also the bytes of every message in and out.")
@conf_option
@json_option
def show(referral: str, conf: str, *, with_bytes: bool, as_json: bool) -> None:
    """Show one referral's whole timeline, by its id or its placer number.

    \b
    Example:
      referral-engine show RE-0001
    """
    answer = cast("Row", ask_daemon(conf, "show", {"referral": referral, "bytes": with_bytes}))
    if as_json:
        print_json(answer)
        return
    print_referral(answer)


def print_referral(answer: Row) -> None:
    """One referral for a terminal: head, tracks, clocks, tasks, timeline."""
    click.secho(f"{answer['id']}  {answer['status']}", bold=True)
    click.echo(
        f"channel {answer['channel']}, {answer['specialty']}, {answer['priority']}, "
        f"order {visible(answer['placer_number'])}"
    )
    if answer.get("watched"):
        click.echo("watched only: it came through a channel in shadow, and nothing of it is sent")
    if answer["configuration"]:
        click.echo(f"clocks by configuration {answer['configuration']}")
    print_wrapped("  ".join(f"{track} {state}" for track, state in answer["tracks"].items()))
    running = [one for one in answer["deadlines"] if one["state"] == "pending"]
    print_table(("clock", "due"), [(one["kind"], one["due_at"]) for one in running], "no clock runs")
    opened = [one for one in answer["tasks"] if one["state"] != "done"]
    print_table(
        ("task", "queue", "kind", "reason"),
        [(t["id"], t["queue"], t["kind"], t["reason"]) for t in opened],
        "no open task",
        under=1,
    )
    click.echo()
    decided_by = None
    for one in answer["timeline"]:
        why = f"  [{one['reason']}]" if one["reason"] else ""
        if one["configuration"] not in (None, decided_by):
            decided_by = one["configuration"]
            why += f"  (configuration {decided_by})"
        print_wrapped(seconds(f"{one['at']}  {one['summary']}{why}"), 22)
    for one in answer["timeline"]:
        if one.get("bytes"):
            click.echo(f"\n{one['at']} {one['kind']}\n" + lines_of(one["bytes"]))


def lines_of(message: str) -> str:
    """A message for a terminal, a segment a line; a scanned letter is cut, or it would bury the rest."""
    return "\n".join(
        visible(line if len(line) <= SHOWN_MAX else f"{line[:SHOWN_MAX]}... ({len(line)} characters)")
        for line in message.replace("\r", "\n").split("\n")
    )


@click.command()
@click.option("--queue", help="Only this queue.")
@click.option("--all", "everything", is_flag=True, help="Done ones too.")
@limit_option
@conf_option
@json_option
def tasks(queue: str | None, limit: int, conf: str, *, everything: bool, as_json: bool) -> None:
    """List what people must do, the most urgent first.

    \b
    Example:
      referral-engine tasks --queue front-desk
    """
    rows = _rows(conf, "tasks", {"queue": queue or "", "limit": limit, "all": everything})
    if as_json:
        print_json(rows)
        return
    heads = ("id", "queue", "kind", "about", "due_at", "state", "reason")
    told = [{**row, "about": row["referral"] or _message_of(row)} for row in rows]
    print_table(heads, [[row[head] for head in heads] for row in told], "nothing to do", under=1)


def _message_of(task: Row) -> str:
    """The message of a task about no referral: `message show` and `message replay` take its number."""
    return f"message {task['message_id']}" if task["message_id"] else ""


@click.group()
def task() -> None:
    """Take a task, or say that it is done and what you learned."""


@task.command(name="claim")
@click.argument("number", type=NUMBER)
@by_option
@conf_option
def claim_task(number: int, by: str, conf: str) -> None:
    """Take a task so that nobody else does it.

    \b
    Example:
      referral-engine task claim 7
    """
    tell(conf, "task-claim", {"task": number, "by": by}, f"task {number} is yours")


@task.command(name="done")
@click.argument("number", type=NUMBER)
@click.option("--note", required=True, help="What you did; it stays in the journal.")
@click.option("--booked", metavar="TIME", help='The patient has a time: "2026-03-10 09:30", clinic wall time.')
@click.option("--attended/--missed", default=None, help="The visit took place, or the patient did not come.")
@click.option("--authorized", metavar="NUMBER", help="The payer approved, with this number.")
@click.option("--authorized-until", metavar="DATE", help="The last day of the authorization.")
@click.option("--authorized-from", metavar="DATE", help="The first day of the authorization.")
@click.option("--visits", type=click.IntRange(1, 9_999), metavar="N", help="How many visits it covers.")
@click.option("--denied", is_flag=True, help="The payer said no: the ordering provider and billing are told.")
@click.option("--release", is_flag=True, help="Let the packet go without an authorization.")
@click.option("--waive", is_flag=True, help="Let the packet go although the payer denied it; --note says why.")
@click.option("--patient-reached", is_flag=True, help="You spoke with the patient.")
@click.option("--cancel-confirmed", is_flag=True, help="The specialist confirmed the cancellation.")
@click.option("--end", metavar="WHY", help="End the referral: refused, not-a-referral, closed-without-note, ...")
@by_option
@conf_option
def finish_task(number: int, conf: str, **words: object) -> None:
    """Finish a task, and record what you learned doing it.

    \b
    Example:
      referral-engine task done 7 --note "office called back" --booked "2026-03-10 09:30"
      referral-engine task done 8 --note "payer's portal" --authorized PA-77 --authorized-until 2026-06-30 --visits 4
      referral-engine task done 9 --note "payer called" --denied
    """
    _check_moments(words)
    told = {name: value for name, value in words.items() if value not in (None, False, "") or name == "attended"}
    tell(conf, "task-done", {"task": number, **told}, f"task {number} is done")


def _check_moments(words: Mapping[str, object]) -> None:
    """Refuse a time or a day nobody can read, before the daemon is asked.  Raises BadParameter."""
    booked = str(words.get("booked") or "")
    try:
        understood = not booked or (":" in booked and datetime.fromisoformat(booked) is not None)
    except ValueError:
        understood = False
    if not understood:
        raise click.BadParameter('write a time such as "2026-03-10 09:30"', param_hint="--booked")
    for name in ("authorized_from", "authorized_until"):
        _check_day(str(words.get(name) or ""), f"--{name.replace('_', '-')}")
    for name in ("authorized_from", "authorized_until", "visits"):
        if words.get(name) and not words.get("authorized"):
            raise click.UsageError(f"--{name.replace('_', '-')} needs --authorized NUMBER")


def _check_day(text: str, option: str) -> None:
    """Refuse a day nobody can read.  Raises BadParameter."""
    try:
        understood = not text or date.fromisoformat(text) is not None
    except ValueError:
        understood = False
    if not understood:
        raise click.BadParameter("write a day such as 2026-06-30", param_hint=option)


@click.group(invoke_without_command=True)
@click.option("--state", help="Only these: queued, in-flight, failed, unknown, parked, delivered, cancelled.")
@click.option("--all", "everything", is_flag=True, help="Settled ones too, the newest first.")
@limit_option
@conf_option
@json_option
@click.pass_context
def outbox(
    context: click.Context, state: str | None, limit: int, conf: str, *, everything: bool, as_json: bool
) -> None:
    """Show what is owed to whom; or retry, park or cancel one sending.

    \b
    Example:
      referral-engine outbox --state unknown
      referral-engine outbox retry 12
    """
    if context.invoked_subcommand is not None:
        return
    rows = _rows(conf, "outbox", {"state": state or "", "limit": limit, "all": everything})
    if as_json:
        print_json(rows)
        return
    heads = ("id", "referral", "channel", "transport", "kind", "state", "attempts", "wire_id", "reason")
    print_table(heads, [[row[head] for head in heads] for row in rows], "nothing is owed", under=1)


def _decide(word: str, done: str, said: str) -> None:
    @outbox.command(name=word, help=f"{done}.\n\n\b\nExample:\n  referral-engine outbox {word} 12")
    @click.argument("number", type=NUMBER)
    @by_option
    @conf_option
    def decide(number: int, by: str, conf: str) -> None:
        tell(conf, "outbox-decide", {"effect": number, "decision": word, "by": by}, f"sending {number} {said}")


_decide("retry", "Send it again now, with the same bytes and the same id", "leaves again now")
_decide("park", "Hold it until somebody retries or cancels it", "is held until somebody retries or cancels it")
_decide("cancel", "Never send it", "is never sent")


@click.command()
@click.option("--quarantined", is_flag=True, help="Only those that were refused or set aside.")
@limit_option
@conf_option
@json_option
def messages(limit: int, conf: str, *, quarantined: bool, as_json: bool) -> None:
    """List what came in, newest first, and what became of it.

    \b
    Example:
      referral-engine messages --quarantined
    """
    rows = _rows(conf, "messages", {"quarantined": quarantined, "limit": limit})
    if as_json:
        print_json(rows)
        return
    heads = ("id", "received_at", "feed", "type", "control_id", "disposition", "ack", "level", "referral", "reason")
    print_table(heads, [[row[head] for head in heads] for row in rows], "nothing has come in", under=1)


@click.group(cls=FileFirst)
def message() -> None:
    """Look at a message in a file or a received one, or decide about one that was set aside.

    \b
    Example:
      referral-engine message sample_messages/orm-o01-imaging-mri.hl7 --conformance
      referral-engine message show 42
    """


message.add_command(read_file)


@message.command(name="show")
@click.argument("number", type=NUMBER)
@click.option("--raw", type=click.Path(dir_okay=False, writable=True), help="Write the exact bytes to this file.")
@conf_option
@json_option
def show_message(number: int, raw: str | None, conf: str, *, as_json: bool) -> None:
    """Show one message: its bytes, the answer it got, and what became of it.

    \b
    Example:
      referral-engine message show 42
    """
    answer = cast("Row", ask_daemon(conf, "message", {"message": number}))
    if raw:
        Path(raw).write_bytes(bytes.fromhex(answer["raw_hex"]))
    if as_json:
        print_json(answer)
        return
    for name in ("id", "feed", "peer", "type", "received_at", "disposition", "level", "referral", "reason", "ack"):
        click.echo(f"{name:12} {visible(str(answer[name])) if answer[name] is not None else ''}".rstrip())
    if answer["configuration"]:
        click.echo(f"{'decided by':12} configuration {answer['configuration']}")
    if answer["purged_at"]:
        click.echo(f"{'reduced':12} to its header at {answer['purged_at']}, for it concerned no referral")
    for one in answer["decisions"]:
        where = f"referral {one['referral']}" if one["referral"] else "no referral"
        undone = f" (undone by {one['undone_by']})" if one["undone_at"] else ""
        why = visible(one["reason"])
        click.echo(f"decision     part {one['part']}: level {one['level']}, {where}, by {one['by']}: {why}{undone}")
    click.echo("\n" + lines_of(answer["raw"]))
    click.echo("answered:\n" + (lines_of(answer["answer"]) or "(nothing)"))


def _decide_message(word: str, does: str, said: str) -> None:
    @message.command(name=word, help=f"{does}.\n\n\b\nExample:\n  referral-engine message {word} 42")
    @click.argument("number", type=NUMBER)
    @by_option
    @conf_option
    def decide(number: int, by: str, conf: str) -> None:
        tell(conf, "message-decide", {"message": number, "decision": word, "by": by}, f"message {number} {said}")


_decide_message(
    "replay",
    "Handle what was set aside again, or an order no channel took, by the files in force now, then what waits",
    "was handled again; referral-engine message show says what became of it",
)
_decide_message("skip", "Leave it as it is, and handle what waits behind it", "is left as it is")
