"""Scratch directories in memory where the machine has them: what these tests spoil, they spoil by hand."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ROOM_BYTES = 256 * 1024 * 1024


def has_room() -> bool:
    if not os.access(MEMORY, os.W_OK):
        return False
    there = os.statvfs(MEMORY)
    return there.f_bavail * there.f_frsize > ROOM_BYTES


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not has_room():
        yield tmp_path_factory.mktemp("disk")
        return
    path = Path(tempfile.mkdtemp(prefix="referral-engine-", dir=MEMORY))
    yield path
    shutil.rmtree(path, ignore_errors=True)
