"""The control socket: one question a line, one answer a line, for the owner of the daemon only."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread

from referral_engine.base.errors import ConfigError, Refused
from referral_engine.service.control import REQUEST_BYTES_MAX, Control
from referral_engine.service.control_client import ControlError, ask


class Pipe(StringTransport):
    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass


def _refuse(_words: dict[str, object]) -> object:
    raise Refused("there is no referral RE-9999")


def _break(_words: dict[str, object]) -> object:
    raise KeyError("DOE^JANE")


def _answers(request: bytes, questions: dict[str, Any]) -> list[dict[str, Any]]:
    connection = Control(questions).buildProtocol(None)
    assert connection is not None
    pipe = Pipe()
    connection.makeConnection(pipe)
    connection.dataReceived(request)
    return [json.loads(line) for line in pipe.value().splitlines()]


def test_a_question_is_answered_with_what_it_was_asked() -> None:
    asked: list[dict[str, object]] = []

    def listing(words: dict[str, object]) -> Deferred[object]:
        asked.append(words)
        return succeed([{"id": "RE-0001"}])

    answers = _answers(b'{"ask": "list", "args": {"status": "open"}}\n', {"list": listing})

    assert answers == [{"answer": [{"id": "RE-0001"}]}]
    assert asked == [{"status": "open"}]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (b"list\n", "the request is not JSON"),
        (b"[1]\n", 'a request is {"ask": name, "args": {...}}'),
        (b'{"ask": "list", "args": 3}\n', 'a request is {"ask": name, "args": {...}}'),
        (b'{"ask": "fly"}\n', "this daemon does not know that question; it may be of another version"),
        (b'{"ask": "refuse"}\n', "there is no referral RE-9999"),
    ],
)
def test_what_cannot_be_answered_gets_a_sentence(request_: bytes, error: str) -> None:
    assert _answers(request_, {"refuse": _refuse}) == [{"error": error}]


def test_a_question_that_breaks_tells_its_kind_and_no_patient() -> None:
    (answer,) = _answers(b'{"ask": "break"}\n', {"break": _break})

    assert "KeyError" in answer["error"]
    assert "DOE" not in answer["error"]


def test_an_answer_that_json_cannot_say_is_said_as_text() -> None:
    assert _answers(b'{"ask": "path"}\n', {"path": lambda _words: Path("x")}) == [{"answer": "x"}]


def test_a_request_that_is_too_long_is_refused() -> None:
    (answer,) = _answers(b"x" * (REQUEST_BYTES_MAX + 1), {})

    assert answer == {"error": "the request is too long"}


async def _with_control(tmp_path: Path, work: Callable[[str], Any]) -> Any:
    path = str(tmp_path / "run" / "control.sock")
    control = Control({"status": lambda words: {"ready": True, **words}, "refuse": _refuse})
    control.listen(reactor, path)  # type: ignore[arg-type]
    try:
        return await deferToThread(work, path)
    finally:
        control.stop()


@pytest_twisted.ensureDeferred
async def test_the_client_gets_the_answer_through_a_socket_that_is_the_owners_only(tmp_path: Path) -> None:
    def work(path: str) -> Any:
        return ask(path, "status", {"deep": 1}), stat.S_IMODE(Path(path).stat().st_mode)

    assert await _with_control(tmp_path, work) == ({"ready": True, "deep": 1}, 0o600)


@pytest_twisted.ensureDeferred
async def test_the_client_raises_the_daemons_sentence(tmp_path: Path) -> None:
    def work(path: str) -> str:
        with pytest.raises(ControlError) as caught:
            ask(path, "refuse")
        return str(caught.value)

    assert await _with_control(tmp_path, work) == "there is no referral RE-9999"


def test_the_client_says_when_no_daemon_is_running(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="the daemon is not running"):
        ask(str(tmp_path / "control.sock"), "status")


def test_the_client_gives_up_on_a_daemon_that_says_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "control.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.bind(path)
        mute.listen()
        with pytest.raises(ControlError, match="did not answer within 0 seconds"):
            ask(path, "status", timeout_seconds=0.05)


@pytest_twisted.ensureDeferred
async def test_the_socket_of_a_daemon_that_crashed_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(tmp_path / "run" / "control.sock"))

    assert await _with_control(tmp_path, lambda path: ask(path, "status")) == {"ready": True}


def test_a_daemon_that_is_alive_keeps_its_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "control.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as alive:
        alive.bind(path)
        alive.listen()
        with pytest.raises(ConfigError) as caught:
            Control({}).listen(reactor, path)  # type: ignore[arg-type]

    assert "another daemon" in caught.value.problems[0].sentence


def test_a_file_in_the_sockets_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")

    with pytest.raises(ConfigError):
        Control({}).listen(reactor, str(path))  # type: ignore[arg-type]

    assert path.read_text() == "precious"
