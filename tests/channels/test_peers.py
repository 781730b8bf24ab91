from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.channels.peers import (
    calls_from,
    is_loopback,
    narrowest,
    read_network,
    share_an_address,
    shows,
)


@pytest.mark.parametrize(
    ("peer", "addresses"),
    [
        ("10.20.30.40", ("10.20.30.40",)),
        ("10.20.0.0", ("10.20.0.0/16",)),  # the first and the last address of a network belong to it
        ("10.20.255.255", ("10.20.0.0/16",)),
        ("192.0.2.9", ("10.20.0.0/16", "192.0.2.9")),
        ("2001:db8::1", ("2001:DB8:0:0::/32",)),
        ("2001:db8:0:0:0:0:0:1", ("2001:db8::1",)),
        ("fe80::1%eth0", ("fe80::1",)),
        # An IPv4 peer on a socket that speaks IPv6, in each spelling.  F-D16
        ("::ffff:10.20.30.40", ("10.20.0.0/16",)),
        ("::FFFF:10.20.30.40", ("10.20.30.40",)),
        ("::ffff:a14:1e28", ("10.20.30.40",)),
        ("10.20.30.40", ("::ffff:10.20.0.0/112",)),
    ],
)
def test_a_peer_is_recognised_in_every_spelling_of_its_address(peer: str, addresses: tuple[str, ...]) -> None:
    assert calls_from(peer, addresses)


@pytest.mark.parametrize(
    ("peer", "addresses"),
    [
        ("10.20.30.41", ("10.20.30.40",)),
        ("10.19.255.255", ("10.20.0.0/16",)),  # one before, one behind
        ("10.21.0.0", ("10.20.0.0/16",)),
        ("10.20.30.4", ("10.20.30.40",)),  # a beginning of the text is no address
        ("2001:db9::1", ("2001:db8::/32",)),
        ("::10.20.30.40", ("10.20.30.40",)),  # not the IPv4-mapped form  # F-D16
        ("64:ff9b::a14:1e28", ("10.20.30.40",)),
        ("10.20.30.40", ("::/0",)),  # every IPv6 peer is no IPv4 peer  # F-D16
        ("::ffff:10.20.30.40", ("::/0",)),
        ("", ("0.0.0.0/0",)),
        ("?", ("0.0.0.0/0",)),
        ("gw.heart.example", ("0.0.0.0/0", "::/0")),
        ("10.20.30.40", ()),
    ],
)
def test_a_peer_from_next_door_is_not_taken_for_a_neighbour(peer: str, addresses: tuple[str, ...]) -> None:
    assert not calls_from(peer, addresses)


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1))
def test_a_mapped_peer_is_where_its_ipv4_address_is(base: int, bits: int, number: int) -> None:
    """F-D16: the same verdict for a peer and for its IPv4-mapped form, whatever the network."""
    inside = IPv4Network((base, bits), strict=False)
    peer = IPv4Address(number)

    assert calls_from(str(peer), (str(inside),)) == (peer in inside)
    assert calls_from(f"::ffff:{peer}", (str(inside),)) == (peer in inside)


def test_the_narrowest_network_says_most() -> None:
    assert narrowest("10.20.30.40", ("10.0.0.0/8", "10.20.0.0/16", "192.0.2.0/24")) == 16
    assert narrowest("10.20.30.40", ("10.20.30.40",)) == 32
    assert narrowest("10.20.30.40", ("192.0.2.0/24",)) == -1


def test_a_network_with_bits_behind_it_is_refused() -> None:
    for text in ("10.20.30.40/16", "::ffff:10.20.30.40/112", "10.20.0.0/33", "10.20", "10.20.0.0/16/8", ""):
        with pytest.raises(ValueError, match=r".+"):
            read_network(text)


def test_lists_share_an_address_where_their_networks_overlap() -> None:
    assert share_an_address(("10.0.0.0/8",), ("192.0.2.1", "10.20.30.40"))
    assert not share_an_address(("10.0.0.0/8",), ("192.0.2.1", "::/0"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.0.9", "::1", "localhost", "LOCALHOST", "::ffff:127.0.0.1"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.evil.example", "localhost.evil.example", "10.0.0.1", ""])
def test_what_only_looks_like_loopback_is_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        ("DNS:gw.heart.example", "DNS:gw.heart.example"),
        ("DNS:GW.Heart.Example", "DNS:gw.heart.example"),
        ("URI:urn:heart:gw", "URI:urn:heart:gw"),
        ("CN:Heart Group Gateway", "CN:Heart Group Gateway"),
        ("IP:::ffff:10.20.30.40", "IP:10.20.30.40"),
    ],
)
def test_a_certificate_is_recognised_by_one_whole_name(shown: str, wanted: str) -> None:
    assert shows(("CN:other", shown), (wanted, "DNS:second.example"))


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        ("DNS:gw.heart.example.evil.example", "DNS:gw.heart.example"),
        ("DNS:evil.gw.heart.example", "DNS:gw.heart.example"),
        ("DNS:*.heart.example", "DNS:gw.heart.example"),  # a wildcard stands for nothing
        ("CN:gw.heart.example", "DNS:gw.heart.example"),  # another kind of name
        ("DNS:gw.heart.example\0.evil.example", "DNS:gw.heart.example"),
        ("URI:urn:Heart:gw", "URI:urn:heart:gw"),
        ("CN:heart group gateway", "CN:Heart Group Gateway"),
        ("IP:10.20.30.41", "IP:10.20.30.40"),
        ("", "DNS:gw.heart.example"),
    ],
)
def test_a_name_that_only_resembles_a_certificates_is_not_it(shown: str, wanted: str) -> None:
    assert not shows((shown,), (wanted,))
    assert not shows((), (wanted,))
