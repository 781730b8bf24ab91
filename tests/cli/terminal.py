"""The command line as a person at a terminal meets it: words in; exit status, output and complaints out."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner

from referral_engine.cli.main import main

ROOT: Final = Path(__file__).resolve().parents[2]
NOWHERE: Final = "/nonexistent/control.sock"


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit status."""

    exit_status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document it is."""
        return json.loads(self.out)


def run(*words: str | Path, **environ: str) -> Said:
    """Run a command; an exception that reaches a person is a failure of the test."""
    result = CliRunner().invoke(main, [str(word) for word in words], env=environ, catch_exceptions=False)
    return Said(result.exit_code, result.stdout, result.stderr)


def copied_site(directory: Path) -> Path:
    """The project's conf/ and channels/ in a directory where they may be spoilt; gives conf/engine.toml."""
    shutil.copytree(ROOT / "conf", directory / "conf")
    shutil.copytree(ROOT / "channels", directory / "channels")
    return directory / "conf" / "engine.toml"


def rewrite(path: Path, old: str, new: str) -> None:
    """Change one place in a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name}: {old!r} is there {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")
