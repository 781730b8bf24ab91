"""`message FILE`: one message as the engine reads it, segment by segment, and what the standard says of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from referral_engine.base.errors import MessageFault
from referral_engine.cli.framing import framing_of
from referral_engine.cli.shared import FOUND_PROBLEMS, json_option, print_json, visible
from referral_engine.hl7.message import Message
from referral_engine.service.conformance import Conformance, look_up

_SHOWN_MAX: Final = 200  # characters of a field on a terminal; a scanned letter would bury the rest


class FileFirst(click.Group):
    """A group whose first word may be a file: `message FILE` is `message read FILE`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, or `read` where the word names a file and no command."""
        if args and args[0] not in self.commands and Path(args[0]).is_file():
            args = ["read", *args]
        return super().resolve_command(ctx, args)


@click.command(name="read")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--conformance", is_flag=True, help="Hold it against the standard of the version it declares.")
@json_option
def read_file(file: str, *, conformance: bool, as_json: bool) -> None:
    """Show a message of a file field by field; with --conformance also where it leaves the standard (exit 1).

    \b
    Example:
      referral-engine message read sample_messages/orm-o01-imaging-mri.hl7 --conformance
    """
    framing = framing_of(Path(file).read_bytes())
    told = [_read(raw, conformance=conformance) for raw in framing.messages]
    if as_json:
        print_json([_plain(message, verdict) for message, verdict in told])
    else:
        click.echo(visible(f"{file}: {framing.sentence}"))
        for message, verdict in told:
            _print(message, verdict)
    wrong = not told or any(
        isinstance(message, MessageFault) or (verdict is not None and not verdict.conforms) for message, verdict in told
    )
    sys.exit(FOUND_PROBLEMS if wrong else 0)


def _read(raw: bytes, *, conformance: bool) -> tuple[Message | MessageFault, Conformance | None]:
    try:
        message = Message.parse(raw)
    except MessageFault as fault:
        return fault, None
    return message, look_up(b"\r".join(line.encode(message.charset) for line in message.lines)) if conformance else None


def _print(message: Message | MessageFault, verdict: Conformance | None) -> None:
    if isinstance(message, MessageFault):
        click.secho(visible(f"cannot be read: {message}"), fg="red")
        return
    flag = f" ({message.charset_flag})" if message.charset_flag else ""
    click.echo(visible(f"{message.header.type} version {message.header.version or '?'}, {message.charset}{flag}\n"))
    for segment in message.segments:
        click.secho(segment.name, bold=True)
        for number in range(1, segment.raw.count(message.delimiters.field) + 2):
            text = segment.field(number)
            if text:
                shown = text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}... ({len(text)} characters)"
                click.echo(visible(f"  {segment.name}-{number:<3} {shown}"))
    if verdict is not None:
        word = "conforms to" if verdict.conforms else "does NOT conform to"
        click.echo(f"\n{word} version {verdict.version or '?'} {verdict.structure}".rstrip())
        for line in verdict.complaints:
            click.echo(visible(f"  {line}"))
        if verdict.more:
            click.echo(f"  and {verdict.more} more")


def _plain(message: Message | MessageFault, verdict: Conformance | None) -> dict[str, object]:
    if isinstance(message, MessageFault):
        return {"fault": {"path": message.path, "sentence": str(message)}}
    return {
        "type": message.header.type,
        "version": message.header.version,
        "charset": message.charset,
        "charset_flag": message.charset_flag or None,
        "segments": [segment.raw for segment in message.segments],
        "conformance": None
        if verdict is None
        else {
            "version": verdict.version,
            "structure": verdict.structure,
            "conforms": verdict.conforms,
            "complaints": list(verdict.complaints),
            "more": verdict.more,
        },
    }
