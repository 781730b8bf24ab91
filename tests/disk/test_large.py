"""A journal of a million rows starts as fast as a new one.  P13."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from referral_engine.journal.conservation import balance
from referral_engine.journal.journal import Journal
from tests.disk.given import NODE, copied, fill, take
from tests.journal.made import KEY

ROWS = 1_000_000
READY_SECONDS_MAX = 30.0  # the promise; a tenth of a second is what it takes
# Rows like those that are there, many times.
_MORE = """
WITH RECURSIVE up (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM up WHERE n < ?2)
INSERT INTO messages (sequence, received_at, partner, application, facility, control_id, sha256, peer, type,
    disposition, level, reason, referral, answer_code, config, numbers, digest, answer, raw)
SELECT n, n, partner, application, facility, 'MSG' || n, sha256, peer, type,
    disposition, level, reason, referral, answer_code, config, numbers, digest, answer, raw
FROM up, (SELECT * FROM messages WHERE sequence = 1)
"""


def grown(path: str, rows: int) -> None:
    """A journal with so many messages; their hashes are those of the first, which no start looks at."""
    journal = Journal.open(path, KEY, node=NODE, now=1)
    fill(journal, 40)
    first = journal._instance.sequence + 1
    for start in range(first, rows, 50_000):
        with journal.batch(start) as unit:
            journal._connection.execute(_MORE, (start, min(start + 50_000, rows) - 1))
            while unit.next_sequence() < min(start + 50_000, rows) - 1:
                pass
            journal._instance.tally("message", "ehr", "no-op", min(50_000, rows - start))
            journal._instance.tally("received", "ehr", "", min(50_000, rows - start))
    journal.close()


@pytest.mark.torture
@pytest.mark.parametrize("rows", [10_000, ROWS])
def test_a_large_journal_is_ready_soon(tmp_path_factory: pytest.TempPathFactory, rows: int) -> None:
    folder = tmp_path_factory.mktemp("large")
    path = str(folder / "journal.db")
    grown(path, rows)

    def ready(where: str, how: str) -> Journal:
        began = time.monotonic()
        journal = Journal.open(where, KEY, node=NODE, now=rows)
        assert balance(journal._connection).holds
        took = time.monotonic() - began
        print(f"{rows} rows, {Path(where).stat().st_size >> 20} MiB, {how}: ready after {took:.3f} seconds")
        assert took < READY_SECONDS_MAX
        return journal

    journal = ready(path, "stopped in order")
    for number in range(2 * rows, 2 * rows + 400):
        take(journal, number, bytes(4000))
    killed = copied(path, folder / "killed")
    journal.close()
    ready(killed, "killed").close()
    shutil.rmtree(folder)
