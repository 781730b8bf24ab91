"""The benchmarks measure what they say: their messages are understood, and every answer is checked."""

from __future__ import annotations

import json
import random
import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from benchmarks import __main__ as bench
from benchmarks import diff, growth, limit, matching, memory, messages, processes
from benchmarks.cells import PEERS, Shape
from benchmarks.door import KINDS, START, costs, made_of, shipped_book
from benchmarks.load import load, percentile_ms
from benchmarks.mixes import MIXES, streams
from benchmarks.rehearse import happenings, rehearse
from referral_engine.base.clock import ManualClock
from referral_engine.flow.inputs import Arrived
from referral_engine.flow.step import Step
from referral_engine.hl7.message import Message
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import Disposition


@pytest.mark.parametrize("mix", MIXES)
def test_a_mix_is_the_same_for_the_same_seed_and_no_message_comes_twice(mix):
    made = streams(mix, connections=3, count=600, seed=5)
    again = streams(mix, connections=3, count=600, seed=5)
    other = streams(mix, connections=3, count=600, seed=6)

    identities = [identity for stream in made for identity, _ in stream]

    assert [identity for stream in again for identity, _ in stream] == identities
    assert len(set(identities)) == len(identities)
    assert not set(identities) & {identity for stream in other for identity, _ in stream}


def test_nearly_all_of_the_unrelated_mix_is_about_nobody_we_track():
    made = streams("unrelated", connections=1, count=2000, seed=1)[0]

    orders = Counter(Message.parse(message).header.message_code for _, message in made)["ORM"]

    assert 10 < orders < 100


def test_every_message_weighs_what_an_average_order_weighs():
    sizes = {len(message) for stream in streams("loop", connections=2, count=200, seed=1) for _, message in stream}

    assert min(sizes) > messages.MESSAGE_BYTES - 10
    assert max(sizes) < messages.MESSAGE_BYTES + 500


def test_the_door_is_measured_for_every_kind():
    found = costs(rounds=1, count=8, batches=(4,))

    assert [one.kind for one in found] == list(KINDS)
    assert all(one.us > one.own_us > 0 for one in found)


def test_a_rehearsal_answers_every_made_up_message():
    found = happenings(days=4, referrals_a_month=60, seed=1)

    result = rehearse(found, days=4)

    assert result["answers"] == {"right": len(found)}
    assert result["sendings"] > 0


def test_every_message_of_the_change_mix_changes_a_referral():
    made = streams("change", connections=1, count=60, seed=3)[0]
    journal = Journal.open(":memory:", None, node="RE")
    step = Step(journal, shipped_book(), ManualClock(datetime.now(UTC)))

    receipts = step.run([Arrived(raw=raw, peer="127.0.0.1") for _, raw in made])

    assert {receipt.disposition for receipt in receipts} == {Disposition.APPLIED}
    journal.close()


