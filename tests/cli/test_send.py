"""`send` against peers that answer late, wrongly or not at all; what the real engine answers is tested in tests/e2e."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from referral_engine.cli import asking
from referral_engine.hl7.message import Message
from referral_engine.hl7.mllp import Deframer, enframe
from tests.cli.terminal import ROOT, Said, run

ORDER = (ROOT / "sample_messages" / "orm-o01-cardiology-ppo.hl7").read_bytes()
Answer = Callable[[int, str], bytes]  # how many messages came before, and MSH-10, to the bytes that go back


@contextmanager
def peer(answer: Answer) -> Iterator[int]:
    """A made-up listener; its port."""
    came: list[str] = []

    class Line(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            deframer = Deframer()
            with suppress(OSError):
                while chunk := self.request.recv(65536):
                    for frame in deframer.feed(chunk):
                        came.append(Message.parse(frame).value("MSH-10"))
                        said = answer(len(came) - 1, came[-1])
                        if not said:
                            return
                        self.request.sendall(said)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Line) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def ack(code: str, number: str, text: str = "") -> bytes:
    """An answer in its frame."""
    return enframe(f"MSH|^~\\&|A|A|B|B|20260302||ACK|1|P|2.5.1\rMSA|{code}|{number}|{text}\r".encode())


def send(directory: Path, answer: Answer, *words: str, messages: int = 2) -> Said:
    """Send so many copies of an order to a peer that answers so."""
    file = directory / "orders.hl7"
    file.write_bytes(b"".join(ORDER.replace(b"|EHR1001|", b"|EHR%d|" % number) for number in range(messages)))
    with peer(answer) as port:
        return run("send", file, "--to", f"127.0.0.1:{port}", *words)


def test_a_late_answer_is_never_taken_for_the_next_messages(tmp_path: Path) -> None:
    def late(before: int, number: str) -> bytes:
        if before == 0:
            time.sleep(1.0)
        return ack("AA" if before == 0 else "AE", number)

    answers = send(tmp_path, late, "--timeout", "0.4", "--json").json

    assert [one["code"] for one in answers] == ["", "AE"]
    assert "it may or may not have been stored, send it again" in answers[0]["text"]


def test_a_broken_connection_is_dialled_again_for_the_next_message(tmp_path: Path) -> None:
    said = send(tmp_path, lambda before, number: b"" if before == 0 else ack("AA", number))

    assert said.exit_status == 1
    first, second = said.out.splitlines()
    assert "no answer the connection broke: the other side closed without an answer" in first
    assert ": AA" in second


def test_what_the_peer_says_is_shown_and_cannot_drive_the_terminal(tmp_path: Path) -> None:
    said = send(tmp_path, lambda _, number: ack("AR", number, "not\x1b[31m here"), messages=1)

    assert said.exit_status == 1
    assert ": AR not\\x1b[31m here (" in said.out


@pytest.mark.parametrize("answer", [enframe(b"hello\r"), b"\x0bMSH|" + b"x" * 40 + b"\x0b\x0b", enframe(ORDER)])
def test_an_answer_that_is_none_is_said_to_be(tmp_path: Path, answer: bytes) -> None:
    said = send(tmp_path, lambda _before, _number: answer, "--timeout", "0.5", messages=1)

    assert said.exit_status == 1
    assert "no answer" in said.out


def test_many_files_are_sent_in_order_and_only_refusals_are_named(tmp_path: Path) -> None:
    files = []
    for number in range(25):
        files.append(tmp_path / f"{number:02}.hl7")
        files[-1].write_bytes(ORDER.replace(b"|EHR1001|", b"|EHR%d|" % number))

    with peer(lambda _, number: ack("AE" if number == "EHR7" else "AA", number)) as port:
        said = run("send", *files, "--to", f"127.0.0.1:{port}")

    assert said.exit_status == 1
    assert next(line for line in said.out.splitlines() if ".hl7" in line).startswith(f"{files[7]}: AE")
    assert said.out.count(".hl7") == 1


def test_a_user_without_a_name_is_still_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(asking.getpass, "getuser", nameless)

    assert asking._me().startswith("uid-")


def test_an_empty_file_is_not_sent(tmp_path: Path) -> None:
    empty = tmp_path / "empty.hl7"
    empty.write_bytes(b"")

    with peer(lambda *_: b"") as port:
        said = run("send", empty, "--to", f"127.0.0.1:{port}")

    assert said.exit_status == 1
    assert "there is nothing in it" in said.err
