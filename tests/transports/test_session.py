"""Lanes that share a peer with one connection: they take turns, and no second connection is ever beside the first."""

from __future__ import annotations

from typing import Any

from referral_engine.transports.mllp import STOPPED, MllpPeer
from referral_engine.transports.session import InTurns, Session
from tests.outbound.site import CLEAN, Receiver, Site, total_queue


def _shared(site: Site, office: Receiver, *lanes: str, **retry: Any) -> None:
    session = Session()
    for lane in lanes:
        peer = MllpPeer(endpoint=office, timer=site.clock, peer=lane, ack_timeout_seconds=30.0)
        site.carry(InTurns(peer, session), lane, **retry)


# H023
def test_two_lanes_to_a_single_session_peer_never_connect_in_parallel_and_both_get_through() -> None:
    site = Site()
    office = Receiver(site.clock)
    _shared(site, office, "heart", "brain")
    site.owe("H1", "H2", "H3", lane="heart")
    site.owe("B1", "B2", "B3", lane="brain")

    site.start()
    site.run(5)

    assert sorted(office.effects) == ["B1", "B2", "B3", "H1", "H2", "H3"]
    assert office.parallel == 1
    assert total_queue(site, office) == CLEAN


def test_a_lane_that_is_alone_keeps_its_connection() -> None:
    site = Site()
    office = Receiver(site.clock)
    _shared(site, office, "heart", "brain")
    site.owe("H1", "H2", "H3", lane="heart")

    site.start()
    site.run(5)

    assert len(office.lines) == 1


# H028
def test_a_lane_that_waits_for_its_turn_stops_without_having_sent_anything() -> None:
    site = Site()
    office = Receiver(site.clock, lambda _control_id: None)
    _shared(site, office, "heart", "brain")
    site.owe("H1", lane="heart")
    site.owe("B1", lane="brain")
    site.start()
    stopped: list[str] = []

    for lane in ("brain", "heart"):
        site.couriers[lane].stop().addCallback(lambda _none, lane=lane: stopped.append(lane))
    site.run(2)

    assert sorted(stopped) == ["brain", "heart"]
    assert len(office.arrivals) == 1
    assert set(site.states().values()) == {"queued"}
    assert site.couriers["brain"].counts.last_reason.startswith(STOPPED)


# F-G08
def test_a_lane_whose_turn_comes_too_late_sends_nothing_on_its_old_lease() -> None:
    site = Site()
    office = Receiver(site.clock, lambda _control_id: None)
    _shared(site, office, "heart", "brain", first_seconds=600.0, longest_seconds=600.0, chance=lambda: 0.99)
    site.owe("H1", lane="heart")
    site.owe("B1", lane="brain")
    site.start()

    site.wall.move_to(site.wall.now().replace(hour=11))
    site.run(31)

    assert len(office.arrivals) == 1
    assert site.couriers["brain"].counts.last_reason == "the lease was too old to send on; nothing left"