Answerer = Callable[[int, bytes], bytes]  # how many came before, MSH-10; what is sent back, b"" to hang up


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def a_listener(answer: Answerer) -> Iterator[int]:
    """A port where every message gets this answer, unframed."""

    class Listener(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            rest, number = b"", 0
            while came := self.request.recv(65536):
                *frames, rest = (rest + came).split(b"\x1c\r")
                for frame in frames:
                    said = answer(number, frame.split(b"|")[9])
                    if not said:
                        return
                    self.request.sendall(b"\x0b" + said + b"\x1c\r")
                    number += 1

    with Server(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def accepted(identity: bytes) -> bytes:
    return b"MSH|^~\\&|A\rMSA|AA|" + identity + b"\r"


@pytest.mark.parametrize(
    "wrong",
    [
        accepted(b"ANOTHER"),
        b"MSH|^~\\&|A\rMSA|AE|O1\r",
        b"MSH|^~\\&|A\rMSA|AA|O12\r",  # begins like the right one
        b"MSH|^~\\&|A\r",
    ],
)
def test_a_wrong_answer_is_counted_and_a_right_one_verified(wrong):
    made = made_of("order", 1, 4)

    with a_listener(lambda number, identity: accepted(identity) if number else wrong) as port:
        result = load("127.0.0.1", port, [made], seconds=5, warm_seconds=0, in_flight=1)

    assert (result.verified, result.wrong, result.missing) == (3, 1, 0)
    assert result.ran_dry


@pytest.mark.parametrize(
    "answer", [b"MSH|^~\\&|A\rMSA|CA|%b\r", b"MSH|^~\\&|A\rMSA|AA|%b|text\r", b"MSH|^~\\&|A\rMSA|AA|%b"]
)
def test_an_acceptance_is_recognised_in_every_shape(answer):
    made = made_of("order", 1, 40)

    with a_listener(lambda _, identity: answer % identity) as port:
        result = load("127.0.0.1", port, [made[:20], made[20:]], seconds=5, warm_seconds=0, in_flight=8)

    assert (result.verified, result.wrong, result.missing, result.lost_connections) == (40, 0, 0, 0)


def test_a_message_without_an_answer_is_missing_when_the_peer_hangs_up():
    with a_listener(lambda number, identity: accepted(identity) if number < 2 else b"") as port:
        result = load("127.0.0.1", port, [made_of("order", 1, 4)], seconds=5, warm_seconds=0, in_flight=1)

    assert (result.verified, result.missing, result.lost_connections) == (2, 1, 1)


def test_one_short_round_measures_the_engine_beside_its_peers(capsys):
    with pytest.raises(SystemExit) as ended:
        bench.main(["--loads", "2x2", "--mix", "unrelated", "--seconds", "0.3", "--rounds", "1"])

    out, table = capsys.readouterr()
    found = json.loads(out)
    [cell] = found["results"]
    assert ended.value.code == 0
    assert (cell["connections"], cell["in_flight"], cell["wrong"], cell["missing"]) == (2, 2, 0, 0)
    assert cell["verified"] > 10
    assert cell["batch"] >= 1
    assert all(cell[f"ratio_to_{peer}"] > 0 for peer in PEERS)
    assert found["load_generator_against_a_bare_responder"]["2x2"]["generator_us"] > 0
    assert "unrelated" in table


def test_a_journal_is_filled_through_the_door_and_owes_nothing(tmp_path):
    site = growth.fill(tmp_path / "site", 400, ports=(9, 9))

    with processes.daemon_in(site.folder, site.conf) as server:
        status = server.status()
        assert server.descriptors() > 3

    assert status["journal"]["messages"] == 400
    assert status["outbox"].get("queued", 0) == 0
    assert status["outbox"]["delivered"] > 0


def test_the_commit_limit_falls_with_the_group():
    alone, together = (limit.rows_per_second(group, 0.2) for group in (1, 64))

    assert 0 < alone < together


def steps_of(*sizes: float) -> Sequence[memory.Step]:
    return [
        memory.Step(
            messages=1000 * at,
            resident_mib=size,
            peak_mib=size,
            descriptors=9,
            messages_per_second=1,
            cpu_us=1,
            wrong=0,
        )
        for at, size in enumerate(sizes)
    ]


def test_memory_that_wavers_is_flat_and_memory_that_climbs_is_not():
    wavering, climbing = memory.judge(steps_of(100, 104, 99, 103)), memory.judge(steps_of(100, 104, 108, 112))

    assert wavering["flat"]
    assert not climbing["flat"]
    assert climbing["kib_per_1000_messages"] == pytest.approx(4 * 1024)


def test_a_load_is_written_as_connections_and_messages_in_flight():
    assert [str(Shape.read(text)) for text in ("64", "8x16")] == ["64", "8x16"]


def test_a_percentile_is_a_value_that_was_seen():
    assert percentile_ms([0.001, 0.002, 0.010], 0.5) == 2.0
    assert percentile_ms([], 0.99) == 0.0


def test_made_up_times_are_aware():
    assert START.tzinfo is UTC
    assert datetime.now(UTC) > START


def test_matching_is_measured_among_few_referrals_and_many():
    found = matching.measure([8, 40], rounds=1, count=16, seed=1)

    assert set(found["cpu_us"]) == set(found["ratio"]) == {"match", "refuse"}
    assert all(cost > 0 for costs in found["cpu_us"].values() for cost in costs.values())
    assert found["cpu_us_of_a_number_that_leads_to_many"][40]["order number 0"] > 0


def test_the_bookings_of_the_matching_benchmark_are_matched_and_its_strangers_are_refused(tmp_path):
    site = matching.Site(str(tmp_path), 20, shipped_book())
    site.cost("match", matching.BATCH, random.Random(1))
    site.cost("refuse", matching.BATCH, random.Random(1))
    site.journal.close()
    reading = Journal.open(str(tmp_path / "20.db"), site.key).read()

    found = [line for line in reading.messages() if line.type != "ORM^O01"]

    assert [line.disposition for line in found] == [Disposition.NO_OP] * matching.BATCH + [
        Disposition.APPLIED
    ] * matching.BATCH
    assert len({line.referral for line in found}) == matching.BATCH + 1


def test_a_comparison_of_two_replays_is_measured_and_finds_the_clock_that_was_changed():
    found = diff.measure(120, seed=7, days=1, noise=0.5)

    assert 60 < found.messages <= 120
    assert found.ratio > 0
    assert found.differences > 0
