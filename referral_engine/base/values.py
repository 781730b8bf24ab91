"""How a frozen value is changed: a new one with some fields different; for structs and dataclasses alike."""

from __future__ import annotations

from dataclasses import replace as replace_dataclass
from typing import Any, TypeVar, cast

import msgspec

T = TypeVar("T")


def replace(value: T, **changes: Any) -> T:  # a field may be anything; its class checks the names
    """`value` with these fields changed.  Raises TypeError when it has no field of such a name."""
    if isinstance(value, msgspec.Struct):
        return cast("T", msgspec.structs.replace(value, **changes))
    return cast("T", replace_dataclass(cast("Any", value), **changes))
