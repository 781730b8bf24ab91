"""The lanes of other files: unchanged ones keep their courier, changed ones hand over, those without a file finish."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.task import Clock

from referral_engine.base.clock import ManualClock
from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.channels.channel import MllpTransport
from referral_engine.channels.engine import Tls
from referral_engine.flow.inputs import Claim, Input, Receipt, Settled
from referral_engine.loop.events import Outcome
from referral_engine.transports.courier import LEASE_SECONDS
from referral_engine.transports.lane_set import LEAVING_SECONDS, LaneSet, Surroundings, lanes_of
from referral_engine.transports.session import InTurns
from tests.flow.stage import HEART, book
from tests.outbound.site import START
from tests.transports.peers import Office, ack, effect, framed

LAKESIDE = "orthopaedics-lakeside"


class Site:
    """Lanes over a door that owes the heart group one packet, and peers that answer when they are told to."""

    def __init__(self, directory: Path, owed: int = 1) -> None:
        self.clock = Clock()
        self.offices: dict[str, list[Office]] = {}
        self.claims: list[Claim] = []
        self.settled: list[Settled] = []
        self.to_claim = owed
        self.owes: dict[str, int] = {}
        self.certificate = "first"
        self.world = Surroundings(
            submit=self._submit, timer=self.clock, clock=ManualClock(START), chance=lambda: 0.5,
            dial=self._dial, in_thread=lambda _name: execute, directory=lambda name: str(directory / name),
            credentials=lambda tls: self.certificate if tls else "", owed=self._owed,
        )  # fmt: skip
        self.lanes = LaneSet(lanes_of(book(), self.world), self.world)
        self.lanes.start()
        self.clock.advance(0)

    def _dial(self, _host: str, _port: int, _tls: Tls | None, owner: str) -> Office:
        self.offices.setdefault(owner, []).append(Office(self.clock))
        return self.offices[owner][-1]

    def _submit(self, given: Input) -> Deferred[Receipt]:
        claim = given.claim if isinstance(given, Settled) else given
        if isinstance(given, Settled):
            self.settled.append(given)
        if isinstance(claim, Claim):
            self.claims.append(claim)
            if claim.lane == HEART and claim.limit and self.to_claim:
                self.to_claim -= 1
                return succeed(Receipt(effects=(effect(id=1, lane=HEART, wire_id="W1"),)))
        return succeed(Receipt())

    def _owed(self) -> Deferred[Mapping[str, int]]:
        return succeed(self.owes)

    def follow(self, other: Book) -> None:
        self.lanes.follow(lanes_of(other, self.world))
        self.clock.advance(0)

    def arrives(self, wire_id: str) -> None:
        """The heart group says that it has the packet."""
        self.offices[HEART][0].lines[0].say(framed(ack("AA", wire_id)))
        self.clock.advance(0)

    def state(self, lane: str) -> dict[str, object]:
        return next((one for one in self.lanes.status() if one["lane"] == lane), {})

    def asked(self, lane: str) -> int:
        return sum(one.lane == lane and one.limit > 0 for one in self.claims)


def with_heart(**changes: Any) -> Book:
    heart = book().channels[HEART]
    assert isinstance(heart.transport, MllpTransport)
    return replace(
        book(), channels={**book().channels, HEART: replace(heart, transport=replace(heart.transport, **changes))}
    )


def without(name: str) -> Book:
    return replace(book(), channels={other: one for other, one in book().channels.items() if other != name})


def test_a_lane_whose_settings_are_as_they_were_keeps_its_courier_and_its_flight(tmp_path: Path) -> None:
    site = Site(tmp_path)
    before = dict(site.lanes._couriers)

    site.follow(replace(book(), version="another"))

    assert site.lanes._couriers == before
    assert site.state(HEART)["state"] == "sending"
    assert not site.settled


# H023, H030
def test_a_changed_lane_finishes_what_is_in_flight_before_its_next_courier_begins(tmp_path: Path) -> None:
    site = Site(tmp_path)
    asked = site.asked(HEART)

    site.follow(with_heart(port=7001))

    assert site.state(HEART)["note"] == "its new settings wait for what is in flight"
    site.clock.advance(5)
    assert site.asked(HEART) == asked, "never two couriers on one lane"
    site.arrives("W1")
    assert [one.outcome for one in site.settled] == [Outcome.DELIVERED]
    assert site.asked(HEART) == asked + 1
    assert site.state(HEART)["note"] == ""


def test_a_flight_that_never_ends_holds_the_lane_no_longer_than_its_lease(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.lanes._couriers[HEART]._transport.deliver = lambda *_: Deferred()  # type: ignore[method-assign]
    site.lanes._couriers[HEART]._transport.stop = lambda: None  # type: ignore[method-assign]
    courier = site.lanes._couriers[HEART]

    site.follow(with_heart(port=7001))
    site.clock.pump([1.0] * int(courier._lease_seconds + 1))

    assert courier._lease_seconds >= LEASE_SECONDS
    assert site.lanes._couriers[HEART] is not courier


def test_of_several_reloads_during_one_flight_the_last_one_counts(tmp_path: Path) -> None:
    site = Site(tmp_path)

    site.follow(with_heart(port=7001))
    site.follow(with_heart(port=7002))
    site.arrives("W1")

    assert site.lanes._couriers[HEART]._transport._peer.endswith(":7002")  # type: ignore[attr-defined]
    assert len([one for one in site.lanes.status() if one["lane"] == HEART]) == 1


def test_a_renewed_certificate_is_another_way_out(tmp_path: Path) -> None:
    site = Site(tmp_path, owed=0)
    safe = with_heart(tls=Tls(ca="ca.pem"))
    site.follow(safe)
    before = site.lanes._couriers[HEART]

    site.follow(safe)
    assert site.lanes._couriers[HEART] is before
    site.certificate = "second"
    site.follow(safe)

    assert site.lanes._couriers[HEART] is not before


def test_a_lane_without_a_file_stays_until_nothing_is_owed_and_status_says_so(tmp_path: Path) -> None:
    site = Site(tmp_path, owed=0)
    site.owes = {LAKESIDE: 3}

    site.follow(without(LAKESIDE))

    assert site.state(LAKESIDE)["note"] == "no file any more, 3 owed"
    site.owes = {}
    site.clock.advance(LEAVING_SECONDS)
    assert site.state(LAKESIDE) == {}


def test_a_file_that_comes_back_finds_its_courier_still_there(tmp_path: Path) -> None:
    site = Site(tmp_path, owed=0)
    site.owes = {LAKESIDE: 1}
    before = site.lanes._couriers[LAKESIDE]

    site.follow(without(LAKESIDE))
    site.follow(book())

    assert site.lanes._couriers[LAKESIDE] is before
    assert site.state(LAKESIDE)["note"] == ""


def test_a_new_channel_has_a_courier_at_once_and_a_stop_ends_all_of_them(tmp_path: Path) -> None:
    site = Site(tmp_path, owed=0)
    new = replace(book().channels[HEART], name="heart-west")

    site.follow(replace(book(), channels={**book().channels, "heart-west": new}))
    assert site.asked("heart-west") == 1
    stopped: list[object] = []
    site.lanes.stop().addCallback(stopped.append)
    site.clock.advance(2)

    assert stopped == [None]


# H023
def test_a_kept_and_a_changed_lane_to_one_single_session_peer_still_share_its_session(tmp_path: Path) -> None:
    heart = book().channels[HEART].transport
    assert isinstance(heart, MllpTransport)
    ehr = replace(book().engine.ehr, host=heart.host, port=heart.port, single_session=True)
    shared = replace(book(), engine=replace(book().engine, ehr=ehr))
    site = Site(tmp_path, owed=0)
    site.follow(shared)
    kept = site.lanes._couriers["ehr"]

    changed = replace(with_heart(ack_timeout_seconds=77.0), engine=shared.engine)
    site.follow(changed)

    assert site.lanes._couriers["ehr"] is kept
    ways = [site.lanes._couriers[name]._transport for name in ("ehr", HEART)]
    assert all(isinstance(one, InTurns) for one in ways)
    assert len({id(one._session) for one in ways}) == 1  # type: ignore[attr-defined]
