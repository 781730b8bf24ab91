"""Where things lie on this machine: names from the files and systemd's directories in, paths out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VAR: Final = "var"  # what the defaults' names begin with: "var/journal.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The directories of one instance; a relative name is looked for in the right one of them."""

    root: Path  # where relative names begin when systemd says nothing
    state: Path | None = None  # journal, key, spool
    runtime: Path | None = None  # control socket
    credentials: Path | None = None  # certificates, keys

    def kept(self, name: str) -> str:
        """A path for what must survive a restart; absolute names stay as they are."""
        return self._below(self.state, name)

    def passing(self, name: str) -> str:
        """A path for what is gone with the daemon."""
        return self._below(self.runtime, name)

    def credential(self, name: str) -> bytes:
        """A credential's bytes.  Raises OSError."""
        return ((self.credentials or self.root) / name).read_bytes()

    def _below(self, directory: Path | None, name: str) -> str:
        path = Path(name)
        if path.is_absolute():
            return str(path)
        if directory is None:
            return str(self.root / path)
        parts = path.parts[1:] if path.parts[0] == VAR and len(path.parts) > 1 else path.parts
        return str(directory.joinpath(*parts))


def places_from(environ: Mapping[str, str], engine_file: str) -> Places:
    """The directories systemd hands to its services, else those around the working directory."""
    credentials = _directory(environ, "CREDENTIALS_DIRECTORY") or Path(engine_file).parent / "credentials"
    return Places(
        root=Path.cwd(),
        state=_directory(environ, "STATE_DIRECTORY"),
        runtime=_directory(environ, "RUNTIME_DIRECTORY"),
        credentials=credentials.absolute(),
    )


def _directory(environ: Mapping[str, str], name: str) -> Path | None:
    """Systemd separates several directories with colons; ours is the first."""
    first = environ.get(name, "").split(":")[0]
    return Path(first).absolute() if first else None
