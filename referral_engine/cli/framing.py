"""A file with messages: framed as on the wire, or bare as people keep them."""

from __future__ import annotations

from dataclasses import dataclass

from referral_engine.base.errors import MessageFault, WireError
from referral_engine.hl7.batch import split_batch
from referral_engine.hl7.mllp import FRAME_BYTES_MAX, Deframer


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """What the wire's own rules say of a file."""

    sentence: str
    framed: bool
    messages: tuple[bytes, ...]


def framing_of(raw: bytes, bytes_max: int = FRAME_BYTES_MAX) -> Framing:
    """The messages in a file: framed as on the wire, or bare as people keep them.

    bytes_max: what a listener takes in one frame. A longer message is counted, and is not among the messages.
    """
    if not raw.strip():
        return Framing(sentence="there is nothing in it", framed=False, messages=())
    if b"\x0b" not in raw[:1024]:
        try:
            messages = tuple(split_batch(raw)) or (raw,)
        except MessageFault:
            messages = (raw,)
        fit = tuple(one for one in messages if len(one) <= bytes_max)
        long = len(messages) - len(fit)
        more = (
            f"; {long} of them longer than the {bytes_max:,} bytes a listener takes (frame_bytes_max)" if long else ""
        )
        return Framing(sentence=f"no MLLP frame, {_counted(messages)}{more}", framed=False, messages=fit)
    deframer = Deframer(frame_bytes_max=bytes_max)
    try:
        frames = [frame for frame in deframer.feed(raw) if frame]
    except WireError as error:
        return Framing(sentence=f"broken framing: {error}", framed=True, messages=())
    odd = [
        text
        for text, number in (
            (f"{deframer.junk_bytes} bytes outside frames", deframer.junk_bytes),
            (f"{deframer.missing_crs} frames end without CR", deframer.missing_crs),
            ("frames are wrapped twice", deframer.doubled_starts),
            (f"{deframer.remnants} frames break off", deframer.remnants),
        )
        if number
    ]
    if deframer.error is not None:
        odd.append(f"broken: {deframer.error}")
    elif deframer.inside:
        odd.append("the last frame does not end")
    sentence = f"MLLP, {_counted(frames)}" + (f"; {', '.join(odd)}" if odd else "")
    return Framing(sentence=sentence, framed=True, messages=tuple(frames))


def _counted(messages: tuple[bytes, ...] | list[bytes]) -> str:
    return "1 message" if len(messages) == 1 else f"{len(messages)} messages"
