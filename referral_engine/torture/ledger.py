"""The ledger of everybody outside the engine: what each sender sent and was told, and what each receiver got."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from referral_engine.torture.wire import ACCEPTED, answer_code, control_id

SHOWN_MAX: Final = 20  # of each kind of finding; the count says how many there are


@dataclass(slots=True, kw_only=True, eq=False)
class Sent:
    """One message of ours, and the first answer to it."""

    identity: bytes  # MSH-10
    message: bytes
    order: int = -1  # the number of the order it is; -1 when it is none
    answer: bytes = b""  # the first answer that came back whole
    answers: int = 0
    sendings: int = 0

    @property
    def told(self) -> bool:
        """Whether its sender was told that it is kept: AA or CA."""
        return answer_code(self.answer) in ACCEPTED


@dataclass(slots=True)
class Ledger:
    """What is known without asking the engine."""

    sent: dict[bytes, Sent] = field(default_factory=dict)  # by MSH-10
    # receiver, MSH-10, SHA-256 of the frame: how often it came
    received: dict[str, dict[bytes, Counter[bytes]]] = field(default_factory=lambda: defaultdict(dict))
    faults: Counter[str] = field(default_factory=Counter)  # injected, by name
    notes: list[str] = field(default_factory=list)  # what was left out, and why
    changed_answers: list[bytes] = field(default_factory=list)  # MSH-10 whose second answer was another one
    refused: list[bytes] = field(default_factory=list)  # MSH-10 that was answered with a NAK
    out_of_order: list[bytes] = field(default_factory=list)  # answered before its elders on the same connection
    stray_answers: int = 0  # to something nobody asked on that connection
    exits: list[str] = field(default_factory=list)  # ends of the daemon that nobody asked for
    slowest_answer_seconds: float = 0.0
    slowest_start_seconds: float = 0.0

    def send(self, message: bytes, *, order: int = -1) -> Sent:
        """A new message, before its first byte leaves."""
        one = Sent(identity=control_id(message), message=message, order=order)
        assert one.identity not in self.sent, "each message has a control id of its own"
        self.sent[one.identity] = one
        return one

    def hear(self, one: Sent, answer: bytes) -> None:
        """A whole answer to a message came back."""
        one.answers += 1
        if one.answers == 1:
            one.answer = answer
            if not one.told:
                self.refused.append(one.identity)
        elif answer != one.answer:
            self.changed_answers.append(one.identity)

    def receive(self, receiver: str, frame: bytes) -> None:
        """A receiver got a whole frame."""
        frames = self.received[receiver].setdefault(control_id(frame), Counter())
        frames[fingerprint(frame)] += 1

    @property
    def told(self) -> int:
        """How many messages were acknowledged."""
        return sum(one.told for one in self.sent.values())


def fingerprint(message: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(message).digest()
