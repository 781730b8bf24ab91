"""The only SQL: units of work over one encrypted SQLite file."""
