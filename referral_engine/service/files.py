"""The disk's side of configuration: an engine file's path in, every file's text out; and the journal's key."""

from __future__ import annotations

import codecs
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import tomli

from referral_engine.base.errors import ConfigError, Problem
from referral_engine.base.values import replace
from referral_engine.channels.engine import Engine

FILE_BYTES_MAX: Final = 1024 * 1024  # a text that people edit
FILES_MAX: Final = 5000  # stops a wrong directory from being read whole
CHANNELS: Final = "channels"  # the folder of the specialists' files
DEFAULTS: Final = "_defaults"  # in it: what several of them have in common
KEY_BYTES: Final = 32
KEY_MODE: Final = 0o600
WRITTEN_NOW: Final = "is being written"  # FILE6
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_files(engine_file: str) -> dict[str, str]:
    """Every configuration file by the name an analyst would use, for `read_book`.

    engine_file: usually "conf/engine.toml"; beside it preauth.toml, feeds/*.toml and partners/*.toml; the specialists
    are in `channels_folder`. Names that begin with a dot are an editor's own, and left alone.
    The engine's file may be missing, then the rest is read all the same.
    Never waits: what is no plain file is refused before it is opened. Raises ConfigError with every file that cannot
    be read, or that somebody is writing just now.
    """
    listed = listed_files(engine_file)
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in listed:
        text = _read(path)
        if isinstance(text, Problem):
            problems.append(text)
        else:
            texts[str(path)] = text
    if problems:
        raise ConfigError(problems)
    return texts


def listed_files(engine_file: str) -> list[Path]:
    """The files that `read_files` reads, whatever is in them.  Raises ConfigError where it would not know which."""
    listed = [path for path in (Path(engine_file), Path(engine_file).parent / "preauth.toml") if os.path.lexists(path)]
    for folder in file_folders(engine_file):
        listed += [path for path in sorted(folder.glob("*.toml")) if not path.name.startswith(".")]
    if len(listed) > FILES_MAX:
        sentence = f"there are more than {FILES_MAX} files here: this is not a directory of channels"
        raise ConfigError([_problem(channels_folder(engine_file), "FILE8", sentence)])
    return listed


def passed_over(engine_file: str) -> list[Problem]:
    """A warning for each file that somebody may believe to be in force, and that is not read: x.toml.txt, x.TOML.

    An editor's own files (x.toml~, x.toml.swp, .#x.toml) and files that were put aside (x.toml.bak) are none of them. A
    folder of channels with such files beside them is one: channels/_default instead of channels/_defaults.
    """
    told: list[Problem] = []
    for folder in file_folders(engine_file):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            name = path.name.lower()
            if path.name.startswith(".") or path in file_folders(engine_file):
                continue
            if path.is_dir() and folder.name == CHANNELS and any(path.glob("*.toml")):
                sentence = f"no file in this folder is read: only {CHANNELS}/ itself is, and {CHANNELS}/{DEFAULTS}"
                told.append(_problem(path, "FILE10", sentence, help_="move them there, or out of the configuration"))
            elif name.endswith((".toml.txt", ".tml")) or (name.endswith(".toml") and path.suffix != ".toml"):
                help_ = "give it a name that ends in .toml, or move it away"
                told.append(_problem(path, "FILE10", "is not read: its name does not end in .toml", help_=help_))
    return [replace(problem, warning=True) for problem in told]


def file_folders(engine_file: str) -> tuple[Path, ...]:
    """The folders whose files are read beside the engine's own.  Raises ConfigError as `channels_folder`."""
    conf, channels = Path(engine_file).parent, channels_folder(engine_file)
    return conf / "feeds", conf / "partners", channels / DEFAULTS, channels


def channels_folder(engine_file: str) -> Path:
    """Where the specialists' files are: "channels" in the engine file's directory, else beside that directory.

    Raises ConfigError where both are there: an analyst must not edit the one that nobody reads.
    """
    inside, outside = _two_places(engine_file, CHANNELS)
    if inside.exists() and outside.exists():
        sentence = f"there are two folders of channels, {inside} and {outside}, and only one can be in force"
        help_ = "move the files of one into the other, and remove the one that is empty then"
        raise ConfigError([_problem(inside, "FILE7", sentence, help_=help_)])
    return inside if inside.exists() else outside


