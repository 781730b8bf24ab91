from __future__ import annotations

import sys
from types import ModuleType

import pytest

from referral_engine.journal import lean


def test_what_is_heavy_cannot_be_imported_meanwhile_and_is_afterwards_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numpy = ModuleType("numpy")
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    monkeypatch.delitem(sys.modules, "pandas", raising=False)

    there = lean._hide()

    with pytest.raises(ImportError):
        import numpy as np  # noqa: F401  # it must not be found
    lean._show(there)
    assert sys.modules["numpy"] is numpy
    assert "pandas" not in sys.modules
    assert lean.sqlite_utils.Migrations is not None
