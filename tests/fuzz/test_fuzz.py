"""A short deterministic run of every fuzz target, what each of them finds, and the long guided run of `make torture`."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from importlib import import_module, util
from pathlib import Path
from types import ModuleType

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.encoding import DEFAULT, decode, escape, unescape
from referral_engine.hl7.message import Message
from referral_engine.hl7.mllp import Deframer
from tests.fuzz.inputs import ORDER, TARGETS, framed, inputs_of
from tests.torture.budget import seconds

ROOT = Path(__file__).resolve().parents[2]
SEED = 20260302
COUNT = 300  # inputs of each target beside its seeds
SHARE = 1 / 20  # of the minutes of `make torture`, for each target


def target_of(name: str) -> ModuleType:
    return import_module(f"tests.fuzz.{name}")


def run(name: str, count: int = COUNT) -> None:
    """The same inputs every time; a failure shows the one that did it, which is made up."""
    target = target_of(name).target
    for number, raw in enumerate(inputs_of(name, seed=SEED, count=count)):
        try:
            target(raw)
        except Exception as found:
            found.add_note(f"target {name}, seed {SEED}, input {number}: {raw!r}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_a_peer_sends_breaks_what_reads_it(name: str) -> None:  # H070 H018 H007
    run(name)


def test_the_inputs_are_the_same_for_the_same_seed() -> None:
    assert list(inputs_of("parser", seed=1, count=50)) == list(inputs_of("parser", seed=1, count=50))
    assert list(inputs_of("parser", seed=1, count=50)) != list(inputs_of("parser", seed=2, count=50))


class Forgetful(Deframer):
    """It loses what stood before a chunk that begins with CR."""

    __slots__ = ()

    def feed(self, chunk: bytes) -> list[bytes]:
        return super().feed(chunk[1:] if chunk[:1] == b"\r" and self.inside and not self.waits_for_cr else chunk)


def first_message_only(frame: bytes, *, lf_ends_segments: bool = True) -> list[bytes]:
    return [frame]


def without_escape_character(text: str, delimiters: object) -> str:
    return escape(text, DEFAULT).replace("\\E\\", "\\")


def replacing(raw: bytes, declared: str, fallback: str = "") -> tuple[str, str, str]:
    return raw.decode("ascii", "replace"), "utf-8", ""


def trimmed(message: Message) -> bytes:
    return message.raw.rstrip(b"\r")


def with_a_trimmed_id(answer: bytes) -> bytes:
    return answer.replace(b"|C1\r", b"|C\r")


BROKEN: list[tuple[str, str, Callable[..., object]]] = [
    ("deframer", "Deframer", Forgetful),
    ("parser", "write", trimmed),
    ("escapes", "escape", without_escape_character),
    ("escapes", "decode", replacing),
    ("batches", "split_batch", first_message_only),
    ("acks", "enframe", with_a_trimmed_id),
]


@pytest.mark.parametrize(("name", "part", "broken"), BROKEN, ids=lambda one: getattr(one, "__name__", one))
def test_a_target_finds_what_is_broken(
    name: str, part: str, broken: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_of(name), part, broken)

    with pytest.raises(AssertionError):
        run(name, 100)


def calls_of(act: Callable[[], object]) -> int:
    """How many functions, ours and the interpreter's, one act calls."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return calls


def peak_of(act: Callable[[], object]) -> int:
    """The most memory one act holds, in bytes."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def read_to_the_end(raw: bytes) -> None:
    try:
        message = Message.parse(raw)
        for segment in message.segments:
            for field in range(segment.field_count + 1):
                segment.repetitions(field)
                segment.components(field)
    except MessageFault:
        return


HEAD = ORDER[: ORDER.index(b"\r") + 1]
GROWING: dict[str, Callable[[int], Callable[[], object]]] = {
    "segments": lambda size: lambda: read_to_the_end(HEAD + b"OBX|1|TX|a^b||c~d\r" * size),
    "repetitions": lambda size: lambda: read_to_the_end(HEAD + b"PID|1||" + b"M1^^^A~" * size + b"\r"),
    "components": lambda size: lambda: read_to_the_end(HEAD + b"OBX|1|TX|" + b"a^" * size + b"\r"),
    "escape sequences": lambda size: lambda: unescape("\\X0D\\\\.sp3\\\\T\\x\\" * size, DEFAULT),
    "lone escape characters": lambda size: lambda: unescape("\\" * size * 8, DEFAULT),
    "characters to escape": lambda size: lambda: escape("|^~\\&\r" * size, DEFAULT),
    "bytes of no character set": lambda size: lambda: decode(b"\x93\xc3\x81" * size, "UNICODE UTF-8"),
    "starts": lambda size: lambda: Deframer().feed(b"\x0b" * size * 8),
    "restarts": lambda size: lambda: Deframer().feed(b"\x0bMSH|^~\\&|x" * size),
    "empty frames": lambda size: lambda: Deframer().feed(b"\x0b\x1c\r" * size),
    "frames": lambda size: lambda: Deframer().feed(framed(HEAD) * size),
}


@pytest.mark.parametrize("growing", GROWING)
def test_twice_as_much_of_anything_costs_at_most_twice_the_calls_and_the_memory(growing: str) -> None:  # H070 H007 H008
    make = GROWING[growing]
    make(1_000)()  # what is made once

    small, large = calls_of(make(1_000)), calls_of(make(2_000))
    little, much = peak_of(make(1_000)), peak_of(make(2_000))

    assert large <= 2.2 * small
    assert much <= 2.5 * little + 4096


def test_one_byte_at_a_time_costs_calls_for_the_bytes_and_not_for_what_is_held() -> None:  # H007
    def feed(size: int) -> Callable[[], object]:
        stream, deframer = framed(HEAD + b"NTE|" + b"x" * size), Deframer()
        return lambda: [deframer.feed(stream[at : at + 1]) for at in range(len(stream))]

    assert calls_of(feed(2_000)) <= 2.2 * calls_of(feed(1_000))


@pytest.mark.torture
@pytest.mark.parametrize("name", TARGETS)
def test_a_guided_search_finds_nothing_either(name: str, tmp_path: Path) -> None:  # H070
    if util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: it has no wheel for this Python or this machine")

    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", name, f"-max_total_time={seconds(SHARE):.0f}", f"-artifact_prefix={tmp_path}/"],
        cwd=ROOT, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip

    kept = [file.read_bytes() for file in tmp_path.iterdir() if file.is_file()]
    assert done.returncode == 0, f"{done.stderr[-4000:]}\n{kept!r}"
    assert "Done" in done.stderr, done.stderr[-2000:]
