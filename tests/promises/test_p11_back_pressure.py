"""P11: memory and disk stay bounded for any input: reading stops before anything runs out, and goes on by itself."""

from __future__ import annotations

from referral_engine.channels.engine import Listener
from referral_engine.channels.partner import Limits, Partner
from referral_engine.journal.room import MIB, Level, Marks, Water, next_level
from tests.service.doubles import Bench, PausedExecutor, framed

IN_FLIGHT = 4
PEER = "10.0.0.7"


def test_a_sender_that_does_not_wait_is_read_no_further_than_it_may_have_in_flight() -> None:
    executor = PausedExecutor()
    bench = Bench(executor=executor, partners={PEER: Partner(limits=Limits(in_flight_max=IN_FLIGHT))})
    wire = bench.must_connect(PEER)

    wire.protocol.dataReceived(framed(*[b"%d" % number for number in range(IN_FLIGHT + 3)]))
    bench.turn()
    held = (wire.paused, bench.door.backlog)
    while executor.waiting:
        executor.let_one_run()
        bench.turn()

    assert held == (True, IN_FLIGHT)
    assert not wire.paused
    assert wire.value() == framed(*[b"ACK %d" % number for number in range(IN_FLIGHT + 3)])


def test_while_the_disk_is_slow_everybody_is_read_no_further_than_the_high_water_mark() -> None:
    executor = PausedExecutor()
    bench = Bench(executor=executor, high_water_inputs=8, batch_max=2)
    wires = [bench.must_connect(f"10.0.0.{number}") for number in range(20)]

    for number, wire in enumerate(wires):
        if not wire.paused:
            wire.protocol.dataReceived(framed(b"%d" % number, b"more %d" % number))
    bench.turn()
    held = bench.door.backlog
    while executor.waiting:
        executor.let_one_run()
        bench.turn()

    assert held == 8
    answered = [number for number, wire in enumerate(wires) if wire.value()]
    assert answered == list(range(20)), "everyone who was read is answered, the late ones too"


def test_a_frame_is_held_no_longer_than_its_largest_size_and_all_of_them_within_a_bound() -> None:
    bench = Bench(settings=Listener(frame_bytes_max=1000))
    wire = bench.must_connect(PEER)

    wire.protocol.dataReceived(b"\x0b" + b"x" * 1001)

    assert wire.ended
    assert bench.listener.unfinished_bytes == 0
    assert bench.listener.counts.errors == {"frame-too-long": 1}


def test_below_the_low_water_mark_nothing_is_accepted_until_there_is_room_for_a_minute() -> None:
    marks = Marks(low=100 * MIB, ballast=0)
    level = next_level(Level(), marks, free=99 * MIB, seconds=0.0)
    too_soon = next_level(next_level(level, marks, free=300 * MIB, seconds=1.0), marks, free=300 * MIB, seconds=50.0)
    again = next_level(too_soon, marks, free=300 * MIB, seconds=62.0)

    assert (level.water, too_soon.water, again.water) == (Water.LOW, Water.LOW, Water.AMPLE)
