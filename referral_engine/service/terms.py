"""What holds for one connection: its partner's framing and limits, with the listener's where the partner says none."""

from __future__ import annotations

from dataclasses import dataclass

from referral_engine.channels.engine import Listener
from referral_engine.channels.partner import Framing, Partner
from referral_engine.hl7.mllp import Deframer


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of one connection, all of them decided."""

    partner: str  # "" is everyone whom no file names
    framing: Framing
    frame_bytes_max: int
    frame_seconds_max: float
    bytes_per_second_min: int
    idle_timeout_seconds: float
    in_flight_max: int
    busy: bool  # AE or CE with 207 where nothing can be committed, instead of a close without a word

    def deframer(self) -> Deframer:
        """A deframer for one connection on these terms."""
        framing = self.framing
        return Deframer(
            frame_bytes_max=self.frame_bytes_max,
            junk_bytes_max=framing.junk_bytes_max,
            missing_cr=framing.missing_cr,
            end=framing.trailer,
            unwrap_doubled=framing.unwrap_doubled,
        )


def terms_of(partner: Partner, listener: Listener) -> Terms:
    """The partner's word, else the listener's."""
    limits = partner.limits
    frame_bytes_max, idle_timeout = limits.frame_bytes_max, limits.idle_timeout_seconds
    return Terms(
        partner=partner.name,
        framing=partner.framing,
        frame_bytes_max=listener.frame_bytes_max if frame_bytes_max is None else frame_bytes_max,
        frame_seconds_max=limits.frame_seconds_max,
        bytes_per_second_min=limits.bytes_per_second_min,
        idle_timeout_seconds=listener.idle_timeout_seconds if idle_timeout is None else idle_timeout,
        in_flight_max=limits.in_flight_max,
        busy=partner.when_unavailable == "busy",
    )