def folder_beside(engine_file: str, name: str) -> Path:
    """A folder that is looked for as `channels_folder` is; where both are there, the nearer one."""
    inside, outside = _two_places(engine_file, name)
    return inside if inside.exists() else outside


def socket_name(engine_file: str) -> str:
    """The control socket that an engine's file names; where the file does not say, or cannot be read, the default.

    Whoever asks what is wrong with the files must reach the engine that refused them.
    """
    try:
        with Path(engine_file).open("rb") as file:
            told = tomli.load(file).get("control", {}).get("socket")
    except (OSError, ValueError, AttributeError):
        told = None
    return told if isinstance(told, str) and told else Engine().control_socket


def changed_meanwhile(before: dict[str, str], after: dict[str, str]) -> Iterator[Problem]:
    """The files that are not what they were a moment ago: somebody is writing them."""
    for file in sorted(before.keys() | after.keys()):
        if before.get(file) != after.get(file):
            yield _being_written(Path(file))


def _two_places(engine_file: str, name: str) -> tuple[Path, Path]:
    """In the engine file's directory, and beside it."""
    conf = Path(engine_file).parent
    return conf / name, Path(os.path.normpath(conf / ".." / name))


def _read(path: Path) -> str | Problem:
    """A file's text, or what is wrong with it."""
    try:
        refusal = _no_plain_file(path)
        if refusal is not None:
            return refusal
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            before = _stamp(os.fstat(descriptor))
            raw = file.read(FILE_BYTES_MAX + 1)
            still = _stamp(os.fstat(descriptor)) == before == _stamp(os.stat(path))  # noqa: PTH116  # as fstat gives it
    except FileNotFoundError:
        return _being_written(path)  # it was there when the folder was listed
    except OSError as error:
        return _problem(path, "FILE1", f"cannot be read: {error.strerror}", help_=_readable_by(error))
    if not still:
        return _being_written(path)
    if len(raw) > FILE_BYTES_MAX:
        return _problem(path, "FILE2", f"is larger than {FILE_BYTES_MAX} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if raw.startswith(_UTF_16):
            return _problem(path, "FILE3", "is UTF-16, not UTF-8", 1, "save the file as UTF-8 in the editor")
        line = raw[: error.start].count(b"\n") + 1
        return _problem(path, "FILE3", "is not UTF-8", line, "save the file as UTF-8 in the editor")


def _no_plain_file(path: Path) -> Problem | None:
    """What stands in a file's place and must not be opened; None for a plain file.  Raises OSError.

    A pipe would be waited for, a device may do something when it is opened, and a link may lead to a file that
    others write. A link to a file of the same folder is how some tools put files in place, and is followed.
    """
    if path.is_symlink():
        if not path.exists():
            return _problem(path, "FILE1", "is a link to a file that is not there")
        folder = os.path.realpath(path.parent)
        if not os.path.realpath(path).startswith(folder + os.sep):
            help_ = "put the file itself here, or a link to a file of the same folder"
            return _problem(path, "FILE5", "is a link that leads out of its folder", help_=help_)
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return None
    kinds = ((stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    kind = next((word for is_, word in kinds if is_(mode)), "a device")
    return _problem(path, "FILE9", f"is {kind}, not a file", help_="give it another name, or move it away")


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    """What differs once somebody has written the file, or put another in its place."""
    return found.st_ino, found.st_size, found.st_mtime_ns


def _being_written(path: Path) -> Problem:
    return _problem(path, "FILE6", WRITTEN_NOW, help_="try again once it is saved")


def _readable_by(error: OSError) -> str:
    """What helps against a refusal of the kernel."""
    return "the engine's own user must be able to read it" if isinstance(error, PermissionError) else ""


def read_or_make_key(path: str) -> bytes:
    """The journal's 32-byte key; made when there is none.  Raises ConfigError.

    Keep a copy elsewhere: without the key the journal and its backups cannot be read.
    """
    file = Path(path)
    try:
        return _read_key(file)
    except FileNotFoundError:
        pass
    from referral_engine.transports.spool import make_directories  # brings Twisted along, which `check` does without

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
