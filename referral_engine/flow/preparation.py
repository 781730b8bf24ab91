"""A batch's messages before any is handled: parsed, their senders known, their numbers looked at in one go."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.channels.admission import Admission, admit
from referral_engine.flow.inputs import Arrived, Input
from referral_engine.flow.turn import Turn
from referral_engine.hl7.batch import is_plain, split_batch
from referral_engine.hl7.message import Header, Message
from referral_engine.intake.interest import ABOUT_KNOWN_ONLY, ABOUT_NUMBERS, Number, numbers_of
from referral_engine.journal.rows import MessageKey

UNKNOWN_SENDER: Final = "?"  # the partner of messages nobody was allowed to send
ADMISSIONS_MAX: Final = 4096  # remembered; stops made-up senders from filling memory


class Prepared:
    """One message and what its header says, or why there is none; the bytes are still all there is to keep.

    parts: the messages of a frame that holds several; then the rest says nothing.
    numbers: of a message that concerns nobody but through them; () when it has to be read whole.
    """

    __slots__ = ("admission", "arrived", "fault", "key", "message", "numbers", "parts")

    def __init__(self, arrived: Arrived) -> None:
        self.arrived = arrived
        self.message: Message | None = None
        self.fault: MessageFault | None = None
        self.admission: Admission | None = None
        self.key: MessageKey | None = None
        self.numbers: tuple[Number, ...] = ()
        self.parts: list[Prepared] | None = None


def prepare(turn: Turn, inputs: Sequence[Input]) -> list[Input | Prepared]:
    """The inputs of a batch in order, messages prepared; the journal is asked once for what all of them need."""
    ready: list[Input | Prepared] = [prepare_one(turn, one) if isinstance(one, Arrived) else one for one in inputs]
    keys: list[MessageKey] = []
    numbers: dict[Number, None] = {}
    for one in ready:
        if isinstance(one, Prepared):
            for part in one.parts or (one,):
                if part.key is not None:
                    keys.append(part.key)
                    numbers.update(dict.fromkeys(part.numbers))
    if keys:
        turn.unit.look_ahead(keys, numbers)
    return ready


def prepare_one(turn: Turn, arrived: Arrived) -> Prepared:
    """Parse one frame's content and see who sent it; nothing is written."""
    if is_plain(arrived.raw):
        return _prepare(turn, arrived)
    made = Prepared(arrived)
    try:
        pieces = split_batch(arrived.raw)
    except MessageFault as fault:
        made.fault = fault
        return made
    if not pieces:
        made.fault = MessageFault("102", "", "a batch without a message")
    elif pieces == [arrived.raw]:
        return _prepare(turn, arrived)
    else:
        made.parts = [
            _prepare(
                turn,
                Arrived(raw=piece, peer=arrived.peer, listener=arrived.listener, certificates=arrived.certificates),
            )
            for piece in pieces
        ]
    return made


def _prepare(turn: Turn, arrived: Arrived) -> Prepared:
    made = Prepared(arrived)
    try:
        message = made.message = Message.parse(arrived.raw)
    except MessageFault as fault:
        made.fault = fault
        return made
    header = message.header
    admission = made.admission = _admission(turn, arrived, header)
    party = admission.party
    if not header.declared_charset and party is not None and not arrived.raw.isascii():
        charset = admission.partner.charset or party.feed.charset
        message = made.message = Message.parse(arrived.raw, charset=charset)
    made.key = MessageKey(
        partner=party.name if party else UNKNOWN_SENDER,
        sending_application=header.sending_application,
        sending_facility=header.sending_facility,
        control_id=header.control_id_bytes,
        sha256=hashlib.sha256(arrived.raw).digest(),
    )
    code = header.message_code
    if code in ABOUT_KNOWN_ONLY and not (code == "ADT" and header.trigger in ABOUT_NUMBERS):
        made.numbers = numbers_of(message, party.feed if party else None)
    return made


def _admission(turn: Turn, arrived: Arrived, header: Header) -> Admission:
    """`admit`, remembered: it depends on few things, and a sender says the same ones in every message."""
    names = header.raw_fields
    place = (
        names[1:6], header.message_code, header.trigger, header.processing_id, header.version,
        arrived.peer, arrived.listener, arrived.certificates,
    )  # fmt: skip
    known = turn.admissions.get(place)
    if known is None:
        if len(turn.admissions) >= ADMISSIONS_MAX:
            turn.admissions.clear()
        known = turn.admissions[place] = admit(
            turn.book, header, peer=arrived.peer, listener=arrived.listener, certificates=arrived.certificates
        )
    return known
