"""Commands find their files from the project's folder, as an analyst's do, and no daemon by accident."""

from __future__ import annotations

import pytest

from tests.cli.terminal import NOWHERE, ROOT


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("REFERRAL_ENGINE_SOCKET", NOWHERE)
