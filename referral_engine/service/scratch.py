"""A copy of a journal to try things on: the files are copied while nobody else has them, and thrown away afterwards."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from referral_engine.base.errors import JournalError, Refused
from referral_engine.journal.anchor import anchor_path
from referral_engine.journal.journal import Journal

_BESIDE: Final = ("", "-wal")  # the file and its log; what else lies beside them is made anew


@contextmanager
def opened_copy(path: str, key: bytes | None) -> Iterator[Journal]:
    """A journal that is a copy of the one at `path`; gone when the body ends, and the original is as it was.

    Raises Refused when an engine has it open or it cannot be read, JournalError when it is no sound journal.
    """
    with tempfile.TemporaryDirectory(prefix="referral-engine-") as folder:
        copy = str(Path(folder) / "journal.db")
        try:
            with _nobody_elses(path):
                for ending in _BESIDE:
                    if Path(path + ending).exists():
                        shutil.copyfile(path + ending, copy + ending)
                if Path(anchor_path(path)).exists():
                    shutil.copyfile(anchor_path(path), anchor_path(copy))
        except OSError as error:
            raise Refused(f"{path} cannot be copied: {error.strerror}") from error
        try:
            journal = Journal.open(copy, key)
        except JournalError as error:
            raise JournalError(str(error).replace(copy, path)) from error
        try:
            yield journal
        finally:
            journal.close()


@contextmanager
def _nobody_elses(path: str) -> Iterator[None]:
    """Hold the journal's lock, where it has one, while it is copied.  Raises Refused, OSError."""
    if not Path(path).is_file():
        why = "it is a directory" if Path(path).is_dir() else "there is no such file"
        raise Refused(f"{path} is no journal: {why}")
    if not Path(path).stat().st_size:
        raise Refused(f"{path} is no journal: there is nothing in it")
    lock = f"{path}.lock"
    if not Path(lock).exists():  # a backup: no engine ever opened it
        yield
        return
    held = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Refused(f"{path} is open in a running engine: name a copy of it, or stop the engine first") from error
    finally:
        os.close(held)
