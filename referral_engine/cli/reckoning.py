"""`why`: the arithmetic of one clock of one referral, asked of the running daemon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import click

from referral_engine.cli.shared import ask_daemon, conf_option, json_option, print_json, visible

Row = Mapping[str, Any]


@click.command()
@click.argument("referral")
@click.argument("clock")
@conf_option
@json_option
def why(referral: str, clock: str, conf: str, *, as_json: bool) -> None:
    """Say step by step why a clock of a referral is due when it is, or why it does not run.

    Where it counts from and which event that was, which line of the files gave its length, then every weekend,
    holiday, closed hour and clock change on the way, the instant it is due, and whether it fired or was cancelled.
    REFERRAL is our number or the order's; CLOCK is a name of [sla], as in `referral-engine config CHANNEL`.

    \b
    Example:
      referral-engine why RE-0001 schedule
      referral-engine why P-1001 note-ping --json
    """
    told = cast("Row", ask_daemon(conf, "why", {"referral": referral, "clock": clock}))
    if as_json:
        print_json(told)
    else:
        click.echo(visible("\n".join(why_text(told))))


def why_text(told: Row) -> Iterator[str]:
    """The lines a person reads."""
    policy = told["policy"]
    yield f"{told['referral']}  clock {told['clock']}, counted from: {told['counts_from']}"
    whose = f"{policy['urgency']}, network {policy['network']}"
    yield f"  length    {', '.join(policy['lengths'])} ({policy['decided_by']}), {whose}"
    yield f"  calendar  {policy['calendar']}, {policy['zone']}"
    conditions = [f"{track} is {' or '.join(states)}" for track, states in told["runs_while"].items()]
    yield f"  runs      while {' and '.join(conditions)}" + ("; begins again when it fires" if told["repeats"] else "")
    if not policy["file_is_there"]:
        whose = "it keeps its last clocks" if policy["configuration"] else "the site's own clocks hold"
        yield f"  note      there is no file for {policy['channel']} any more: {whose}"
    if policy["accepted_under"] != policy["in_force"]:
        theirs = policy["configuration"] or policy["accepted_under"]
        in_force = policy["configuration_in_force"] or policy["in_force"]
        yield f"  note      its clocks are those of configuration {theirs}; in force is {in_force}"
    for life in told["lives"]:
        yield ""
        yield from _life(life)
    for sentence in told["not_running"]:
        yield f"\n  not running: {sentence}"
    if told["truncated"]:
        yield "\n  its history is longer than what was looked at"


def _life(life: Row) -> Iterator[str]:
    yield f"  {life['state']}, generation {life['generation']}" + (f": {life['length']}" if life["length"] else "")
    if life["begun_by"]:
        yield f"    begun by  {_event(life['begun_by'])}"
    for step in life["steps"]:
        yield f"    {step['clinic']}  {step['sentence']}"
    yield f"    due       {life['due']['clinic']} clinic time, {life['due']['at']}"
    if not life["steps"]:
        yield "    the files in force do not explain this one: it was set under others"
    elif life["recorded_due_at"] is not None and not life["as_recorded"]:
        yield f"    recorded  {life['recorded_due_at']}: it was set under other files than those in force"
    if life["fired_by"]:
        yield f"    fired     {_event(life['fired_by'])}"
    if life["ended_by"]:
        yield f"    ended by  {_event(life['ended_by'])}"


def _event(event: Row) -> str:
    message = f", message {event['message_id']}" if event["message_id"] else ""
    return f"event {event['id']} {event['what']} at {event['at']}{message}"
