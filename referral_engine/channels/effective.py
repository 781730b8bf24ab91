"""What is in force and who decided it: the answer to `config [NAME]`."""

from __future__ import annotations

from referral_engine.channels.book import Book
from referral_engine.channels.shape import Setting


def effective(book: Book, channel: str | None = None) -> list[tuple[str, str, str]]:
    """Key, value and origin of every setting, in file order.

    channel: the name of a channel or a feed; None asks for conf/engine.toml.
    origin: "default", or file and line. An unknown name gives an empty list.
    """
    if channel is None:
        files = [file for file in book.settings if file.replace("\\", "/").endswith("engine.toml")]
    elif channel in book.channels:
        files = [book.channels[channel].file]
    else:
        files = [book.feeds[channel].file] if channel in book.feeds else []
    settings = [one for file in files for one in book.settings[file]]
    tables = list(dict.fromkeys(_table(one) for one in settings))
    return [(one.key, one.value, one.origin) for one in sorted(settings, key=lambda one: tables.index(_table(one)))]


def _table(setting: Setting) -> str:
    """The first word of a key: settings of one table stand together."""
    return setting.key.split(".", 1)[0]
