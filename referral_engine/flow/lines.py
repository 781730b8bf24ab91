"""The lines to the offices of a made-up quarter: busy as each referral's fate says, quick when they are free."""

from __future__ import annotations

from dataclasses import dataclass, field

from referral_engine.channels.book import Book
from referral_engine.flow.inputs import Settled
from referral_engine.flow.lanes import FALLBACK
from referral_engine.flow.office import Office
from referral_engine.flow.practice import Practice
from referral_engine.journal.rows import EffectRow
from referral_engine.loop.events import Outcome


@dataclass(slots=True, kw_only=True)
class Lines:
    """Answers for every office at once; the engine's own retries decide when it tries again."""

    book: Book
    practice: Practice
    _offices: dict[str, Office] = field(default_factory=dict)  # by channel

    def serves(self, row: EffectRow) -> bool:
        """Whether a sending goes to an office that answers; a file is taken without a word."""
        return self._channel(row) in self.book.channels and self._office(row).serves(row)

    def answer(self, row: EffectRow, now: int) -> Settled | None:
        """What becomes of one attempt."""
        office = self._office(row)
        office.reply(self._word(row), now)
        settled = office.answer(row, now)
        assert settled is not None, "nobody here stays silent"
        if settled.outcome is Outcome.DELIVERED:
            self.practice.arrived(row)
        return settled

    def next_at(self) -> int | None:
        """Nobody is waited for: every attempt is answered at once."""
        return None

    def run_out(self, now: int) -> list[Settled]:  # noqa: ARG002  # as the protocol asks
        """Nothing, for the same reason."""
        return []

    def sent(self, row: EffectRow) -> None:
        """Note what leaves; a file that an office's program picks up is there at once."""
        if self._channel(row) in self.book.channels and not self.serves(row):
            self.practice.arrived(row)
        self.practice.left(row)

    def _word(self, row: EffectRow) -> str:
        line = row.transport == "mllp"
        case = self.practice.case_of(row.referral)
        is_first_way = row.lane in self.book.channels
        busy = case is not None and is_first_way and not case.repaired and row.attempts <= case.fate.busy
        if busy:
            return "refused" if line else "fax busy"
        return "AA" if line else "fax delivered"

    def _channel(self, row: EffectRow) -> str:
        return row.lane.split(FALLBACK, 1)[0]

    def _office(self, row: EffectRow) -> Office:
        name = self._channel(row)
        if name not in self._offices:
            self._offices[name] = Office(channel=self.book.channels[name])
        return self._offices[name]
