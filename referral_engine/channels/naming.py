"""Names that have to agree: a table's with its file's, and a reference with what conf/engine.toml defines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from referral_engine.channels.shape import Table, nearest

_MEANT: Final[Mapping[str, str]] = {"CH402": "calendar", "CH403": "gateway", "CH406": "queue", "CH408": "channel"}


def file_stem(file: str) -> str:
    """The name in a file's name: x of channels/x.toml."""
    return file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".toml")


def complain_of_file_name(head: Table, name: str, what: str) -> None:
    """The name of a channel or a feed is the name of its file."""
    stem = file_stem(head.page.source.file)
    if name and name != stem:
        head.complain(
            "name", "CH301", f'the {what} is called "{name}", its file "{stem}.toml"', "give both the same name"
        )


def complain_of_unknown(
    table: Table, key: str, name: str, known: tuple[str, ...], code: Literal["CH402", "CH403", "CH406", "CH408"]
) -> None:
    """A name that nothing defines."""
    if not name or name in known:
        return
    what = _MEANT[code]
    near = nearest(name, known)
    if near:
        hint = f'did you mean "{near}"?'
    elif code == "CH403":
        hint = f"define [gateway.{name}] in conf/engine.toml"
    else:
        hint = f"known are {', '.join(sorted(known))}" if known else ""
    table.complain(key, code, f'there is no {what} "{name}"', hint)
