"""The package keeps the rules of the house, and every rule finds what it is there to find."""

from __future__ import annotations

from functools import cache

import pytest

from tests.house import rules
from tests.house.tree import modules, sample

# rule, where, what breaks it there; and, where the place matters, a place where the same is right.
BROKEN: tuple[tuple[rules.Rule, str, str, str | None], ...] = (
    (rules.too_long, "loop/example.py", "x = 1\n" * 401, None),
    (rules.too_long, "loop/example.py", "def f() -> None:\n" + "    g()\n" * 60, None),
    (rules.vague_name, "loop/example.py", "class FrameHandler: ...", None),
    (rules.vague_name, "loop/example.py", "def load_data(): ...", None),
    (rules.vague_name, "loop/example.py", "def do_it(): ...", None),
    (rules.vague_name, "service/utils.py", "", None),
    (rules.vague_name, "helpers/dates.py", "", None),
    (rules.clock_read, "flow/step.py", "import datetime\nnow = datetime.datetime.now(tz)", "service/clock.py"),
    (rules.clock_read, "flow/step.py", "from datetime import datetime\nnow = datetime.utcnow", "service/clock.py"),
    (rules.clock_read, "flow/step.py", "from datetime import date\nday = date.today()", "service/clock.py"),
    (rules.clock_read, "service/web.py", "from time import monotonic as now", "service/clock.py"),
    (rules.clock_read, "transports/fax.py", "import time\nat = time.time()", "service/clock.py"),
    (rules.clock_read, "journal/outbox.py", "from uuid import uuid4", "service/clock.py"),
    (rules.patient_revealed, "transports/fax.py", "name = patient.name.reveal()", "render/fax.py"),
    (rules.patient_revealed, "service/logs.py", "name = patient.name.reveal", "service/web_pages.py"),
    (rules.patient_revealed, "journal/outbox.py", "name = patient.name.reveal()", "journal/codec.py"),
    (rules.sql_outside_the_journal, "service/web.py", "Q = 'SELECT id\\nFROM referral'", "journal/reads.py"),
    (rules.sql_outside_the_journal, "flow/step.py", "Q = f'UPDATE outbox SET {x} = 1'", "journal/outbox.py"),
    (rules.sql_outside_the_journal, "cli/main.py", "Q = 'INSERT OR IGNORE INTO t'", "measures/counts.py"),
    (rules.printed, "service/logs.py", "print('ready')", "cli/main.py"),
    (rules.caught_all, "flow/step.py", "try: f()\nexcept Exception: g()", "service/listener.py"),
    (rules.caught_all, "loop/rules.py", "try: f()\nexcept (OSError, BaseException): g()", "transports/courier.py"),
    (rules.caught_all, "service/listener.py", "try: f()\nexcept: g()", None),
    (rules.logged_low, "flow/step.py", "import structlog", "service/logs.py"),
    (rules.logged_low, "journal/journal.py", "from logging import getLogger", "cli/main.py"),
    (rules.log_made_of_values, "service/listener.py", "log.info(f'from {peer}')", None),
    (rules.log_made_of_values, "service/listener.py", "self._log.error('from ' + peer)", None),
    (rules.log_made_of_values, "service/listener.py", "logger.warning('%s' % peer)", None),
    (rules.word_of_another_floor, "hl7/message.py", "# a Referral starts here", "loop/rules.py"),
    (rules.word_of_another_floor, "loop/rules.py", "segments = ()", "hl7/message.py"),
    (rules.silenced_without_a_reason, "loop/rules.py", "x = f()  # noqa: BLE001", None),
    (rules.silenced_without_a_reason, "loop/rules.py", "x = f()  # noqa", None),
    (rules.silenced_without_a_reason, "loop/rules.py", "x = f()  # type: ignore  # because", None),
    (rules.code_from_text, "channels/read.py", "eval(text)", None),
)
RULES = sorted({rule for rule, *_ in BROKEN}, key=lambda rule: rule.__name__)


@cache
def _found() -> dict[str, list[str]]:
    """What every rule finds, by its name: each module is parsed once for all of them."""
    found: dict[str, list[str]] = {rule.__name__: [] for rule in RULES}
    for module in modules():
        for rule in RULES:
            found[rule.__name__] += rule(module)
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: rules.Rule) -> None:
    found = _found()[rule.__name__]

    assert not found, f"{rule.__doc__}\n  " + "\n  ".join(found)


@pytest.mark.parametrize(("rule", "path", "source", "right_place"), BROKEN)
def test_the_rule_finds_what_breaks_it(rule: rules.Rule, path: str, source: str, right_place: str | None) -> None:
    assert rule(sample(source, path))
    if right_place is not None:
        assert not rule(sample(source, right_place))


def test_the_rules_leave_ordinary_code_alone() -> None:
    ordinary = sample(
        "from referral_engine.base.clock import Clock\n"
        "def dataReceived(data): ...\n"
        "def late(clock: Clock) -> bool:\n"
        "    '''SELECT what is late FROM what is open; print nothing.'''\n"
        "    return clock.now() > datetime.fromtimestamp(0, UTC) + info['select a time from the list']\n"
        "x = f()  # type: ignore[misc]  # noqa: PLR2004, S101  # Luhn doubles\n"
        "try: late(clock)\n"
        "except ValueError: log.info('too late', peer=peer)\n",
        "service/example.py",
    )

    assert [sentence for rule in RULES for sentence in rule(ordinary)] == []


def test_every_rule_is_applied() -> None:
    written = {name for name, value in vars(rules).items() if getattr(value, "__annotations__", {}).get("module")}

    assert written == {rule.__name__ for rule in RULES}
