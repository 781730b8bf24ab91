"""The command line: one group whose commands are imported when asked for, so that `check` answers at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final, cast

import click

from referral_engine import __version__

# The command's name to its module and its name there.
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "run": ("daemon", "run"),
    "demo": ("demo", "demo"),
    "send": ("sending", "send"),
    "list": ("asking", "list_"),
    "show": ("asking", "show"),
    "tasks": ("asking", "tasks"),
    "task": ("asking", "task"),
    "outbox": ("asking", "outbox"),
    "messages": ("asking", "messages"),
    "message": ("asking", "message"),
    "review": ("reviewing", "review"),
    "why": ("reckoning", "why"),
    "status": ("standing", "status"),
    "reload": ("reloading", "reload_"),
    "sweep": ("minding", "sweep"),
    "verify": ("minding", "verify"),
    "check": ("configuration", "check"),
    "route": ("configuration", "route_"),
    "config": ("configuring", "config"),
    "rules": ("configuration", "rules"),
    "schema": ("schemas", "schema_"),
    "channel": ("drafting", "channel"),
    "coverage": ("covering", "coverage_"),
    "diff": ("diffing", "diff_"),
    "shadow": ("shadowing", "shadow"),
    "explain": ("explaining", "explain_"),
    "preauth": ("preauthorizing", "preauth"),
    "test": ("testing", "test_"),
    "rehearse": ("rehearsing", "rehearse"),
    "simulate": ("simulating", "simulate"),
    "generate": ("generating", "generate"),
    "torture": ("torturing", "torture"),
}


class _Late(dict[str, click.Command]):
    """Commands by name, each imported when it is looked at."""

    def __missing__(self, name: str) -> click.Command:
        """Import one command.  Raises KeyError when there is none of that name."""
        module, attribute = COMMANDS[name]
        self[name] = cast("click.Command", getattr(import_module(f"referral_engine.cli.{module}"), attribute))
        return self[name]

    def get(self, name: str, default: object = None) -> Any:
        """One command, or the default."""
        return self[name] if name in COMMANDS else default

    def __len__(self) -> int:
        """How many there are, imported or not: of none, a misspelt command would be near to none."""
        return len(COMMANDS)

    def __iter__(self) -> Iterator[str]:
        """Every name, in the order of a first day."""
        return iter(COMMANDS)

    def items(self) -> Any:
        """Every command with its name."""
        return [(name, self[name]) for name in COMMANDS]

    def values(self) -> Any:
        """Every command."""
        return [self[name] for name in COMMANDS]


@click.group(commands=_Late(), context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="referral-engine")
def main() -> None:
    """Close referral loops: orders out, appointments and consult notes back, every step on a clock.

    \b
    First steps:
      referral-engine demo                                   watch six loops over real sockets
      referral-engine run                                    start the daemon
      referral-engine send sample_messages/orm-o01-*.hl7 --to 127.0.0.1:2575
    """
