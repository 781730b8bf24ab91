"""Identifiers and Phi: check digits, our own numbers, and a patient's value that never shows."""

from __future__ import annotations

import traceback

import hypothesis.strategies as st
import pytest
from hypothesis import given

from referral_engine.base.ident import CONTROL_ID_MAX, Phi, base32, control_id, is_npi, npi_check_digit, referral_id
from referral_engine.base.values import replace
from tests.builders import a_patient, a_referral

CANARY = "Canary-Fenwick"
nines = st.text(alphabet="0123456789", min_size=9, max_size=9)


# ------------------------------------------------------------------------------------------------ NPI


@pytest.mark.parametrize("npi", ["1234567893", "1245319599", "1003000126"])
def test_a_published_npi_has_a_right_check_digit(npi: str) -> None:
    assert is_npi(npi)


@pytest.mark.parametrize(
    "text",
    ["1234567890", "123456789", "12345678931", "", "123456789X", " 123456789", "\u0661234567893", "1234567893 "],
    ids=["check digit", "short", "long", "empty", "letter", "blank", "another script", "trailing blank"],
)
def test_what_is_no_npi_is_refused(text: str) -> None:
    assert not is_npi(text)


@given(nines)
def test_exactly_one_check_digit_fits(first_nine: str) -> None:
    assert [digit for digit in range(10) if is_npi(f"{first_nine}{digit}")] == [npi_check_digit(first_nine)]


@given(nines, st.integers(0, 9), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(first_nine: str, position: int, by: int) -> None:
    npi = f"{first_nine}{npi_check_digit(first_nine)}"
    wrong = str((int(npi[position]) + by) % 10)

    assert not is_npi(npi[:position] + wrong + npi[position + 1 :])


# ------------------------------------------------------------------------------------------------ our own numbers


def test_base_32_has_no_letter_that_is_misheard() -> None:
    assert [base32(number) for number in (0, 9, 10, 31, 32, 1023)] == ["0", "9", "A", "Z", "10", "ZZ"]
    assert not set("".join(base32(number) for number in range(32))) & set("ILOU")


@given(st.integers(0, 2**64), st.integers(0, 14))
def test_base_32_is_padded_and_orders_like_the_number(number: int, width: int) -> None:
    assert len(base32(number, width)) >= width
    assert base32(number, 14) < base32(number + 1, 14)


def test_a_referrals_number_is_the_node_and_the_sequence() -> None:
    assert referral_id("A", 1) == "A-0001"
    assert referral_id("RIV", 32**4) == "RIV-10000"


@given(st.integers(0, 2**40 - 1), st.integers(0, 1023))
def test_a_control_id_fits_msh_10_and_says_which_event_made_it(sequence: int, ordinal: int) -> None:
    made = control_id("RIVER1", sequence, ordinal)

    assert len(made) <= CONTROL_ID_MAX
    assert made == "RIVER1" + base32(sequence, 8) + base32(ordinal, 2)


def test_a_control_id_too_long_for_msh_10_is_our_bug() -> None:
    with pytest.raises(AssertionError):
        control_id("ELEVENCHARS", 1, 0)


# ------------------------------------------------------------------------------------------------ Phi


@pytest.mark.parametrize(
    "shown",
    [
        str(Phi(CANARY)),
        repr(Phi(CANARY)),
        f"{Phi(CANARY)}",
        f"{Phi(CANARY)!r}",
        "{}".format(Phi(CANARY)),  # noqa: UP032  # this way too
        "%s %r" % (Phi(CANARY), Phi(CANARY)),  # noqa: UP031  # and this
        repr([Phi(CANARY)]),
        repr({Phi(CANARY): Phi(CANARY)}),
        repr(a_patient(family=CANARY)),
        str(a_referral(patient=a_patient(family=CANARY, given=CANARY, phone=CANARY, born_on=CANARY, sex=CANARY))),
    ],
)
def test_a_patients_value_never_shows(shown: str) -> None:
    assert CANARY not in shown
    assert "<phi>" in shown


def test_a_format_that_asks_for_more_is_refused_without_the_value() -> None:
    with pytest.raises(TypeError) as refused:
        format(Phi(CANARY), ">20")

    assert CANARY not in str(refused.value)


def test_a_patients_value_never_shows_in_an_exception() -> None:
    secret = Phi(CANARY)
    attempts = [
        lambda: {}[secret],
        lambda: [].remove(secret),
        lambda: int(secret),  # type: ignore[call-overload]  # what a slip would do
        lambda: secret + "x",  # type: ignore[operator]  # the same
        lambda: secret.other,  # type: ignore[attr-defined]  # the same
        lambda: _raise(ValueError(secret)),
        lambda: replace(a_patient(family=CANARY), unknown=1),  # type: ignore[call-arg]  # the same
    ]
    for attempt in attempts:
        try:
            attempt()
        except Exception:  # noqa: BLE001  # whatever it is, it must not tell
            assert CANARY not in traceback.format_exc()
        else:
            pytest.fail("it should have raised")


def _raise(error: Exception) -> None:
    raise error


def test_a_patients_value_is_read_by_its_own_name_only() -> None:
    assert Phi(CANARY).reveal() == CANARY
    assert not hasattr(Phi(CANARY), "__dict__")


def test_values_are_equal_when_what_is_within_is() -> None:
    assert Phi("a") == Phi("a")
    assert Phi("a") != Phi("b")
    assert Phi("a") != "a"
    assert len({Phi("a"), Phi("a"), Phi("b")}) == 2


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ("Testing", "TESTING ", True),
        ("Straße", "STRASSE", True),
        ("Testing", "Testling", False),
        ("", "", False),
        ("Testing", "", False),
        ("", "Testing", False),
        (" ", " ", True),
    ],
)
def test_two_values_agree_when_both_are_known_and_alike(one: str, other: str, agree: bool) -> None:
    assert Phi(one).agrees(Phi(other)) is agree


def test_an_empty_value_is_no_value() -> None:
    assert not Phi("")
    assert Phi("x")
