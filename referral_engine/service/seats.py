"""Who may connect to one listener: an address or a partner in, a seat or the reason of the refusal out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from referral_engine.channels.engine import Listener
from referral_engine.channels.partner import Partner

CONNECTS_PER_WINDOW_MAX: Final = 1000  # of one peer in WINDOW_SECONDS; stops a reconnect loop
WINDOW_SECONDS: Final = 10.0
HOLDERS_SHOWN: Final = 5
DESCRIPTORS_KEPT_MAX: Final = 64  # for the journal, its side files, spools, couriers and the log
DESCRIPTORS_KEPT_SHARE: Final = 4  # of a small limit a quarter is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """What one connection is counted under."""

    peer: str
    partner: str = ""  # "" is everyone whom no file names: counted by address
    known: bool = True  # False while a TLS handshake has still to say who it is

    @property
    def label(self) -> str:
        """As people read it: the partner's name, else the address."""
        return self.partner or self.peer


@dataclass(slots=True)
class Seats:
    """The seats of one listener, and who holds them."""

    settings: Listener
    descriptors_max: int = 0  # the process's limit; 0 for none
    taken: int = 0
    held: Counter[Seat] = field(default_factory=Counter)
    lately: Counter[str] = field(default_factory=Counter)  # connections of a peer in this window, refused ones too
    window_at: float = float("-inf")

    def knock(self, peer: str, now: float) -> str:
        """Somebody connects: why it is refused before anything else is known; "" when it is not."""
        if now - self.window_at > WINDOW_SECONDS:
            self.window_at = now
            self.lately.clear()
        self.lately[peer] += 1
        if self.lately[peer] > CONNECTS_PER_WINDOW_MAX:
            return "reconnects-too-fast"
        if self.taken >= self.settings.connections_max:
            return "connections-max"
        return ""

    def take(self, peer: str, partner: Partner | None) -> Seat | str:
        """A seat, or why there is none; partner None while a handshake has still to say."""
        seat = Seat(peer=peer, known=partner is not None)
        most, reason = self.settings.per_peer_max, "per-peer-max"
        if partner is not None and partner.name:
            seat = Seat(peer="", partner=partner.name)
            own = partner.limits.connections_max
            most, reason = self.settings.per_peer_max if own is None else own, "per-partner-max"
        if self.held[seat] >= most:
            return reason
        self.held[seat] += 1
        self.taken += 1
        return seat

    def leave(self, seat: Seat) -> None:
        """The connection is gone, or takes another seat."""
        self.taken -= 1
        self.held[seat] -= 1
        if self.held[seat] <= 0:
            del self.held[seat]

    def scarce(self, descriptor: int) -> bool:
        """Whether a new socket of this number leaves too few: the kernel gives the lowest number that is free."""
        kept = min(DESCRIPTORS_KEPT_MAX, self.descriptors_max // DESCRIPTORS_KEPT_SHARE)
        return 0 < self.descriptors_max <= descriptor + kept

    def holders(self) -> str:
        """Who holds most seats, "10.0.0.7 16, 10.0.0.9 4"."""
        return ", ".join(f"{seat.label} {count}" for seat, count in self.held.most_common(HOLDERS_SHOWN))

    def by_peer(self) -> dict[str, int]:
        """Connections by partner, or by address where nobody knows the partner."""
        shown: Counter[str] = Counter()
        for seat, count in self.held.items():
            shown[seat.label] += count
        return dict(shown)
