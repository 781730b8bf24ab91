"""The disk's side of configuration: an engine file's path in, every file's text out; and the journal's key."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from referral_engine.base.errors import ConfigError, Problem
from referral_engine.transports.spool import make_directories

FILE_BYTES_MAX: Final = 1024 * 1024  # a text that people edit
FILES_MAX: Final = 5000  # stops a wrong directory from being read whole
KEY_BYTES: Final = 32
KEY_MODE: Final = 0o600


def read_files(engine_file: str) -> dict[str, str]:
    """Every configuration file by the name an analyst would use, for `read_book`.

    engine_file: usually "conf/engine.toml"; beside it preauth.toml, feeds/*.toml and partners/*.toml, beside its
    directory channels/.
    The engine's file may be missing, then the rest is read all the same.
    Raises ConfigError with every file that cannot be read.
    """
    conf = Path(engine_file).parent
    channels = Path(os.path.normpath(conf / ".." / "channels"))
    single = [path for path in (Path(engine_file), conf / "preauth.toml") if path.exists()]
    folders = (conf / "feeds", conf / "partners", channels)
    listed = [path for folder in folders for path in sorted(folder.glob("*.toml"))]
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in (single + listed)[:FILES_MAX]:
        text = _read(path)
        if isinstance(text, Problem):
            problems.append(text)
        else:
            texts[str(path)] = text
    if problems:
        raise ConfigError(problems)
    return texts


def _read(path: Path) -> str | Problem:
    """A file's text, or what is wrong with it."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        return _problem(path, "FILE1", f"cannot be read: {error.strerror}")
    if len(raw) > FILE_BYTES_MAX:
        return _problem(path, "FILE2", f"is larger than {FILE_BYTES_MAX} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return _problem(path, "FILE3", "is not UTF-8", line, "save the file as UTF-8 in the editor")


def read_or_make_key(path: str) -> bytes:
    """The journal's 32-byte key; made when there is none.  Raises ConfigError.

    Keep a copy elsewhere: without the key the journal and its backups cannot be read.
    """
    file = Path(path)
    try:
        return _read_key(file)
    except FileNotFoundError:
        pass
    make_directories(str(file.parent), 0o700)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, KEY_MODE)
    except OSError as error:
        raise ConfigError([_problem(file, "KEY1", f"the key cannot be made: {error.strerror}")]) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as new:
        new.write(secrets.token_hex(KEY_BYTES) + "\n")
        new.flush()
        os.fsync(new.fileno())
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # a journal without its key is lost: the name must be on disk before the first row
    finally:
        os.close(folder)
    return _read_key(file)


def _read_key(file: Path) -> bytes:
    """The key in a file that nobody else may read.  Raises ConfigError, FileNotFoundError."""
    try:
        with file.open("rb") as there:
            mode = os.fstat(there.fileno()).st_mode
            text = there.read(4 * KEY_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError([_problem(file, "KEY1", f"the key cannot be read: {error.strerror}")]) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        sentence = "the key may be read by other users of this machine"
        raise ConfigError([_problem(file, "KEY2", sentence, help_=f"chmod 600 {file}")])
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError([_problem(file, "KEY3", f"the key is not {KEY_BYTES} bytes in hexadecimal digits")])
    return key


def _problem(path: Path, code: str, sentence: str, line: int = 0, help_: str = "") -> Problem:
    return Problem(file=str(path), line=line, column=1, code=code, sentence=sentence, help=help_)
