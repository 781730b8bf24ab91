"""New files of a site, put into their folder all at once or not at all; one that is there already is never touched."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SCHEMA: Final = "../docs/schemas/channel.schema.json"
FILE_MODE: Final = 0o644  # as an editor would leave it; a channel file holds no secret and no patient


def schema_for(folder: Path) -> str:
    """Where the JSON Schema of channels lies, seen from a folder of channels; "" when it is not there."""
    return SCHEMA if (folder / SCHEMA).is_file() else ""


def place_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write every text under its name into `folder`, which is made when it is missing.

    The files are whole before the first has its name; when one cannot get its name, none has.
    Raises FileExistsError when a name is taken, OSError when the disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    placed: list[Path] = []
    whole = False
    try:
        for name, text in texts.items():
            _write(scratch / name, text.encode())
        for name in texts:
            (folder / name).hardlink_to(scratch / name)  # unlike a rename it refuses a name that is taken
            placed.append(folder / name)
        whole = True
    finally:
        if not whole:  # a refusal, a full disk, or Ctrl-C
            for path in placed:
                path.unlink(missing_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)
    _settle(folder)


def _write(path: Path, raw: bytes) -> None:
    """One file with its bytes on the disk."""
    with path.open("xb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(FILE_MODE)
    if path.read_bytes() != raw:
        raise OSError(f"{path.name} does not read back as it was written")


def _settle(folder: Path) -> None:
    """The folder's names on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
