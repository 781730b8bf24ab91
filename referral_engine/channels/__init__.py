"""The analysts' files as values: read, lint, route; is handed text, opens no file."""
