"""The five errors: each carries what the one who must act needs, and nothing of a patient."""

from __future__ import annotations

from referral_engine.base.errors import (
    ConfigError,
    JournalError,
    MessageFault,
    OutcomeUnknown,
    Problem,
    ReferralEngineError,
    WireError,
)


def test_every_error_that_may_cross_a_floor_has_one_root() -> None:
    for kind in (WireError, MessageFault, ConfigError, JournalError, OutcomeUnknown):
        assert issubclass(kind, ReferralEngineError)


def test_a_wire_error_counts_under_a_fixed_word() -> None:
    error = WireError("frame-too-long", "The frame is longer than 16 MiB.")

    assert (error.reason, str(error)) == ("frame-too-long", "The frame is longer than 16 MiB.")


def test_a_message_fault_says_where_and_asks_for_ae_unless_told_otherwise() -> None:
    fault = MessageFault("102", "PID-7", "not a date")

    assert (fault.code, fault.path, fault.reject, str(fault)) == ("102", "PID-7", False, "PID-7: not a date")
    assert str(MessageFault("100", "", "no header", reject=True)) == "no header"


def test_a_configuration_error_carries_every_problem() -> None:
    problems = [Problem(file="a.toml", line=n, column=1, code="CH103", sentence="no") for n in (1, 2)]

    assert ConfigError(problems).problems == tuple(problems)


def test_a_failed_commit_is_a_journal_error_that_does_not_say_not_stored() -> None:
    assert issubclass(OutcomeUnknown, JournalError)
