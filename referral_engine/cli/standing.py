"""How the running daemon stands: health, counters, queues, clock, versions, and a configuration it refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, cast

import click

from referral_engine.cli.shared import (
    FOUND_PROBLEMS,
    ask_daemon,
    conf_option,
    json_option,
    print_json,
    print_wrapped,
    seconds,
)


@click.command()
@conf_option
@json_option
def status(conf: str, *, as_json: bool) -> None:
    """Show health, counters, queues, clock and versions; exit 1 when the engine is not ready.

    \b
    Example:
      referral-engine status
    """
    answer = cast("Mapping[str, Any]", ask_daemon(conf, "status"))
    if as_json:
        print_json(answer)
    else:
        click.secho("ready" if answer["ready"] else "NOT READY", bold=True)
        refused = answer["configuration"].pop("refused", None)
        if refused is not None:
            newer = f"{refused['first']} ({refused['problems']} in all; {refused['hint']})"
            print_wrapped(f"REFUSED      a newer configuration, {seconds(refused['at'])}: {newer}", 13, fg="red")
        for name, value in answer.items():
            lines = value if isinstance(value, list) else [value]
            for line in lines:
                shown = line.items() if isinstance(line, dict) else ()
                told = [f"{k} {v}" for k, v in shown if _says(v) or not isinstance(value, list)]
                words = "  ".join(told) if isinstance(line, dict) else str(line)
                print_wrapped(f"{name:12} {seconds(words)}", 13)
    sys.exit(0 if answer["ready"] else FOUND_PROBLEMS)


def _says(value: object) -> bool:
    """Whether a word about one listener or lane tells anything: an empty name and a counter at nothing do not."""
    if isinstance(value, dict):
        return any(map(_says, value.values()))
    return isinstance(value, bool) or value not in (None, "", [], 0)
