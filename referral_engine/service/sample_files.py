"""Where the messages lie that the tests of channel files receive: in sample_messages/, or beside the file itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from referral_engine.service.files import folder_beside

FOLDER: Final = "sample_messages"  # in the folder of conf/engine.toml, or beside it
SUFFIX: Final = ".hl7"
SAMPLES_MAX: Final = 20_000  # stops a wrong folder from being read whole
SAMPLE_BYTES_MAX: Final = 64 * 1024 * 1024  # more than any listener takes

Samples = Callable[[str], bytes]  # a name to its bytes; raises KeyError


class SampleFiles:
    """Every message that tests may name, by the name they use; each file is read once."""

    def __init__(self, conf: str, files: Iterable[str], extra: str = "") -> None:
        """Look into the shared folder and beside every file; extra: a folder to look into instead of the shared one."""
        shared = Path(extra) if extra else folder_beside(conf, FOLDER)
        self._shared = _listed(shared)
        folders = {Path(file).parent for file in files}  # few, whatever the number of files
        self._beside = {folder: _listed(folder) for folder in {one.resolve() for one in folders}}
        self._read: dict[Path, bytes] = {}

    def names(self) -> tuple[str, ...] | None:
        """Every name, sorted; None where no sample is installed at all, so that nothing can be said about them."""
        found = set(self._shared).union(*self._beside.values())
        return tuple(sorted(found)) or None

    def of(self, file: str) -> Samples:
        """The samples as the tests of one file see them: its own folder first."""
        beside = self._beside.get(Path(file).parent.resolve(), {})

        def read(name: str) -> bytes:
            place = beside.get(name) or self._shared[name]
            if place not in self._read:
                self._read[place] = _bytes(place)
            return self._read[place]

        return read


def _listed(folder: Path) -> dict[str, Path]:
    """Name to place of every sample of a folder and the folders in it: "feeds/epic/orm-o01-order.hl7"."""
    found: dict[str, Path] = {}
    for place in folder.rglob(f"*{SUFFIX}") if folder.is_dir() else ():
        found[place.relative_to(folder).as_posix()] = place
        if len(found) >= SAMPLES_MAX:
            break
    return found


def _bytes(place: Path) -> bytes:
    """A sample's bytes.  Raises KeyError when it cannot be read any more, or is far too large for one."""
    try:
        with place.open("rb") as file:
            raw = file.read(SAMPLE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyError(place.name) from error
    if len(raw) > SAMPLE_BYTES_MAX:
        raise KeyError(place.name)
    return raw
