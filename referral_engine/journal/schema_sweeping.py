"""The third step of the schema: how far the clocks have been swept, and who stopped the sweeping."""

from __future__ import annotations

from typing import Final

# One row; a new journal gets it from the first sweep that ends, an older one begins at its newest commit.
TABLES: Final = """
CREATE TABLE sweeping (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    swept_at INTEGER NOT NULL,
    paused_by TEXT NOT NULL,
    zones BLOB NOT NULL,
    moved_through TEXT
);
INSERT INTO sweeping SELECT 1, high_water, '', x'', NULL FROM instance;
"""
