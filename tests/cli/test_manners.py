"""What holds for every command: help with an example, sentences instead of tracebacks, the exit statuses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from referral_engine.cli.asking import SHOWN_MAX, lines_of
from referral_engine.cli.main import main
from referral_engine.cli.shared import in_one_line, print_table, visible
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
    ["reload"],
    ["config", "history"],
    ["config", "rollback", "1", "--reason", "it was better"],
    ["config", "migrate", "--dry-run"],
    ["why", "RE-0001", "schedule"],
    ["coverage"],
    ["diff"],
    ["shadow", "--for", "1s"],
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
        ["task", "done", "7", "--note", "x", "--authorized", "A1", "--authorized-from", "June"],
        ["task", "done", "7", "--note", "x", "--visits", "4"],
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


def test_a_name_cannot_be_made_to_look_like_another_or_write_a_row_of_its_own() -> None:  # F-H02
    assert in_one_line("\u202eailemA") == "\\u202eailemA"
    assert in_one_line("Ame\u200blia\ufeff") == "Ame\\u200blia\\ufeff"
    assert in_one_line("Mal\nsex  F  F  =") == "Mal\\nsex  F  F  ="
    assert in_one_line("José 李 أمل") == "José 李 أمل"


ROWS = [(1, "2026-03-02T15:00:00.123456Z", "cardiology-heart-group", "a reason " * 12), (22, None, "ehr", "")]
HEADS = ("id", "at", "feed", "reason")


def test_where_a_terminal_is_too_narrow_the_reason_goes_under_its_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")

    print_table(HEADS, ROWS, "nothing", under=1)

    plain = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert [line.rstrip() for line in plain[:2]] == [
        "id  at                    feed",
        "1   2026-03-02T15:00:00Z  cardiology-heart-group",
    ]
    assert plain[2].startswith("    reason: a reason a reason")
    assert plain[-1].rstrip() == "22                        ehr"
    assert max(map(len, plain)) <= 60


def test_a_row_that_is_piped_stays_one_line_and_a_long_cell_does_not_widen_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(HEADS, ROWS, "nothing", under=1)
    print_table(("key", "value", "from"), [("a", "x" * 500, "line 1"), ("b", "y", "line 2")], "nothing")

    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6
    assert printed[4].endswith("x  line 1")
    assert printed[5].startswith("b    y ")
    assert printed[5].endswith(" line 2")
    assert len(printed[5]) < 100
    assert [line for line in printed if line != line.rstrip()] == []


def test_a_name_that_leads_its_row_is_not_broken_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    key = "transport.retry.give_up_after"

    print_table(("key", "value", "from"), [(key, "a value " * 9, "channels/cardiology-heart-group.toml:33")], "nothing")

    assert key in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("konfig",), "Did you mean 'config'?"),
        (("channel", "newe"), "Did you mean 'new'?"),
        (("config", "hystory"), 'did you mean "config history"?'),
        (("config", "ortho"), 'did you mean "orthopaedics-lakeside"?'),
        (("config", "imaging-nothside"), 'did you mean "imaging-northside"?'),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_a_slip_in_a_command_or_a_name_is_answered_with_the_nearest(words: tuple[str, ...], meant: str) -> None:
    said = run(*words)

    assert said.exit_status in (1, 2)
    assert meant in said.err


def test_a_scanned_letter_does_not_bury_the_message_that_holds_it() -> None:
    shown = lines_of("MSH|a\rOBX|" + "x" * 5_000_000)

    assert shown.startswith("MSH|a\nOBX|xxx")
    assert shown.endswith("... (5000004 characters)")
    assert len(shown) < SHOWN_MAX + 100


@pytest.mark.parametrize("words", [("check",), ("config",), ("route", str(ROOT / ORDER))], ids=" ".join)
def test_in_the_wrong_directory_nothing_is_said_to_be_right(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    said = run(*words)

    assert (said.exit_status, said.out) == (2, "")
    assert f"there is neither conf/engine.toml nor channels/ in {tmp_path}: go where they are" in said.err


def test_the_socket_of_another_user_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may look everywhere, so the system is made to say no."""
    monkeypatch.delenv("REFERRAL_ENGINE_SOCKET")
    exists = Path.exists

    def closed(path: Path, *, follow_symlinks: bool = True) -> bool:
        if path.name == "control.sock":
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", closed)

    said = run("status")

    assert said.exit_status == 1
    assert said.err.startswith("referral-engine: the daemon ")
