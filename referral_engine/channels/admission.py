"""May this be said here, and by whom: a book, a header and the peer in; the sender, or why it is refused, out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from referral_engine.base.errors import MessageFault
from referral_engine.channels.book import Book
from referral_engine.channels.engine import Identity
from referral_engine.channels.parties import Caller, Party, impostor, partners_of, party_for
from referral_engine.channels.partner import ANYONE, Partner
from referral_engine.channels.peers import narrowest, shows
from referral_engine.hl7.message import Header

# Table 0357, ERR-3.
UNSUPPORTED_TYPE: Final = "200"
UNSUPPORTED_EVENT: Final = "201"
UNSUPPORTED_PROCESSING_ID: Final = "202"
UNSUPPORTED_VERSION: Final = "203"
NOT_ALLOWED: Final = "207"

_ANY_TRIGGER: Final = "*"
_MISPLACED: Final = {
    "address": "this sender does not call from its own address",
    "certificate": "this sender did not show its own certificate",
    "port": "this sender does not belong to this port",
    "": "this sender is not allowed here",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a message may do before anything but its header is looked at."""

    party: Party | None  # None: nobody we know, or somebody in a wrong place
    partner: Partner = ANYONE  # of the party; of nobody, the one that restricts nothing
    fault: MessageFault | None = None  # None: the message may be read
    code: Literal["AR", "AE", ""] = ""  # what its sender hears; "" without a fault
    security: bool = False  # somebody says what is not theirs to say: an event of its own in the audit


def admit(
    book: Book, header: Header, *, peer: str, listener: str = "", certificates: tuple[str, ...] = ()
) -> Admission:
    """Whether a message may be read; certificate, address, MSH-3 to MSH-6 and type have to hold together.

    peer: the socket's address. listener: its name; "" is none that restricts anybody.
    certificates: the identities of the peer's certificate, as "DNS:gw.heart.example".
    The answer depends on the arguments and, of the header, on MSH-3 to MSH-6, MSH-9, MSH-11 and MSH-12 only.
    Source: PROMISES, rules 3 and 5 of the edge; table 0357.
    """
    if _is_ours(book.engine.identity, header):
        return _stranger("our own message came back: a loop")
    caller = Caller(peer=peer, listener=listener, certificates=certificates)
    party = party_for(book, header, caller)
    if party is None:
        return _stranger(_MISPLACED[impostor(book, header, caller)])
    partner = book.partner_of(party.feed)
    fault = _fault(book, partner, header)
    return Admission(party=party, partner=partner, fault=fault, code="AR" if fault else "")


def partner_of_connection(book: Book, *, listener: str, peer: str, certificates: tuple[str, ...] = ()) -> Partner:
    """The one partner whose certificate and addresses name this peer, for framing and limits before any message.

    A certificate says more than an address, and a narrow network more than a wide one; where two partners fit
    equally well, or none does, it is the one that restricts nothing. A port of only one partner is that partner's.
    """
    allowed = partners_of(book, listener)
    ranked = [(_closeness(one, peer, certificates), one) for one in book.partners.values()]
    near = [(rank, one) for rank, one in ranked if rank is not None and (not allowed or one.name in allowed)]
    if len(allowed) == 1:
        return next((one for _, one in near), ANYONE)
    named = [(rank, one) for rank, one in near if one.certificates or one.addresses]
    best = max((rank for rank, _ in named), default=None)
    nearest = [one for rank, one in named if rank == best]
    return nearest[0] if len(nearest) == 1 else ANYONE


def _closeness(partner: Partner, peer: str, certificates: tuple[str, ...]) -> tuple[bool, int] | None:
    """How closely a partner describes a peer; None when the peer is somebody else."""
    bits = narrowest(peer, partner.addresses)
    if partner.addresses and bits < 0:
        return None
    if partner.certificates and not shows(certificates, partner.certificates):
        return None
    return bool(partner.certificates), bits


def _is_ours(identity: Identity, header: Header) -> bool:
    """Whether MSH-3 and MSH-4 are our own, however a relay spelt them."""
    sender = (header.sending_application.strip().casefold(), header.sending_facility.strip().casefold())
    if identity.oid and sender == ("", identity.oid):  # as 360X has it
        return True
    return sender == (identity.application.casefold(), identity.facility.casefold())


def _fault(book: Book, partner: Partner, header: Header) -> MessageFault | None:
    """What this sender may not say here."""
    engine = book.engine
    if partner.receiving_applications and header.receiving_application not in partner.receiving_applications:
        return _fault_at(NOT_ALLOWED, "MSH-5", "this message is for another application")
    if partner.receiving_facilities and header.receiving_facility not in partner.receiving_facilities:
        return _fault_at(NOT_ALLOWED, "MSH-6", "this message is for another facility")
    unsupported = _unsupported(partner.message_types, header)
    if unsupported is not None:
        return unsupported
    if header.processing_id not in engine.processing_ids:
        return _fault_at(UNSUPPORTED_PROCESSING_ID, "MSH-11", "this processing id is not accepted here")
    if header.version and not header.version.startswith(engine.versions):
        return _fault_at(UNSUPPORTED_VERSION, "MSH-12", "this version is not accepted here")
    return None


def _unsupported(types: tuple[str, ...], header: Header) -> MessageFault | None:
    """A message type that the partner does not list; "SIU^*" lists every trigger."""
    split = [one.partition("^") for one in types]
    triggers = [trigger for code, _, trigger in split if code == header.message_code]
    if not types or _ANY_TRIGGER in triggers or header.trigger in triggers:
        return None
    if triggers:
        return _fault_at(UNSUPPORTED_EVENT, "MSH-9.2", "this trigger event is not accepted from this sender")
    return _fault_at(UNSUPPORTED_TYPE, "MSH-9.1", "this message type is not accepted from this sender")


def _fault_at(code: str, path: str, sentence: str) -> MessageFault:
    return MessageFault(code, path, sentence, reject=True)


def _stranger(sentence: str) -> Admission:
    """Somebody says what is not theirs to say: no party, so that the true sender's message is never taken for it."""
    return Admission(party=None, fault=_fault_at(NOT_ALLOWED, "MSH-3", sentence), code="AR", security=True)
