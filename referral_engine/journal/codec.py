"""Referrals, events and decisions as JSON bytes; the one place of the journal that unwraps a patient's value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from referral_engine.base.errors import JournalError
from referral_engine.base.ident import Phi
from referral_engine.loop.events import Event
from referral_engine.loop.matching import Evidence, Weighed
from referral_engine.loop.referral import Identifier, Patient, PatientId, Referral


def _unwrap(value: object) -> object:
    """What JSON holds of a value it does not know: only Phi."""
    assert isinstance(value, Phi), f"{type(value).__name__} cannot be stored"
    return value.reveal()


def _wrap(kind: type, value: Any) -> object:
    """The value that `_unwrap` came from."""
    assert getattr(kind, "__origin__", kind) is Phi, f"{kind} cannot be read"
    return Phi(value)


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_unwrap)
_REFERRAL: Final = msgspec.json.Decoder(Referral, dec_hook=_wrap)
_EVENTS: Final[Mapping[str, msgspec.json.Decoder[Any]]] = {
    kind.__name__: msgspec.json.Decoder(kind, dec_hook=_wrap) for kind in get_args(Event)
}
_DECISION: Final = msgspec.json.Decoder(tuple[Evidence, tuple[Weighed, ...]], dec_hook=_wrap)

encode_referral = _ENCODER.encode
encode_event = _ENCODER.encode


def decode_referral(body: bytes) -> Referral:
    """The referral that `encode_referral` wrote.  Raises JournalError when the bytes are none."""
    try:
        return _REFERRAL.decode(body)
    except msgspec.MsgspecError as error:
        raise JournalError("A stored referral cannot be read.") from error


def decode_event(kind: str, body: bytes) -> Event:
    """The event that `encode_event` wrote; kind is its class's name."""
    try:
        event: Event = _EVENTS[kind].decode(body)
    except (KeyError, msgspec.MsgspecError) as error:
        raise JournalError(f"A stored event of the kind {kind} cannot be read.") from error
    return event


def encode_decision(evidence: Evidence, weighed: tuple[Weighed, ...]) -> bytes:
    """What a decision was made from: [evidence, [candidate, ...]], the candidates best first."""
    return _ENCODER.encode((evidence, weighed))


def decode_decision(body: bytes) -> tuple[Evidence, tuple[Weighed, ...]]:
    """The evidence and the candidates that `encode_decision` wrote.  Raises JournalError when the bytes are none."""
    try:
        return _DECISION.decode(body)
    except msgspec.MsgspecError as error:
        raise JournalError("A stored decision cannot be read.") from error


def without_patient(body: bytes) -> bytes:
    """A decision's body of which only what kind of thing it was about is left, and where each thing was found."""
    evidence, _ = decode_decision(body)
    kept = Evidence(
        about=evidence.about, patient=Patient(), document_kind=evidence.document_kind, fields=evidence.fields
    )
    return encode_decision(kept, ())


def plain(value: str | Phi[str]) -> str:
    """The text to look up or to index."""
    return value.reveal() if isinstance(value, Phi) else value


def number_of(identifier: Identifier | PatientId) -> tuple[str, str]:
    """Value and authority of a number, a patient's or another's."""
    return plain(identifier.value), identifier.authority
