"""A batch through the door, whatever is in it: one message that breaks its handling takes nobody along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from referral_engine.base.errors import JournalError, OutcomeUnknown
from referral_engine.flow.inputs import Arrived, Input, Receipt, SetAside
from referral_engine.service.logs import where


class Step(Protocol):
    """The one door of `flow.step`."""

    def run(self, inputs: Sequence[Input]) -> list[Receipt]:
        """One transaction for the batch; raises JournalError; any other error means that nothing was stored."""
        ...


class Broken(msgspec.Struct, frozen=True, kw_only=True, tag="broken"):
    """One input that broke its handling; its neighbours did not suffer."""

    kind: str  # the error's class name; never its text
    where: str  # "module.py:function:line"
    receipt: Receipt | None = None  # of setting it aside; None when even that failed


def through(step: Step, inputs: Sequence[Input]) -> list[Receipt | Broken]:
    """Run a batch; when one of it breaks, run each alone, so that no neighbour suffers.  Raises JournalError only."""
    try:
        receipts = step.run(inputs)
    except JournalError:
        raise
    except Exception:  # noqa: BLE001  # nothing was stored; who is to blame is found out below
        return [alone(step, given) for given in inputs]
    if len(receipts) != len(inputs):
        raise OutcomeUnknown("the door gave back another number of receipts than it was given inputs")
    return list(receipts)


def alone(step: Step, given: Input) -> Receipt | Broken:
    """Run one input; a message that breaks its handling again is kept, with its bytes, for a person."""
    try:
        return step.run([given])[0]
    except JournalError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, the bytes must be kept
        broken = Broken(kind=type(error).__name__, where=where(error))
    if not isinstance(given, Arrived):
        return broken
    return Broken(kind=broken.kind, where=broken.where, receipt=aside(step, given, broken.kind))


def aside(step: Step, given: Arrived, reason: str) -> Receipt | None:
    """Keep a message without handling it; None when even that breaks.  Raises JournalError."""
    try:
        return step.run([SetAside(arrived=given, reason=reason)])[0]
    except JournalError:
        raise
    except Exception:  # noqa: BLE001  # the first error is the one to look at
        return None
