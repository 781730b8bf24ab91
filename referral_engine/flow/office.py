"""The specialist's side of a timetable: what leaves waits for the answer a step plays, else it is tried again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from referral_engine.base.clock import MICROSECONDS, from_micros, to_micros
from referral_engine.channels.channel import Channel, FaxTransport, MllpTransport, Transport
from referral_engine.channels.engine import Retry
from referral_engine.channels.naks import NakAction
from referral_engine.channels.timetable import REPLIES, Way
from referral_engine.flow.inputs import Settled
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome

ATTEMPTS_MIN: Final = 3  # as the couriers: what is given up was tried more than once or twice
DOUBLINGS_MAX: Final = 32  # stops the pause from becoming a huge number before it is cut
SILENCE: Final = "no answer in time"
_ACCEPTED: Final = frozenset({"AA", "CA"})
_TRIED_AGAIN: Final = {
    "silent": SILENCE,
    "refused": "connection refused",
    "fax busy": "the line was busy",
}
_IN_DOUBT: Final = frozenset({"silent"})  # it may have arrived: given up, its fate is unknown


@dataclass(slots=True, kw_only=True)
class Office:
    """One specialist who answers as the steps of a timetable say; before the first reply nobody answers."""

    channel: Channel
    _manner: dict[Way, str] = field(default_factory=dict)  # how it answers since the last reply
    _waiting: dict[int, tuple[EffectRow, int]] = field(default_factory=dict)  # by number: what left, and when

    def serves(self, row: EffectRow) -> bool:
        """Whether a sending is one that a reply of a timetable may answer."""
        return self._way(row) is not None

    def words(self) -> tuple[str, ...]:
        """The replies that this specialist's ways can bring."""
        ways = {_way_of(one) for _, one in self.channel.lanes}
        return tuple(word for word, by in REPLIES.items() if not ways.isdisjoint(by))

    def answer(self, row: EffectRow, now: int) -> Settled | None:
        """How one sending that just left is answered; None while it waits for its answer."""
        way = self._way(row)
        assert way is not None, "only what it serves is asked about"
        word = self._manner.get(way, "silent")
        if word == "silent":
            self._waiting[row.id] = (row, now)
            return None
        return self._settled(row, word, now)

    def reply(self, word: str, now: int) -> list[Settled]:
        """The specialist answers what waits with this word, and what leaves from now on."""
        ways = REPLIES[word]
        self._manner.update(dict.fromkeys(ways, word))
        answered = [row for row, _ in self._waiting.values() if self._way(row) in ways]
        return [self._end(row, word, now) for row in answered]

    def next_at(self) -> int | None:
        """When the wait for an answer is over next, in microseconds UTC; a gateway is waited for without end."""
        return min((end for row, left in self._waiting.values() if (end := self._ends(row, left))), default=None)

    def run_out(self, now: int) -> list[Settled]:
        """What nobody answered in time."""
        late = [row for row, left in self._waiting.values() if 0 < self._ends(row, left) <= now]
        return [self._end(row, "silent", now) for row in late]

    def _ends(self, row: EffectRow, left: int) -> int:
        transport = self._transport(row)
        if not isinstance(transport, MllpTransport):
            return 0
        return left + int(transport.ack_timeout_seconds * MICROSECONDS)

    def _end(self, row: EffectRow, word: str, now: int) -> Settled:
        del self._waiting[row.id]
        return self._settled(row, word, now)

    def _settled(self, row: EffectRow, word: str, now: int) -> Settled:
        """The outcome of one attempt, as a courier would tell it; the pause is the longest that it may draw."""
        transport = self._transport(row)
        assert transport is not None, "only what it serves is settled"
        if word in REPLIES and word not in _TRIED_AGAIN and not word.startswith("fax"):
            return _acknowledged(row, word, transport, now)
        if word == "fax delivered":
            return _say(row, Outcome.DELIVERED, "every page went through")
        if word == "fax failed":
            return _say(row, Outcome.FAILED, "the gateway gave it up")
        return _again(row, transport.retry, now, _TRIED_AGAIN[word], doubt=word in _IN_DOUBT)

    def _transport(self, row: EffectRow) -> Transport | None:
        """The way of a sending's lane; None for a lane that is not this specialist's."""
        return dict(self.channel.lanes).get(row.lane)

    def _way(self, row: EffectRow) -> Way | None:
        transport = self._transport(row)
        return None if transport is None else _way_of(transport)

    def left(self, row: EffectRow, message_type: str) -> str:
        """What left, in the word of a timetable's `sends`; "" for what is not for this specialist."""
        transport = self._transport(row)
        if transport is None:
            return ""
        way = _way_of(transport)
        return "fax" if way == "fax" else message_type if way == "line" else "file"


def _way_of(transport: Transport) -> Way | None:
    """A line and a fax are answered; a file is taken by another program, which says nothing."""
    if isinstance(transport, MllpTransport):
        return "line"
    return "fax" if isinstance(transport, FaxTransport) else None


def _acknowledged(row: EffectRow, code: str, transport: Transport, now: int) -> Settled:
    """What an acknowledgment means to this channel.  Source: HL7 v2.5.1 2.9.2, table 0008."""
    assert isinstance(transport, MllpTransport), "only a line brings an acknowledgment"
    reason, reply = f"MSA-1 was {code}", b"MSA|" + code.encode()
    if code in _ACCEPTED:
        return _say(row, Outcome.DELIVERED, reason, reply)
    action: NakAction = transport.nak.error if code in ("AE", "CE") else transport.nak.reject
    if action == "person":
        return _say(row, Outcome.FAILED, reason, reply)
    return _again(row, transport.retry, now, reason, reply, hold=action == "hold")


def _again(
    row: EffectRow, retry: Retry, now: int, reason: str, reply: bytes = b"", *, hold: bool = False, doubt: bool = False
) -> Settled:
    """Tried again after a pause that doubles, or given up."""
    over = now >= to_micros(retry.gives_up_at(from_micros(row.created_at)))
    if over and row.attempts >= ATTEMPTS_MIN:
        return _say(row, Outcome.UNKNOWN if doubt else Outcome.FAILED, reason, reply)
    doublings = min(max(row.attempts - 1, 0), DOUBLINGS_MAX)
    pause = min(retry.longest_seconds, retry.first_seconds * 2.0**doublings)
    return Settled(
        effect=row.id,
        token=row.token,
        outcome=Outcome.RETRY,
        reason=reason,
        reply=reply,
        retry_in_seconds=pause,
        hold=hold,
    )


def _say(row: EffectRow, outcome: Outcome, reason: str, reply: bytes = b"") -> Settled:
    return Settled(effect=row.id, token=row.token, outcome=outcome, reason=reason, reply=reply)
