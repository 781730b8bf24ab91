"""`run`: the daemon in the foreground."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from referral_engine.base.errors import ConfigError, JournalError
from referral_engine.channels.lint import render_problem
from referral_engine.cli.shared import conf_option

if TYPE_CHECKING:
    from referral_engine.service.assembly import Daemon


@click.command()
@conf_option
def run(conf: str) -> None:
    """Run the daemon in the foreground; prints one line when it is ready.

    Without a file the built-in defaults hold: MLLP on 127.0.0.1:2575, everything kept below var/. The journal is
    encrypted; its key is made at the first start. Exit status 74: the disk is wrong. 78: the files are wrong.

    \b
    Example:
      referral-engine run --conf conf/engine.toml
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the files it asks for are read in a moment anyway
    from referral_engine.service.daemon import run_daemon  # takes a second, in which a hangup would end us

    sys.exit(run_daemon(conf, os.environ, announce=_announce, complain=_complain))


def _announce(daemon: Daemon) -> None:
    ports = ", ".join(f"{name} on port {port}" for name, port in sorted(daemon.ports.items()))
    click.echo(f"referral-engine is ready: MLLP {ports}; control socket {daemon.control_path}")
    sys.stdout.flush()


def _complain(error: ConfigError | JournalError) -> None:
    if isinstance(error, ConfigError):
        for problem in error.problems:
            click.echo(render_problem(problem), err=True)
    click.echo(f"referral-engine cannot start: {error}", err=True)
