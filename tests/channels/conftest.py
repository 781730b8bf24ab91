"""What the tests of files share: a text that several of them check is parsed once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import pytest

from referral_engine.channels import book
from referral_engine.channels.source import read_source

SOURCES_KEPT = 64  # the shipped files, and a few of those that are tried beside them


@pytest.fixture(scope="package", autouse=True)
def _the_shipped_files_are_parsed_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(book, "read_source", lru_cache(maxsize=SOURCES_KEPT)(read_source))
        yield
