"""The small parts: clock, log lines, systemd's words, files and keys, places, the sweeper and the pulse."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_twisted
import structlog
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from referral_engine.base.clock import ManualClock
from referral_engine.base.errors import ConfigError, JournalError
from referral_engine.base.ident import Phi
from referral_engine.flow.inputs import Claim, Input, Receipt, Ticked
from referral_engine.service import logs
from referral_engine.service.clock import MachineClock, install_monotonic
from referral_engine.service.daemon import hear_hangups
from referral_engine.service.door import Door
from referral_engine.service.executor import SynchronousExecutor, ThreadExecutor
from referral_engine.service.files import read_files, read_or_make_key
from referral_engine.service.host import LocalHost
from referral_engine.service.logs import Sparingly, only_allowed, where
from referral_engine.service.notify import Notify, notify_from, watchdog_seconds
from referral_engine.service.places import Places, places_from
from referral_engine.service.pulse import Pulse
from referral_engine.service.readings import READINGS
from referral_engine.service.sweeper import Sweeper
from referral_engine.service.views import QUESTIONS
from tests.service.doubles import PausedExecutor, RecordingStep

# -- clock


def test_the_reactors_clock_does_not_follow_the_wall_clock() -> None:
    from twisted.internet.selectreactor import SelectReactor

    standing = SelectReactor()
    install_monotonic(standing)

    assert abs(standing.seconds() - MachineClock().seconds()) < 60
    for reader in standing.removeAll():
        reader.connectionLost(None)  # type: ignore[arg-type]


def test_the_machines_clock_is_aware_and_utc() -> None:
    assert MachineClock().now().tzinfo is UTC


# -- logs


def test_a_log_line_keeps_its_sentence_and_allowed_fields_only() -> None:
    kept = only_allowed(
        None,
        "info",
        {"event": "Listening.", "level": "info", "port": 2575, "patient": "DOE", "raw": b"MSH", "peer": Phi("x")},
    )

    assert kept == {"event": "Listening.", "level": "info", "port": 2575}


def test_a_value_that_is_too_long_is_cut() -> None:
    assert len(only_allowed(None, "info", {"event": "x", "reason": "y" * 5000})["reason"]) == logs.VALUE_CHARACTERS_MAX


def test_log_lines_are_json_with_the_clocks_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs.globalLogBeginner, "beginLoggingTo", lambda *_a, **_k: None)
    out = io.StringIO()
    before = structlog.get_config()
    try:
        logs.start_logging(ManualClock(datetime(2026, 1, 5, 9, tzinfo=UTC)), out)
        structlog.get_logger().warning("A sentence.", peer="10.0.0.1", patient="DOE", exc_info=KeyError("DOE"))
    finally:
        structlog.configure(**before)

    assert json.loads(out.getvalue()) == {
        "at": "2026-01-05T09:00:00Z", "event": "A sentence.", "level": "warning", "peer": "10.0.0.1",
    }  # fmt: skip


def test_the_place_of_an_error_is_told_without_its_text() -> None:
    def look_up() -> None:
        raise KeyError("DOE^JANE")

    try:
        look_up()
    except KeyError as error:
        place = where(error)

    assert place.startswith("test_small_parts.py:look_up:")
    assert "DOE" not in place


def test_a_sentence_that_repeats_is_said_once_in_ten_seconds_with_its_count() -> None:
    clock = Clock()
    sparingly = Sparingly(clock)
    with structlog.testing.capture_logs() as said:
        sparingly = Sparingly(clock)
        for _ in range(5):
            sparingly.warning("Refused.", {"peer": "10.0.0.1"})
        clock.advance(11)
        sparingly.warning("Refused.", {"peer": "10.0.0.1"})

    assert [line["repeated"] for line in said] == [0, 4]


# -- systemd


def test_a_hangup_before_the_engine_is_there_is_remembered_and_ends_nothing() -> None:
    before = signal.getsignal(signal.SIGHUP)
    try:
        heard = hear_hangups()
        os.kill(os.getpid(), signal.SIGHUP)
        assert heard == [signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_systemd_hears_ready_alive_and_stopping() -> None:
    said: list[bytes] = []
    notify = Notify(said.append)

    notify.ready("2 listeners")
    notify.alive()
    notify.stopping()

    assert said == [b"READY=1\nSTATUS=2 listeners", b"WATCHDOG=1", b"STOPPING=1"]


@pytest.mark.parametrize("abstract", [False, True])
def test_words_reach_the_socket_that_systemd_names(tmp_path: Path, abstract: bool) -> None:
    name = f"@referral-engine-test-{os.getpid()}" if abstract else str(tmp_path / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name[1:] if abstract else name)
        notify_from({"NOTIFY_SOCKET": name}).alive()

        assert systemd.recv(100) == b"WATCHDOG=1"


def test_without_systemd_nothing_is_said() -> None:
    notify_from({}).ready("fine")
    notify_from({"NOTIFY_SOCKET": "/nowhere/at/all"}).alive()


def test_the_watchdog_is_fed_three_times_as_often_as_it_asks() -> None:
    assert watchdog_seconds({"WATCHDOG_USEC": "30000000"}) == 10.0
    assert watchdog_seconds({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}) == 0.0
    assert watchdog_seconds({}) == 0.0


# -- files, keys, places


def _tree(root: Path) -> str:
    for name in ("conf/engine.toml", "conf/preauth.toml", "conf/feeds/ehr.toml", "channels/cardio.toml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}\n", encoding="utf-8")
    (root / "channels" / "notes.txt").write_text("not ours")
    return str(root / "conf" / "engine.toml")


def test_every_configuration_file_is_read_under_the_name_an_analyst_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tree(tmp_path)
    monkeypatch.chdir(tmp_path)

    texts = read_files("conf/engine.toml")

    assert sorted(texts) == ["channels/cardio.toml", "conf/engine.toml", "conf/feeds/ehr.toml", "conf/preauth.toml"]
    assert texts["channels/cardio.toml"] == "# channels/cardio.toml\n"


def test_every_file_that_cannot_be_read_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = _tree(tmp_path)
    (tmp_path / "channels" / "cardio.toml").write_bytes(b"# one\n# Jos\xe9\n")
    monkeypatch.setattr("referral_engine.service.files.FILE_BYTES_MAX", 30)
    (tmp_path / "conf" / "preauth.toml").write_bytes(b"#" * 31)

    with pytest.raises(ConfigError) as caught:
        read_files(engine)

    assert [(one.code, one.line) for one in caught.value.problems] == [("FILE2", 0), ("FILE3", 2)]


def test_a_missing_engine_file_leaves_the_channels(tmp_path: Path) -> None:
    engine = _tree(tmp_path)
    Path(engine).unlink()

    assert len(read_files(engine)) == 3


def test_the_key_is_made_once_for_us_only_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.key"

    first, second = read_or_make_key(str(path)), read_or_make_key(str(path))

    assert first == second
    assert len(first) == 32
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "journal.key"
    read_or_make_key(str(path))
    path.chmod(0o640)

    with pytest.raises(ConfigError) as caught:
        read_or_make_key(str(path))

    assert caught.value.problems[0].help == f"chmod 600 {path}"


def test_a_key_that_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.key"
    path.write_text("swordfish")
    path.chmod(0o600)

    with pytest.raises(ConfigError):
        read_or_make_key(str(path))


def test_relative_names_lie_where_systemd_says_and_absolute_ones_where_they_say() -> None:
    places = Places(root=Path("/srv"), state=Path("/var/lib/re"), runtime=Path("/run/re"))

    assert places.kept("var/journal.db") == "/var/lib/re/journal.db"
    assert places.kept("var/spool/team") == "/var/lib/re/spool/team"
    assert places.passing("var/control.sock") == "/run/re/control.sock"
    assert places.kept("/data/journal.db") == "/data/journal.db"
    assert Places(root=Path("/srv")).kept("var/journal.db") == "/srv/var/journal.db"


def test_the_first_of_several_directories_is_ours(tmp_path: Path) -> None:
    places = places_from({"STATE_DIRECTORY": f"{tmp_path}/a:{tmp_path}/b"}, "conf/engine.toml")

    assert (places.state, places.runtime) == (tmp_path / "a", None)


# -- sweeper and pulse


class _Door:
    def __init__(self, *more: bool) -> None:
        self.more = list(more)
        self.inputs: list[Input] = []
        self.waiting: list[Deferred[Receipt]] = []
        self.at_once = True

    def submit(self, given: Input) -> Deferred[Receipt]:
        self.inputs.append(given)
        receipt: Deferred[Receipt] = Deferred()
        if self.at_once:
            receipt.callback(Receipt(fired=1, more=bool(self.more) and self.more.pop(0)))
        else:
            self.waiting.append(receipt)
        return receipt


def test_time_is_told_at_every_tick_and_at_once_again_while_more_is_due() -> None:
    clock, door = Clock(), _Door(True, True, False)
    sweeper = Sweeper(submit=door.submit, timer=clock, every_seconds=15.0)

    sweeper.start()
    for _ in range(5):
        clock.advance(0)
    at_once = len(door.inputs)
    clock.advance(15)

    assert at_once == 3
    assert door.inputs == [Ticked(limit=200)] * 4
    assert sweeper.fired == 4


def test_a_reload_changes_how_often_deadlines_are_looked_at_from_the_next_look_on() -> None:
    clock, door = Clock(), _Door(False, False, False, False)
    sweeper = Sweeper(submit=door.submit, timer=clock, every_seconds=15.0)
    sweeper.start()

    sweeper.follow(every_seconds=1.0, quiet_seconds=0.0)
    clock.pump([15.0, 1.0, 1.0])

    assert len(door.inputs) == 4


def test_two_ticks_are_never_under_way_at_once() -> None:
    clock, door = Clock(), _Door()
    door.at_once = False
    sweeper = Sweeper(submit=door.submit, timer=clock, every_seconds=1.0)

    sweeper.start()
    clock.pump([1.0] * 10)

    assert len(door.inputs) == 1


def test_a_tick_that_fails_is_tried_at_the_next_and_a_fenced_journal_ends_it() -> None:
    clock, door = Clock(), _Door()
    door.at_once = False
    sweeper = Sweeper(submit=door.submit, timer=clock, every_seconds=1.0)
    sweeper.start()

    door.waiting.pop().errback(KeyError("of ours"))
    clock.advance(1)
    again = len(door.inputs)
    door.waiting.pop().errback(JournalError("fenced"))
    clock.pump([1.0] * 5)

    assert again == 2
    assert len(door.inputs) == 2
    assert clock.getDelayedCalls() == []


def _pulse(executor: object, said: list[bytes]) -> tuple[Clock, RecordingStep, Pulse]:
    clock, step = Clock(), RecordingStep()
    door = Door(host=LocalHost(step=step, read=lambda: None, executor=executor), clock=clock)  # type: ignore[arg-type]
    pulse = Pulse(door=door, timer=clock, notify=Notify(said.append), watchdog_seconds=10.0)  # type: ignore[arg-type]
    return clock, step, pulse


def test_a_quiet_daemon_commits_every_few_seconds_and_stays_fresh() -> None:
    said: list[bytes] = []
    clock, step, pulse = _pulse(SynchronousExecutor(), said)

    pulse.start()
    clock.pump([1.0] * 30)

    assert pulse.fresh
    assert 4 <= len(step.batches) <= 10
    assert set(step.committed) == {Claim(lane="pulse", limit=0)}
    assert said == [b"WATCHDOG=1"] * 4


def test_a_disk_that_hangs_is_seen_and_systemd_is_not_reassured() -> None:
    said: list[bytes] = []
    executor = PausedExecutor()
    clock, _, pulse = _pulse(executor, said)

    pulse.start()
    clock.pump([1.0] * 30)

    assert not pulse.fresh
    assert said == []
    assert len(executor.waiting) == 2  # one commit and one round trip, not more of them every time


# -- the journal's thread


@pytest_twisted.ensureDeferred
async def test_the_thread_runs_work_in_order_and_hands_results_and_errors_back() -> None:
    executor = ThreadExecutor(reactor, "test")  # type: ignore[arg-type]
    threads: set[str] = set()

    def work(number: int) -> int:
        threads.add(threading.current_thread().name)
        if number == 1:
            raise KeyError("of ours")
        return number

    results = [executor.run(lambda number=number: work(number)) for number in range(3)]
    told: list[type[BaseException]] = []
    results[1].addErrback(lambda failure: told.append(failure.type))

    assert [await results[0], await results[2]] == [0, 2]
    assert told == [KeyError]
    assert threads == {"test"}
    await executor.stop()


def test_whatever_the_journal_can_be_asked_the_control_socket_answers() -> None:
    """Those two are asked by the daemon itself."""
    assert set(READINGS) - set(QUESTIONS) == {"counts", "lanes"}
