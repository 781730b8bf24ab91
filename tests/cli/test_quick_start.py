from __future__ import annotations

import subprocess
import sys

HEAVY = {"twisted", "rich", "structlog", "sqlcipher3", "sqlite_utils", "reportlab", "hl7apy", "re2", "asyncio", "numpy"}


def test_check_loads_nothing_that_only_the_daemon_needs() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import sys, referral_engine.cli.configuration; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = {name.partition(".")[0] for name in told.stdout.split()}
    assert "referral_engine" in loaded
    assert not loaded & HEAVY
