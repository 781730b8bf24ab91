"""A running site for the tests of one module; each test brings patients and orders of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.support import Site


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose daemon runs."""
    site = Site(tmp_path_factory.mktemp("live"))
    try:
        site.lay_out()
        site.start()
        yield site
    finally:
        site.close()


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose daemon the test starts, stops and kills."""
    made = Site(tmp_path_factory.mktemp("site"))
    try:
        made.lay_out()
        yield made
    finally:
        made.close()
