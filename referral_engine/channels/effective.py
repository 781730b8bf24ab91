"""What is in force and who decided it: the answer to `config [NAME]`."""

from __future__ import annotations

from referral_engine.channels.book import Book
from referral_engine.channels.shape import Setting


def effective(book: Book, channel: str | None = None) -> list[tuple[str, str, str]]:
    """Key, value and origin of every setting, in file order.

    channel: the name of a channel, a feed or a partner, or of several of them; None asks for conf/engine.toml.
    origin: "default", file and line, or the partner's file. An unknown name gives an empty list.
    """
    if channel is None:
        files = [file for file in book.settings if file.replace("\\", "/").endswith("engine.toml")]
    else:
        parts = [kind[channel] for kind in (book.channels, book.feeds, book.partners) if channel in kind]
        files = list(dict.fromkeys(part.file for part in parts))
    settings = [one for file in files for one in book.settings[file]]
    tables = list(dict.fromkeys(_table(one) for one in settings))
    return [(one.key, one.value, one.origin) for one in sorted(settings, key=lambda one: tables.index(_table(one)))]


def _table(setting: Setting) -> str:
    """The first word of a key: settings of one table stand together."""
    return setting.key.split(".", 1)[0]
