"""sqlite-utils without numpy and pandas, which it takes along where they are installed: no row of ours holds such."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Final

__all__ = ["sqlite_utils"]

_HEAVY: Final = ("numpy", "pandas")  # a third of a second of every start; `simulate --plot` brings the first


def _hide() -> dict[str, ModuleType]:
    """Make importing them fail; what is imported already stays and is returned by name."""
    there: dict[str, ModuleType] = {name: sys.modules[name] for name in _HEAVY if name in sys.modules}
    sys.modules.update(dict.fromkeys(_HEAVY))  # type: ignore[arg-type]  # None is Python's own word for "not to be had"
    return there


def _show(there: dict[str, ModuleType]) -> None:
    """Let them be imported again."""
    for name in _HEAVY:
        del sys.modules[name]
    sys.modules.update(there)


_there = _hide()
try:
    import sqlite_utils
finally:
    _show(_there)
