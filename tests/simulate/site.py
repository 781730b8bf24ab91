"""The configuration of the small quarter, as texts that a test may change."""

from __future__ import annotations

from functools import cache

from referral_engine.service.files import read_files
from tests.cli.terminal import ROOT

HEART, BONES = "cardiology-heart-group", "orthopaedics-lakeside"


def two_channels() -> dict[str, str]:
    """The shipped files with a channel that answers over the wire and one that has a fax machine only."""
    return {name: text for name, text in _shipped() if not name.endswith("imaging-northside.toml")}


def changed(files: dict[str, str], stem: str, old: str, new: str) -> dict[str, str]:
    """The same with one place of one file changed."""
    name = next(name for name in files if name.endswith(f"{stem}.toml") and "partners" not in name)
    assert files[name].count(old) == 1, f"{stem}: {old!r} is there {files[name].count(old)} times"
    return {**files, name: files[name].replace(old, new)}


@cache
def _shipped() -> tuple[tuple[str, str], ...]:
    found = read_files(str(ROOT / "conf" / "engine.toml"))
    return tuple((name.removeprefix(f"{ROOT}/"), text) for name, text in found.items())
