"""What the daemon and the journal's process say to each other, and what happens when one of them is gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from referral_engine.base.errors import Altered, JournalError, NoRoom, OutcomeUnknown, Refused, TookTooLong
from referral_engine.channels.book import read_book
from referral_engine.flow.inputs import Claim, ConfigChanged, Input, Receipt, Ticked
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import EffectRow
from referral_engine.service import journal_process
from referral_engine.service.files import read_files
from referral_engine.service.found import pack
from referral_engine.service.handling import Broken
from referral_engine.service.ipc import (
    Anchor,
    Close,
    Done,
    Failed,
    Look,
    Open,
    Opened,
    Ping,
    Prepare,
    Reply,
    Request,
    Run,
    ScrubOn,
    Told,
    error_of,
    failed,
    read_reply,
    read_request,
    written,
)
from referral_engine.service.lengths import LENGTH
from tests.channels.shipped import ROOT
from tests.flow.stage import ORDER, arrived, sample

CONF = str(ROOT / "conf" / "engine.toml")
NOW = 1_772_463_600_000_000


class Line:
    """The daemon's end of the socket, as plain as it can be."""

    def __init__(self, ours: socket.socket) -> None:
        self._socket = ours

    def ask(self, request: Request) -> Reply:
        """Send one request and wait for its reply."""
        self._socket.sendall(b"".join(written(request)))
        return read_reply(self._exactly(LENGTH.unpack(self._exactly(LENGTH.size))[0]))

    def _exactly(self, count: int) -> bytes:
        pieces = b""
        while len(pieces) < count:
            piece = self._socket.recv(count - len(pieces))
            assert piece, "the other side hung up"
            pieces += piece
        return pieces


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A journal server in a thread of this process: signals are for a process of its own."""
    monkeypatch.setattr(journal_process, "Patience", lambda: lambda _inputs: journal_process.contextmanager(_free)())
    ours, theirs = socket.socketpair()
    server = threading.Thread(target=journal_process.JournalServer(theirs).serve, daemon=True)
    server.start()
    yield Line(ours)
    ours.close()
    server.join(10)
    theirs.close()


def _free() -> Iterator[None]:
    yield


def open_request(path: Path, **changes: object) -> Open:
    words: dict[str, object] = {
        "path": str(path), "key": bytes(32), "node": "RE", "now": NOW, "engine_file": CONF,
        "config": read_book(read_files(CONF)).version,
    }  # fmt: skip
    return Open(**(words | changes))  # type: ignore[arg-type]  # a test names what it changes


def test_a_batch_a_question_a_scrub_and_the_end(line: Line, tmp_path: Path) -> None:
    assert line.ask(open_request(tmp_path / "journal.db")) == Opened(node="RE", high_water=NOW)

    done = line.ask(Run(now=NOW, inputs=[arrived(sample(ORDER)), Ticked(), Claim(lane="ehr")]))
    listed = line.ask(Look(name="list", words={"limit": 5}))
    scrubbed = line.ask(ScrubOn(turns=1000))

    assert isinstance(done, Done)
    assert [type(one) for one in done.results] == [Receipt] * 3
    assert isinstance(listed, Told)
    assert [row["placer_number"] for row in listed.answer] == ["P-1001"]
    assert isinstance(scrubbed, Told)
    assert scrubbed.answer["whole"]
    assert line.ask(Ping()) == line.ask(Anchor()) == line.ask(Close()) == Told()


def test_a_configuration_that_was_prepared_comes_in_force_under_its_hash_and_no_other(
    line: Line, tmp_path: Path
) -> None:
    line.ask(open_request(tmp_path / "journal.db"))
    files = {"conf/engine.toml": '[practice]\nname = "Springfield Clinic"\n'}
    book = read_book(files)

    prepared = line.ask(Prepare(book=pack(book)))
    changed = ConfigChanged(config=book.version, files=files, action="reload", by="ana")
    other = ConfigChanged(config="another", files=files, action="reload", by="ana")
    done = line.ask(Run(now=NOW, inputs=[changed])), line.ask(Run(now=NOW, inputs=[other]))

    assert prepared == Told()
    receipts = [one.results[0] for one in done if isinstance(one, Done)]
    assert [(one.version, bool(one.refused)) for one in receipts if isinstance(one, Receipt)] == [(1, False), (0, True)]
    (row,) = line.ask(Look(name="versions", words={"limit": 5})).answer  # type: ignore[union-attr]  # it is told
    assert (row["number"], row["config"]) == (1, book.version)


def test_a_question_that_is_refused_or_unknown_harms_nothing(line: Line, tmp_path: Path) -> None:
    line.ask(open_request(tmp_path / "journal.db"))

    unknown = line.ask(Look(name="secrets", words={}))
    refused = line.ask(Look(name="show", words={"referral": "NONE"}))

    assert (unknown, refused) == (
        Failed(kind="Refused", sentence="there is no question secrets"),
        Failed(kind="Refused", sentence="there is no referral NONE"),
    )
    assert line.ask(Ping()) == Told()


def test_another_configuration_than_the_daemons_is_refused(line: Line, tmp_path: Path) -> None:
    said = line.ask(open_request(tmp_path / "journal.db", config="another"))

    assert isinstance(said, Failed)
    assert "The configuration changed while the engine was starting" in said.sentence


@pytest.mark.parametrize("kind", [Altered, JournalError, NoRoom, OutcomeUnknown, Refused, TookTooLong])
def test_an_error_of_ours_arrives_as_itself(kind: type[Exception]) -> None:
    error = error_of(failed(kind("message 42")))

    assert type(error) is kind
    assert "message 42" in str(error)


def test_of_any_other_error_only_the_name_travels() -> None:
    said = failed(ValueError("Amelia Example"))

    assert said == Failed(kind="ValueError", sentence="")
    assert str(error_of(said)) == "the journal's process met ValueError"


@pytest.mark.parametrize("kind", get_args(Input), ids=lambda kind: kind.__name__)
def test_every_kind_of_input_survives_the_way(kind: type[Input]) -> None:
    samples = {
        int: 7, str: "x", bytes: b"\x00\xff", bool: True, float: 1.5, "tuple[str, ...]": ("a", "b"),
    }  # fmt: skip
    values = {}
    for name, hint in kind.__annotations__.items():
        values[name] = next(
            (value for shape, value in samples.items() if hint in (shape, getattr(shape, "__name__", ""))), None
        )
    given = kind(**{name: value for name, value in values.items() if value is not None} | _needed(kind))

    body = written(Run(now=NOW, inputs=[given]))[1]

    assert read_request(body) == Run(now=NOW, inputs=[given])


def _needed(kind: type[Input]) -> dict[str, object]:
    """What has no default and no plain shape."""
    from referral_engine.loop.events import Outcome

    needed: dict[str, dict[str, object]] = {
        "SetAside": {"arrived": arrived(b"MSH|")},
        "ConfigChanged": {"files": {"conf/engine.toml": "[listener]\n"}},
        "Blamed": {"marks": (1, 2**62)},
        "Settled": {"outcome": Outcome.DELIVERED, "claim": Claim(lane="ehr", back=((1, 2),))},
        "TaskDone": {"booked": datetime(2026, 3, 2, tzinfo=UTC)},
    }
    return needed.get(kind.__name__, {})


def test_receipts_and_what_broke_survive_the_way() -> None:
    row = EffectRow(
        id=1, referral="R", cause=2, ordinal=0, lane="ehr", transport="mllp", recipient="ehr", purpose="status",
        wire_id="W", body=b"\x0b",
    )  # fmt: skip
    results: list[Receipt | Broken] = [
        Receipt(sequence=1, answer=b"A", after=b"B", effects=(row,), lanes=frozenset({"ehr"})),
        Broken(kind="ValueError", where="a.py:f:1", receipt=Receipt()),
    ]

    assert read_reply(written(Done(results=results))[1]) == Done(results=results)


def test_a_daemon_that_is_gone_ends_the_serving() -> None:
    ours, theirs = socket.socketpair()
    ours.sendall(b"\x00\x00")
    ours.close()

    journal_process.JournalServer(theirs).serve()

    theirs.close()


def test_a_journal_whose_daemon_died_without_a_word_keeps_its_log_and_opens_again(tmp_path: Path) -> None:  # F-A01
    path = tmp_path / "journal.db"
    ours, theirs = socket.socketpair()
    words = [sys.executable, "-m", journal_process.__name__, str(theirs.fileno()), str(os.getpid())]
    with subprocess.Popen(words, pass_fds=(theirs.fileno(),), cwd=ROOT) as process:
        theirs.close()
        line = Line(ours)
        line.ask(open_request(path))
        line.ask(Run(now=NOW, inputs=[arrived(sample(ORDER))]))
        ours.close()  # what the kernel does of a killed daemon first, before it kills the process that goes with it
        process.wait(30)

    assert Path(f"{path}-wal").stat().st_size > 0
    journal = Journal.open(str(path), bytes(32))
    assert [one.placer_number for one in journal.read().referrals()] == ["P-1001"]
    journal.close()
