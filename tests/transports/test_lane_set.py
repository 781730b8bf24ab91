"""The lanes of a book: one for everybody who is owed something, set up as the files say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.task import Clock

from referral_engine.base.clock import ManualClock
from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.channels.channel import MllpTransport
from referral_engine.channels.naks import NakMeaning
from referral_engine.flow.inputs import Claim, Input, Receipt
from referral_engine.flow.lanes import lanes_of as names_of
from referral_engine.journal.outbox import REPEATS_SAFELY
from referral_engine.transports.lane_set import LaneSet, Surroundings, lanes_of
from referral_engine.transports.mllp import MllpPeer
from referral_engine.transports.session import InTurns
from tests.flow.stage import HEART, book
from tests.outbound.site import START
from tests.transports.peers import Office


class _World:
    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.asked: list[Claim] = []
        self.surroundings = Surroundings(
            submit=self._submit, timer=self.clock, clock=ManualClock(START), chance=lambda: 0.5,
            dial=lambda _host, _port, _tls, _owner: Office(self.clock), in_thread=lambda _name: execute,
            directory=lambda name: str(directory / name),
        )  # fmt: skip

    def _submit(self, given: Input) -> Deferred[Receipt]:
        assert isinstance(given, Claim)
        self.asked.append(given)
        return succeed(Receipt())


def _with(**changes: Any) -> Book:
    channels = dict(book().channels)
    heart = channels[HEART]
    assert isinstance(heart.transport, MllpTransport)
    channels[HEART] = replace(heart, transport=replace(heart.transport, **changes))
    return replace(book(), channels=channels)


def test_everybody_who_can_be_owed_something_has_exactly_one_lane(tmp_path: Path) -> None:
    lanes = lanes_of(book(), _World(tmp_path).surroundings)

    names = [lane.name for lane in lanes]
    assert sorted(names) == sorted(names_of(book()))
    assert all(lane.transport.repeats_safely is (lane.transport.name in REPEATS_SAFELY) for lane in lanes)


# H042, H130
def test_what_a_no_means_and_how_frames_end_is_the_channels_own(tmp_path: Path) -> None:
    hold = NakMeaning(error="hold")
    other = _with(nak=hold, trailer=b"\x1c\x00", ack_timeout_seconds=60.0)

    lanes = {lane.name: lane for lane in lanes_of(other, _World(tmp_path).surroundings)}

    peer = lanes[HEART].transport
    assert isinstance(peer, MllpPeer)
    assert (peer._nak, peer._trailer) == (hold, b"\x1c\x00")
    assert lanes[HEART].lease_seconds / 2 > 10.0 + 2 * 60.0


# H023
def test_lanes_to_one_single_session_address_share_it(tmp_path: Path) -> None:
    transport = book().channels[HEART].transport
    assert isinstance(transport, MllpTransport)
    ehr = replace(book().engine.ehr, host=transport.host, port=transport.port)
    other = _with(single_session=True)
    other = replace(other, engine=replace(other.engine, ehr=ehr))

    lanes = {lane.name: lane.transport for lane in lanes_of(other, _World(tmp_path).surroundings)}

    shared = [lanes[HEART], lanes["ehr"]]
    assert all(isinstance(one, InTurns) for one in shared)
    assert len({one._session for one in shared}) == 1  # type: ignore[attr-defined]
    assert not any(isinstance(one, InTurns) for name, one in lanes.items() if name not in (HEART, "ehr"))


# H096
def test_status_shows_every_lane_with_its_circuit_and_the_age_of_its_queue(tmp_path: Path) -> None:
    world = _World(tmp_path)
    lanes = LaneSet(lanes_of(book(), world.surroundings), world.surroundings)

    lanes.start()
    shown = lanes.status()

    assert {one["lane"] for one in shown} == names_of(book())
    assert {asked.transport for asked in world.asked} == {"mllp", "spool"}
    for one in shown:
        assert (one["circuit"], one["oldest_seconds"], one["next_attempt_in"]) == ("closed", 0.0, 0.0)
        assert one["since"] == "2026-01-05T09:00:00Z"
