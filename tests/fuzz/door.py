"""The door against any frame while referrals are open: an answer or a reason for silence, and books that hold."""

from __future__ import annotations

from referral_engine.flow.inputs import Arrived
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import Disposition
from tests.flow.stage import BOOKING, ORDER, engine, sample

INPUTS_MAX = 2_000  # of one journal; then a fresh one, so that a long run stays small

_open: list[Rehearsal] = []
_told: list[int] = []


def target(raw: bytes) -> None:
    """Two bytes are not used, the rest is a frame's content."""
    if len(_told) >= INPUTS_MAX:
        _open.pop().close()
        _told.clear()
    if not _open:
        _open.append(engine())
        for known in (ORDER, BOOKING, "orm-o01-orthopaedics.hl7", "orm-o01-imaging-mri.hl7"):
            _open[0].receive(sample(known))
    stage = _open[0]
    receipt = stage.step.run([Arrived(raw=raw[2:], peer="127.0.0.1")])[0]
    _told.append(receipt.sequence)
    row = stage.journal.read().message(receipt.sequence)
    assert row is not None, "what came is kept"
    assert row.answer or row.reason, "an answer, or a reason for silence"
    assert row.disposition is not Disposition.PENDING, "nothing was set aside that it could wait for"
    if len(_told) % 100 == 0:
        assert stage.journal.read().conservation().holds
