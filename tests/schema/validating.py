"""As much of JSON Schema as the schemas of this project use; a word it does not know is an error of the test."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

KINDS: Mapping[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float), "null": type(None),
}  # fmt: skip
SAID = frozenset({"$schema", "$defs", "title", "description", "default", "format"})  # that refuse nothing here


def faults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """Every sentence about a value that a schema refuses."""
    for word, wanted in schema.items():
        if word in SAID:
            continue
        yield from _CHECKS[word](value, wanted, schema, root, place)


def _ref(value: Any, wanted: str, _: Any, root: Mapping[str, Any], place: str) -> Iterator[str]:
    target: Any = root
    for part in wanted.removeprefix("#/").split("/"):
        target = target[part]
    yield from faults(value, target, root, place)


def _type(value: Any, wanted: str, *more: Any) -> Iterator[str]:
    wrong = not isinstance(value, KINDS[wanted]) or (isinstance(value, bool) and wanted != "boolean")
    if wrong:
        yield f"{more[-1]}: {value!r} is no {wanted}"


def _enum(value: Any, wanted: list[Any], *more: Any) -> Iterator[str]:
    if value not in wanted:
        yield f"{more[-1]}: {value!r} is none of {wanted}"


def _any_of(value: Any, wanted: list[Any], _: Any, root: Any, place: str) -> Iterator[str]:
    told = [list(faults(value, one, root, place)) for one in wanted]
    if all(told):
        yield f"{place}: {value!r} is nothing of what is wanted: {told}"


def _pattern(value: Any, wanted: str, *more: Any) -> Iterator[str]:
    if isinstance(value, str) and not re.search(wanted, value):
        yield f"{more[-1]}: {value!r} is not {wanted}"


def _least(value: Any, wanted: int, *more: Any) -> Iterator[str]:
    if isinstance(value, int) and value < wanted:
        yield f"{more[-1]}: less than {wanted}"


def _most(value: Any, wanted: int, *more: Any) -> Iterator[str]:
    if isinstance(value, int) and value > wanted:
        yield f"{more[-1]}: more than {wanted}"


def _size(value: Any, wanted: int, *more: Any) -> Iterator[str]:
    if isinstance(value, list | dict) and len(value) < wanted:
        yield f"{more[-1]}: fewer than {wanted}"


def _size_most(value: Any, wanted: int, *more: Any) -> Iterator[str]:
    if isinstance(value, list | dict) and len(value) > wanted:
        yield f"{more[-1]}: more than {wanted}"


def _required(value: Any, wanted: list[str], *more: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{more[-1]}: {key} is missing" for key in wanted if key not in value)


def _properties(value: Any, wanted: Mapping[str, Any], _: Any, root: Any, place: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key in value.keys() & wanted.keys():
            yield from faults(value[key], wanted[key], root, f"{place}.{key}")


def _additional(value: Any, wanted: Any, schema: Mapping[str, Any], root: Any, place: str) -> Iterator[str]:
    for key in value.keys() - schema.get("properties", {}).keys() if isinstance(value, dict) else ():
        if wanted is False:
            yield f"{place}: nobody knows {key}"
        else:
            yield from faults(value[key], wanted, root, f"{place}.{key}")


def _unique(value: Any, wanted: bool, *more: Any) -> Iterator[str]:
    if wanted and isinstance(value, list) and len(value) > len({str(one) for one in value}):
        yield f"{more[-1]}: twice the same"


def _items(value: Any, wanted: Any, _: Any, root: Any, place: str) -> Iterator[str]:
    for index, one in enumerate(value if isinstance(value, list) else ()):
        yield from faults(one, wanted, root, f"{place}[{index}]")


_CHECKS: Mapping[str, Any] = {
    "$ref": _ref,
    "type": _type,
    "enum": _enum,
    "anyOf": _any_of,
    "pattern": _pattern,
    "minimum": _least,
    "maximum": _most,
    "minItems": _size,
    "maxItems": _size_most,
    "minProperties": _size,
    "maxProperties": _size_most,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "uniqueItems": _unique,
}
