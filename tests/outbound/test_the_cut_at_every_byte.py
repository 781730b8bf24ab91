"""A connection that ends at any byte of an exchange: the partner ends up with each message once, bit for bit the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.outbound.site import CLEAN, LANE, Receiver, Site, accepts, body, total_queue
from tests.transports.peers import Wire, framed

REQUEST = len(framed(body("M000")))
ANSWER = len(accepts("M000"))


class Cutting(Receiver):
    """Lets so many bytes of one exchange pass, in both directions together; then the connection ends as it is told."""

    left = -1  # -1: everything passes
    how = "cut"

    def passes(self, wire: Wire, data: bytes) -> bytes:
        if self.left < 0:
            return data
        passed, self.left = data[: self.left], self.left - len(data)
        if self.left < 0:
            self._end(wire)
        return passed

    def _play(self, wire: Wire, step: Any) -> None:
        if self.left < 0:
            super()._play(wire, step)
            return
        passed, self.left = step[: self.left], self.left - len(step)
        if passed:
            wire.say(passed)
        if self.left < 0:
            self._end(wire)

    def _end(self, wire: Wire) -> None:
        self.left = -1
        if self.how == "cut":
            self.clock.callLater(0, wire.end, cleanly=False)
        elif self.how == "close":
            self.clock.callLater(0, wire.end)
        else:  # the network swallows everything from now on
            wire.say = lambda *_chunks: None  # type: ignore[method-assign]


# F-G03, F-G07, F-D08
@pytest.mark.parametrize("how", ["cut", "close", "swallow"])
def test_wherever_an_exchange_breaks_off_the_message_has_one_effect_and_its_retry_is_the_same(how: str) -> None:
    site = Site()
    office = Cutting(site.clock)
    office.how = how
    site.courier(office, first_seconds=0.2, longest_seconds=0.2, ack_timeout_seconds=2.0)
    site.start()
    again = set()

    for offset in range(REQUEST + ANSWER + 1):
        wire_id = f"M{offset:03d}"
        office.left = offset if offset < REQUEST + ANSWER else -1
        site.owe(wire_id)
        site.couriers[LANE].poke()
        site.run(4, step=1.0)
        if office.arrivals.count(wire_id) > 1:
            again.add(offset)

    assert total_queue(site, office) == CLEAN
    assert office.effects == [f"M{offset:03d}" for offset in range(REQUEST + ANSWER + 1)]
    assert set(site.states().values()) == {"delivered"}
    assert min(again) >= REQUEST - 1, "what never arrived whole was no effect"
    assert again, "somewhere the partner had it and we could not know"
    doubtful = {row.wire_id for row in site.rows() if "may have arrived" in row.reason}
    assert {f"M{offset:03d}" for offset in again} <= doubtful


# H022
def test_a_connection_that_the_peer_closed_while_idle_is_replaced_and_the_message_is_sent_once() -> None:
    site = Site()
    office = Receiver(site.clock)
    site.courier(office)
    site.owe("M1")
    site.start()

    office.lines[0].end()
    site.owe("M2")
    site.couriers[LANE].poke()
    site.run(1)

    assert office.arrivals == ["M1", "M2"]
    assert [len(line.received) for line in office.lines] == [1, 1]
    assert set(site.states().values()) == {"delivered"}
    assert site.couriers[LANE].counts.retried == 0


# H022: the close crosses the message on the wire
def test_a_connection_that_dies_under_the_message_is_replaced_and_what_arrives_is_the_same_message() -> None:
    site = Site()
    office = Receiver(site.clock)
    site.courier(office, first_seconds=1.0)
    site.owe("M1")
    site.start()
    office.passes = lambda _wire, _data: b""  # type: ignore[method-assign]

    site.owe("M2")
    site.couriers[LANE].poke()
    site.settle()
    office.lines[0].end(cleanly=False)
    del office.passes
    site.run(2)

    assert office.arrivals == ["M1", "M2"]
    assert site.states()["M2"] == "delivered"
    assert total_queue(site, office) == CLEAN


# H023
def test_a_peer_that_takes_one_session_never_sees_a_second_one_beside_it() -> None:
    site = Site()
    words = iter(["mismatch", "close", "silence", "garbage"] * 3)

    def answer(control_id: str) -> Any:
        word = next(words, "")
        if word == "mismatch":
            return accepts("ANOTHER")
        return {"close": "close", "silence": None, "garbage": b"\x0bhello\x1c\r"}.get(word, accepts(control_id))

    office = Receiver(site.clock, answer)
    site.courier(office, first_seconds=0.2, longest_seconds=0.2, ack_timeout_seconds=1.0)
    site.owe("M1", "M2", "M3", "M4", "M5")
    site.start()
    site.run(120)

    assert office.parallel == 1
    assert len(office.lines) > 6
    assert total_queue(site, office) == CLEAN
