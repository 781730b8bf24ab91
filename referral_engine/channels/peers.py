"""Where a peer calls from and whom its certificate names: each in one spelling, so that two can be compared."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAPPED_BITS: Final = 96  # of ::ffff:0:0/96, before the IPv4 address inside an IPv6 one
LISTS_KEPT_MAX: Final = 4096  # of networks that were read once; stops a made-up book from filling memory
_LOCALHOST: Final = "localhost"


def read_address(text: str) -> Address:
    """An IP address; an IPv4 address inside an IPv6 one is the IPv4 address, a zone ("%eth0") is left out.

    Raises ValueError.
    """
    address = ip_address(text.split("%", 1)[0])
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def read_network(text: str) -> Network:
    """An address, or a network such as 10.20.0.0/16.  Raises ValueError, also when an address has bits behind it."""
    network = ip_network(text)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - MAPPED_BITS))


def calls_from(peer: str, addresses: tuple[str, ...]) -> bool:
    """Whether a socket's address is one of `addresses` or inside one of them; what is no address is nowhere."""
    return narrowest(peer, addresses) >= 0


def narrowest(peer: str, addresses: tuple[str, ...]) -> int:
    """The bits of the narrowest of `addresses` that holds the peer, -1 when none does."""
    try:
        address = read_address(peer)
    except ValueError:
        return -1
    return max((one.prefixlen for one in _networks(addresses) if address in one), default=-1)


def share_an_address(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether a peer could call from both."""
    return any(a.version == b.version and a.overlaps(b) for a in _networks(one) for b in _networks(other))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: 127.0.0.0/8, ::1, or the name localhost."""
    try:
        return read_address(host).is_loopback
    except ValueError:
        return host.lower() == _LOCALHOST


def read_identity(text: str) -> str:
    """A certificate's identity ("DNS:gw.heart.example") in one spelling: host names in small letters, IPs as numbers.

    Everything else is compared letter by letter.  Raises ValueError for an IP that is none.
    """
    kind, _, value = text.partition(":")
    if kind == "DNS":
        return f"DNS:{value.lower()}"
    return f"IP:{read_address(value)}" if kind == "IP" else text


def shows(certificates: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether one of the identities a peer's certificate shows is wanted, whole and exactly."""
    return not {_spelt(one) for one in certificates}.isdisjoint({_spelt(one) for one in wanted})


def _spelt(identity: str) -> str:
    try:
        return read_identity(identity)
    except ValueError:
        return identity


@lru_cache(LISTS_KEPT_MAX)
def _networks(addresses: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(read_network(one) for one in addresses)
