"""`config`: what is in force, what was, the way back, and the clocks of what runs."""

from __future__ import annotations

import click

from referral_engine.cli.configuration import values
from referral_engine.cli.migrating import migrate
from referral_engine.cli.reloading import history, rollback, show_version


class NameFirst(click.Group):
    """A group whose first word may be a name: `config NAME` is `config values NAME`, `config` is `config values`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The words, with `values` before them where they begin with no command."""
        if args[:1] not in ([word] for word in (*self.commands, *self.get_help_option_names(ctx))):
            args = ["values", *args]
        return super().parse_args(ctx, args)


@click.group(cls=NameFirst)
def config() -> None:
    """Show what is in force and where it comes from: `config`, `config NAME`; look back, go back, move clocks.

    \b
    Example:
      referral-engine config
      referral-engine config orthopaedics-lakeside
      referral-engine config history
    """


for _one in (values, history, show_version, rollback, migrate):
    config.add_command(_one)
