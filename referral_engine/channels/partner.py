"""Who may talk to us and how: one partner's identity, framing, limits and answers; every value has a default."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from referral_engine.channels.naks import NakMeaning

MLLP_TRAILER: Final = b"\x1c\r"  # FS CR.  Source: HL7 Transport Specification, MLLP Release 1

MissingCr = Literal["accept", "refuse"]
AckMode = Literal["as-asked", "original", "enhanced"]
WhenUnavailable = Literal["close", "busy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """What of a partner's framing is forgiven."""

    missing_cr: MissingCr = "accept"  # a frame ended by FS alone
    trailer: bytes = MLLP_TRAILER  # two bytes, the first is FS
    unwrap_doubled: bool = False  # VT VT ... FS CR FS CR, from a relay that wraps again
    junk_bytes_max: int = 64  # in a row between two frames; stops a peer that never opens one


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of us one partner may take; None is what its listener says."""

    connections_max: int | None = None  # of this partner at once; None: the listener's per_peer_max
    frame_bytes_max: int | None = None
    frame_seconds_max: float = 60.0  # from VT to FS CR; stops slow drips from holding connections
    bytes_per_second_min: int = 10_000  # of an open frame after its first five seconds; stops slower drips
    idle_timeout_seconds: float | None = None
    in_flight_max: int = 32  # frames of one connection without an answer; then the sender waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Plaintext:
    """A permission to speak without TLS: why, and until when."""

    reason: str
    until: date  # the last day on which it holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """The whole of conf/partners/<name>.toml, or of [partner] in a feed; every empty list allows any."""

    name: str = ""  # "" is the partner of everyone whom no file names: nothing is restricted
    title: str = ""
    file: str = ""
    certificates: tuple[str, ...] = ()  # "DNS:gw.heart.example", "URI:...", "IP:...", "CN:..."; empty: none is asked
    addresses: tuple[str, ...] = ()  # "10.20.0.5", "10.20.0.0/16", "2001:db8::/32"; IPv4-mapped ones are IPv4 here
    applications: tuple[str, ...] = ()  # MSH-3
    facilities: tuple[str, ...] = ()  # MSH-4
    receiving_applications: tuple[str, ...] = ()  # MSH-5
    receiving_facilities: tuple[str, ...] = ()  # MSH-6
    message_types: tuple[str, ...] = ()  # MSH-9 as "ORM^O01"; "SIU^*" is every trigger of SIU
    framing: Framing = field(default_factory=Framing)
    limits: Limits = field(default_factory=Limits)
    charset: str | None = None  # when MSH-18 is empty; None: what the feed says
    ack_mode: AckMode = "as-asked"  # as-asked: MSH-15 and MSH-16 decide
    when_unavailable: WhenUnavailable = "close"  # busy: AE or CE with 207 instead, when nothing can be committed
    nak: NakMeaning = field(default_factory=NakMeaning)  # of its answers to us
    insecure_plaintext: Plaintext | None = None  # for what we send to it; a listener has a permission of its own

    @property
    def says_who(self) -> bool:
        """Whether anything tells this partner from others."""
        return bool(self.certificates or self.addresses or self.applications or self.facilities)


ANYONE: Final = Partner()  # everyone whom no file names
