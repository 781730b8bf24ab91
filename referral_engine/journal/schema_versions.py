"""The fifth step of the schema: every configuration that was ever in force, whole, with who put it there and why."""

from __future__ import annotations

from typing import Final

# `sha256` stands for `difference` and `files`, so that a list of versions reads neither and still proves its rows.
TABLES: Final = """
CREATE TABLE versions (
    number INTEGER PRIMARY KEY CHECK (number > 0),
    at INTEGER NOT NULL,
    config TEXT NOT NULL CHECK (config <> ''),
    made_by TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('start', 'reload', 'rollback')),
    reason TEXT NOT NULL,
    forced INTEGER NOT NULL CHECK (forced IN (0, 1)),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    difference TEXT NOT NULL,
    files BLOB NOT NULL
);
CREATE INDEX versions_of_config ON versions (config, at);
CREATE TRIGGER versions_stay BEFORE DELETE ON versions
BEGIN SELECT RAISE(ABORT, 'a version stays'); END;
CREATE TRIGGER versions_are_final BEFORE UPDATE ON versions
BEGIN SELECT RAISE(ABORT, 'a version stays'); END;
"""
