"""P12: once the disk is in doubt nothing more is acknowledged, and the daemon ends with a status of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.e2e.support import Line, Site, an_order, control_id, sample
from tests.torture.injection import injected, needs_injection, writer_of

STORAGE_STATUS = 74


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose daemon runs and has committed before."""
    needs_injection()
    made = Site(tmp_path_factory.mktemp("fail-stop"))
    try:
        made.lay_out()
        made.start()
        assert made.send(sample("adt-a08-new-phone.hl7", {"MSH-10": "CW1"})) == ["AA"]
        yield made
    finally:
        made.close()


# F-B01 F-B02 F-B13 F-A09
@pytest.mark.parametrize(
    ("calls", "error"),
    [
        pytest.param("fsync,fdatasync", "EIO", id="sync-fails"),
        pytest.param("pwrite64", "EROFS", id="read-only", marks=pytest.mark.torture),
    ],
)
def test_after_the_first_error_of_the_disk_nothing_is_acknowledged_and_the_daemon_ends_with_74(
    site: Site, calls: str, error: str
) -> None:
    first, second = an_order("F1"), an_order("F2")

    with (
        closing(Line(site.port)) as line,
        closing(Line(site.port)) as other,
        injected(writer_of(site.pid), calls, f"error={error}:when=1"),  # once: what comes after would say OK (M3)
    ):
        with pytest.raises(OSError):  # noqa: PT011  # reset or closed, as the kernel likes
            line.exchange(first)
        with pytest.raises(OSError):  # noqa: PT011  # the same
            other.exchange(second)
        status = site.exit_status()

    assert status == STORAGE_STATUS
    site.start()
    assert site.send(first, second) == ["AA", "AA"], "the same again is taken, whatever the disk kept of it"
    rows = [row["control_id"] for row in site.ask_json("messages")]
    assert sorted(rows) == sorted(["CW1", control_id(first), control_id(second)])
