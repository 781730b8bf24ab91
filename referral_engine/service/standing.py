"""What stands as long as the daemon runs: the values it has and another book in, what only a restart can change out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from referral_engine.base.errors import Problem
from referral_engine.channels.book import ENGINE_FILE, Book
from referral_engine.channels.engine import Engine

RESTART: Final = "systemctl restart referral-engine"


def standing(engine: Engine) -> dict[str, str]:
    """Each key that needs a restart, and its value.

    The journal is open, its rows carry the node's name, and people's commands find the socket by its name.
    """
    journal = engine.journal
    return {
        "journal.path": journal.path,
        "journal.key_file": journal.key_file,
        "journal.batch_messages_max": str(journal.batch_messages_max),
        "journal.allow_file_system": str(journal.allow_file_system).lower(),
        "identity.node": engine.identity.node,
        "control.socket": engine.control_socket,
    }


def needs_restart(stood: Mapping[str, str], book: Book, files: Mapping[str, str]) -> Iterator[Problem]:
    """A problem for each value that the running daemon cannot take, at the line that says it.

    stood: as `standing` gave it of the book in force. files: the texts of `book`.
    """
    origins = {one.key: one.origin for settings in book.settings.values() for one in settings}
    for key, wanted in standing(book.engine).items():
        if stood.get(key) == wanted:
            continue
        file, _, line = origins.get(key, "").rpartition(":")
        number = int(line) if file and line.isdigit() else 0
        file = file or next((name for name in files if name.endswith("engine.toml")), ENGINE_FILE)
        source = files.get(file, "").split("\n")[number - 1] if number else ""
        yield Problem(
            file=file,
            line=number,
            column=1,
            width=max(len(source.partition("=")[0].rstrip()), 1),
            code="RUN3",
            sentence=f'"{key}" cannot change while the engine runs: it is "{stood.get(key)}", not "{wanted}"',
            source=source,
            help=f"put it back, or restart the engine: {RESTART}",
        )
