"""`why` asked of a running daemon over its control socket."""

from __future__ import annotations

from itertools import count

from tests.e2e.support import Site, an_order, eventually

_numbers = count(1)


def test_a_running_daemon_tells_the_arithmetic_of_a_clock(live: Site) -> None:
    number = f"W{next(_numbers):04d}"
    assert live.send(an_order(number)) == ["AA"]
    eventually(lambda: live.ask_json("why", f"P-{number}", "open-30")["lives"], "the clock runs")

    told = live.ask_json("why", f"P-{number}", "open-30")
    (due,) = [one["due_at"] for one in live.ask_json("show", f"P-{number}")["deadlines"] if one["kind"] == "open-30"]
    assert [(life["state"], life["due"]["at"], life["as_recorded"]) for life in told["lives"]] == [
        ("pending", due, True)
    ]
    assert "due at" in live.ask("why", f"P-{number}", "open-30").out

    slip = live.ask("why", f"P-{number}", "open-3")
    assert (slip.exit_status, "did you mean open-30" in slip.err) == (1, True)
