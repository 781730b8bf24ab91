"""What holds for every command: help with an example, sentences instead of tracebacks, the exit statuses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from referral_engine.cli.main import main
from referral_engine.cli.shared import visible
from tests.cli.terminal import NOWHERE, ROOT, run

LIVE = [
    ["list"],
    ["list", "--status", "scheduled", "--json"],
    ["show", "RE-0001"],
    ["tasks"],
    ["task", "claim", "7"],
    ["task", "done", "7", "--note", "called back"],
    ["outbox"],
    ["outbox", "retry", "12"],
    ["outbox", "park", "12"],
    ["outbox", "cancel", "12"],
    ["messages"],
    ["message", "show", "42"],
    ["status"],
]
ORDER = "sample_messages/orm-o01-cardiology-ppo.hl7"


def leaves(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with its words."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
            if command.invoke_without_command:
                yield (*path, name), command
        else:
            yield (*path, name), command


@pytest.mark.parametrize(("path", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in leaves()])
def test_every_command_has_a_help_text_with_an_example_that_can_be_typed(
    path: tuple[str, ...], command: click.Command
) -> None:
    said = run(*path, "--help")

    assert said.exit_status == 0
    assert "Example:" in said.out
    examples = re.findall(r"(?m)^ +referral-engine (.+)$", said.out)
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert tuple(words[: len(path)]) == path
        command.make_context(path[-1], words[len(path) :], resilient_parsing=True)


@pytest.mark.parametrize("words", LIVE, ids=" ".join)
def test_a_command_about_the_live_engine_says_that_none_is_running(words: list[str]) -> None:
    said = run(*words)

    assert said.exit_status == 1
    assert said.out == ""
    assert said.err == (
        f"referral-engine: the daemon is not running (nobody answers at {NOWHERE})\n"
        "start it with: referral-engine run\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["list", "--nonsense"],
        ["list", "--limit", "0"],
        ["list", "--limit", "many"],
        ["show"],
        ["task"],
        ["task", "claim", "seven"],
        ["task", "claim", "-1"],
        ["task", "claim", "99999999999999999999"],
        ["task", "done", "7"],
        ["task", "done", "7", "--note", "x", "--booked", "tomorrow"],
        ["task", "done", "7", "--note", "x", "--booked", "2026-03-10"],
        ["task", "done", "7", "--note", "x", "--authorized", "A1", "--authorized-until", "June"],
        ["task", "done", "7", "--note", "x", "--authorized-until", "2026-06-30"],
        ["outbox", "lose", "12"],
        ["message", "show", "last"],
        ["send", ORDER],
        ["send", ORDER, "--to", "2575"],
        ["send", ORDER, "--to", "127.0.0.1:99999"],
        ["send", ORDER, "--to", "..:2575"],
        ["send", ORDER, "--to", "127.0.0.1:2575", "--timeout", "0"],
        ["send", ORDER, "--to", "127.0.0.1:2575", "--ca", ORDER],
        ["send", ORDER, "--to", "127.0.0.1:2575", "--tls", "--ca", ORDER],
        ["send", ORDER, "--to", "127.0.0.1:2575", "--tls", "--cert", ORDER],
        ["send", "nothing.hl7", "--to", "127.0.0.1:2575"],
        ["demo", "--days", "-1"],
        ["rehearse"],
        ["route"],
    ],
    ids=" ".join,
)
def test_misuse_exits_2_with_a_sentence_and_nothing_else(words: list[str]) -> None:
    said = run(*words)

    assert said.exit_status == 2
    assert "Traceback" not in said.out + said.err


def test_nobody_listening_is_a_sentence_and_1() -> None:
    said = run("send", ORDER, "--to", "127.0.0.1:1")

    assert said.exit_status == 1
    assert said.err == "127.0.0.1:1: Connection refused: is the engine running there?\n"


def test_a_demo_without_stories_says_where_it_looked(tmp_path: Path) -> None:
    said = run("demo", "--samples", tmp_path)

    assert said.exit_status == 1
    assert f"there are no scenarios in {tmp_path}/scenarios" in said.err

    (tmp_path / "scenarios").mkdir()
    quiet = (ROOT / "sample_messages" / "scenarios" / "04-never-scheduled.toml").read_text()
    (tmp_path / "scenarios" / "one.toml").write_text(quiet)
    assert "says demo = true" in run("demo", "--samples", tmp_path).err


def test_the_version_is_said() -> None:
    assert run("--version").out.startswith("referral-engine, version ")


def test_what_a_message_holds_cannot_drive_the_terminal() -> None:
    assert visible("a\x1b[2Jb\x9bc\td\r\n") == "a\\x1b[2Jb\\x9bc\td\\x0d\n"
