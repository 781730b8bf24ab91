"""What is stored comes back, patient values included, and is not shown on the way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_engine.base.errors import JournalError
from referral_engine.base.ident import Phi
from referral_engine.journal.codec import decode_event, decode_referral, encode_event, encode_referral
from referral_engine.loop import referral as loop_referral
from referral_engine.loop.events import Event
from referral_engine.loop.referral import Referral
from tests.journal.made import CANARY, a_referral

st.register_type_strategy(Phi, st.text(max_size=8).map(Phi))
st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))


def any_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Values of a struct, every field drawn."""
    return st.builds(kind, **{one.name: st.from_type(one.type) for one in msgspec.structs.fields(kind)})


for one in vars(loop_referral).values():
    if isinstance(one, type) and issubclass(one, msgspec.Struct) and one is not msgspec.Struct:
        st.register_type_strategy(one, any_of)


@settings(max_examples=40)
@given(st.data())
def test_any_referral_comes_back_as_it_was(data: st.DataObject) -> None:
    referral = data.draw(any_of(Referral))

    assert decode_referral(encode_referral(referral)) == referral


@given(st.sampled_from(get_args(Event)), st.data())
def test_any_event_comes_back_as_it_was(kind: type[Any], data: st.DataObject) -> None:
    event = data.draw(any_of(kind))

    assert decode_event(kind.__name__, encode_event(event)) == event


def test_a_patient_comes_back_wrapped() -> None:
    again = decode_referral(encode_referral(a_referral()))

    assert CANARY.encode() in encode_referral(a_referral())
    assert again.patient.family == Phi(CANARY)
    assert CANARY not in repr(again)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"id": 1}', b"QUETZALCOATLUS"])
def test_bytes_that_are_no_referral_are_a_journal_error_that_shows_nothing(body: bytes) -> None:
    with pytest.raises(JournalError) as caught:
        decode_referral(body)

    assert CANARY not in str(caught.value)


def test_an_event_of_an_unknown_kind_is_a_journal_error() -> None:
    with pytest.raises(JournalError, match="kind Exploded"):
        decode_event("Exploded", b"{}")
