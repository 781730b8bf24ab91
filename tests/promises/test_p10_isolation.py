"""P10: a partner that is dead, slow or hostile delays nobody else; not at the port, and not on the way out."""

from __future__ import annotations

from referral_engine.channels.engine import Listener
from referral_engine.channels.partner import Limits, Partner
from tests.outbound.site import Receiver, Site
from tests.service.doubles import Bench, framed

HOSTILE, GOOD = "10.0.0.66", "10.0.0.7"
OFFICES = ("heart", "brain", "bones")


def test_whatever_one_sender_does_another_is_answered_in_the_same_turn() -> None:
    bench = Bench()
    drips, floods, garbles = (bench.must_connect(HOSTILE) for _ in range(3))
    drips.protocol.dataReceived(b"\x0bMSH|")
    floods.protocol.dataReceived(framed(*[b"flood %d" % number for number in range(1000)]))
    garbles.protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
    good = bench.must_connect(GOOD)

    good.protocol.dataReceived(framed(b"one"))
    for _ in range(3):  # a few turns of the reactor, and no second has passed
        bench.turn()

    assert good.value() == framed(b"ACK one")
    assert bench.clock.seconds() == 0.0


def test_the_connections_of_one_partner_leave_room_for_every_other() -> None:
    few = Partner(name="hostile", limits=Limits(connections_max=2))
    bench = Bench(settings=Listener(connections_max=10), partners={HOSTILE: few})

    held = [bench.connect(HOSTILE) for _ in range(50)]
    good = bench.must_connect(GOOD)
    good.protocol.dataReceived(framed(b"one"))
    bench.turn()

    assert sum(1 for wire in held if wire is not None and not wire.ended) <= 2
    assert good.value() == framed(b"ACK one")


def test_an_office_that_never_answers_holds_up_no_other() -> None:
    site = Site()
    offices = {lane: Receiver(site.clock) for lane in OFFICES}
    offices["heart"].answer = lambda _control_id: None
    for lane, office in offices.items():
        site.courier(office, lane)
        site.owe(*[f"{lane}{number}" for number in range(5)], lane=lane)

    site.start()
    site.run(1.0)

    assert [len(offices[lane].effects) for lane in OFFICES[1:]] == [5, 5]
