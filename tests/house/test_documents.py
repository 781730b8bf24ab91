"""The README cannot lie: its commands exist, its tables are what the program prints, its configuration is accepted."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from itertools import dropwhile, groupby

import click
import pytest
from click.testing import CliRunner

from tests.house.tree import PACKAGE, ROOT, text_of

README = ROOT / "README.md"
FENCE = re.compile(r"(?ms)^( *)```(\w+)[^\n]*\n(.*?)^\1```")


def readme() -> str:
    """The README's text."""
    if not README.exists():
        pytest.skip("there is no README.md yet")
    return text_of(README)


def manuals() -> list[str]:
    """Every document a person follows: the README first."""
    others = [ROOT / "systemd" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [readme(), *(text_of(path) for path in others)]


def program() -> click.Group:
    """The command line as click sees it."""
    if not (PACKAGE / "cli" / "main.py").exists():
        pytest.skip("there is no command line yet")
    module = importlib.import_module("referral_engine.cli.main")
    groups = {id(value): value for value in vars(module).values() if isinstance(value, click.Group)}
    whole = [
        group for group in groups.values() if not any(group in other.commands.values() for other in groups.values())
    ]
    assert len(whole) == 1, "referral_engine.cli.main holds one outermost click group"
    return whole[0]


def between(text: str, name: str) -> str:
    """What stands between <!-- name:start --> and <!-- name:end -->."""
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    assert text.count(start) == text.count(end) == 1, f"README.md marks {name} once"
    return text.split(start)[1].split(end, maxsplit=1)[0].strip()


def shell_lines(text: str) -> Iterator[list[str]]:
    """The words of every command in the ```console blocks (after "$ ") and the ```sh blocks (every line)."""
    for _, language, body in FENCE.findall(text):
        if language not in {"console", "sh", "bash", "shell"}:
            continue
        for line in re.sub(r"\\\n\s*", "", body).splitlines():
            prompted = re.match(r"\s*[$#] (.*)", line) if language == "console" else re.match(r"\s*(?!#)(.*)", line)
            if prompted is None:
                continue
            lexer = shlex.shlex(prompted.group(1), posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            yield from _commands(list(lexer))


def _commands(words: list[str]) -> Iterator[list[str]]:
    """One line's words, cut at its pipes and semicolons, without what stands before the program's name."""
    for operator, part in groupby(words, key=lambda word: set(word) <= set("();<>|&")):
        command = list(dropwhile(lambda word: word == "sudo" or bool(re.fullmatch(r"[A-Z_]+=.*", word)), part))
        if command and not operator:
            yield [command[0].rsplit("/", 1)[-1], *command[1:]]


def commands_of(group: click.Group) -> dict[tuple[str, ...], click.Command]:
    """Every visible command with its path: ("task", "done")."""
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in group.commands.items():
        if command.hidden:
            continue
        found[(name,)] = command
        if isinstance(command, click.Group):
            found.update({(name, *rest): inner for rest, inner in commands_of(command).items()})
    return found


def unknown_words(words: list[str], whole: click.Group) -> list[str]:
    """What `referral-engine` would not understand of these words: a command, or a long option."""
    known = commands_of(whole)
    path: tuple[str, ...] = ()
    here: click.Command = whole
    wrong = []
    rest = iter(words)
    for word in rest:
        if word.startswith("--"):
            options = {name: option for option in here.params for name in (*option.opts, *option.secondary_opts)}
            name, _, value = word.partition("=")
            if name not in options and name != "--help":
                wrong.append(name)
            elif not value and name in options and not getattr(options[name], "is_flag", False):
                next(rest, None)  # the option's value
        elif isinstance(here, click.Group) and not word.startswith("-"):
            path = (*path, word)
            if path not in known:
                return [*wrong, " ".join(path)]
            here = known[path]
    return wrong


def make_targets() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"(?m)^([a-z-]+):", text_of(ROOT / "Makefile")))


def test_every_make_target_in_the_manuals_exists() -> None:
    targets = make_targets()
    asked = [
        word
        for text in manuals()
        for command, *words in shell_lines(text)
        if command == "make"
        for word in words
        if not word.startswith("-") and "=" not in word
    ]

    assert asked, "README.md shows how to start"
    assert [word for word in asked if word not in targets] == []


def test_every_command_in_the_manuals_exists() -> None:
    texts, whole = manuals(), program()

    wrong = [
        " ".join([command, *words])
        for text in texts
        for command, *words in shell_lines(text)
        if command == "referral-engine" and unknown_words(words, whole)
    ]

    assert not wrong


def test_the_readmes_command_table_lists_exactly_the_commands() -> None:
    text, whole = readme(), program()
    known = commands_of(whole)
    leaves = {path for path, command in known.items() if not isinstance(command, click.Group)}
    answering = {
        path for path, command in known.items() if isinstance(command, click.Group) and command.invoke_without_command
    }

    rows = [row for row in between(text, "commands").splitlines() if row.startswith("|")]
    told = {
        _path(words, known) for row in rows for words in re.findall(r"`referral-engine ([^`]*)`", row.split("|")[1])
    }

    assert told - leaves - answering == set(), "the README tells of commands that do not exist"
    assert leaves - told == set(), "the README leaves commands out"


def _path(words: str, known: dict[tuple[str, ...], click.Command]) -> tuple[str, ...]:
    """The longest command these words begin with, or their first word."""
    parts = tuple(words.split())
    return next((parts[:length] for length in (3, 2, 1) if parts[:length] in known), parts[:1])


def test_the_readmes_rule_table_is_what_the_program_prints() -> None:
    text, whole = readme(), program()

    printed = CliRunner().invoke(whole, ["rules", "--markdown"], catch_exceptions=False)

    assert printed.exit_code == 0
    assert between(text, "rules") == printed.stdout.strip()


def test_the_readmes_configuration_is_accepted() -> None:
    text, whole = readme(), program()
    if not any(language == "toml" for _, language, _ in FENCE.findall(text)):
        pytest.skip("README.md shows no configuration")

    checked = CliRunner().invoke(whole, ["check", str(README)], catch_exceptions=False)

    assert checked.exit_code == 0, checked.output


def test_commands_are_found_where_the_readme_shows_them() -> None:
    text = (
        "```console\n$ make demo ARGS='--days 3'\nwhat it prints\n$ sudo .venv/bin/referral-engine task \\\n    done 7 --note x\n```\n"
        "```sh\n# a remark\nMODE=x referral-engine list | referral-engine show R-1  # a remark\n```\n"
        "```toml\nmake = 1\n```\n"
    )

    assert list(shell_lines(text)) == [
        ["make", "demo", "ARGS=--days 3"],
        ["referral-engine", "task", "done", "7", "--note", "x"],
        ["referral-engine", "list"],
        ["referral-engine", "show", "R-1"],
    ]


def test_a_command_that_does_not_exist_is_found() -> None:
    done = click.Command("done", params=[click.Option(["--note"])])
    whole = click.Group("engine", {"task": click.Group("task", {"done": done}), "list": click.Command("list")})
    whole.params.append(click.Option(["--conf"]))

    assert unknown_words(["task", "done", "7", "--note", "x"], whole) == []
    assert unknown_words(["--conf", "engine.toml", "task", "--help"], whole) == []
    assert unknown_words(["task", "undo", "7"], whole) == ["task undo"]
    assert unknown_words(["task", "done", "--why=x"], whole) == ["--why"]
    assert unknown_words(["tasks"], whole) == ["tasks"]
    assert set(commands_of(whole)) == {("task",), ("task", "done"), ("list",)}
