"""The command line: one group, one module a kind of question."""

from __future__ import annotations

import click

from referral_engine import __version__
from referral_engine.cli.asking import list_, message, messages, outbox, show, status, task, tasks
from referral_engine.cli.configuration import check, config, route_, rules
from referral_engine.cli.daemon import run
from referral_engine.cli.demo import demo
from referral_engine.cli.rehearsing import rehearse
from referral_engine.cli.sending import send


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="referral-engine")
def main() -> None:
    """Close referral loops: orders out, appointments and consult notes back, every step on a clock.

    \b
    First steps:
      referral-engine demo                                   watch six loops over real sockets
      referral-engine run                                    start the daemon
      referral-engine send sample_messages/orm-o01-*.hl7 --to 127.0.0.1:2575
    """


for command in (run, demo, send, list_, show, tasks, task, outbox, messages, message, status):
    main.add_command(command)
for command in (check, route_, config, rules, rehearse):
    main.add_command(command)
