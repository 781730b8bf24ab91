"""`python -m tests.fuzz deframer -max_total_time=60`: one target under atheris, guided by what the input reaches.

What follows the target's name goes to libFuzzer: `-runs=N`, `-max_total_time=SECONDS`, a folder of inputs to begin with
and keep, or a file that made it fail, to see that again.
"""

from __future__ import annotations

import random
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import atheris

from tests.fuzz.inputs import TARGETS, change, seeds_of

INPUT_BYTES_MAX = 8_192
SECONDS_MAX = 5  # of one input: what takes longer is no longer linear
MEMORY_MIB_MAX = 1_024


def main() -> None:
    """Run one target until its time or its number of inputs is over; ends with 0 when nothing was found."""
    name, *words = sys.argv[1:] or [""]
    if name not in TARGETS:
        sys.exit(f"python -m tests.fuzz {{{','.join(TARGETS)}}} [libFuzzer's words]")
    with atheris.instrument_imports(include=["referral_engine.base", "referral_engine.hl7", "referral_engine.intake"]):
        target = import_module(f"tests.fuzz.{name}").target
    limits = [
        f"-max_len={INPUT_BYTES_MAX}",
        f"-timeout={SECONDS_MAX}",
        f"-rss_limit_mb={MEMORY_MIB_MAX}",
        "-keep_seed=1",
    ]
    seeds = seeds_of(name)

    def mutate(raw: bytes, size_max: int, seed: int) -> bytes:
        """Every second input is changed as HL7 breaks, the others as libFuzzer would."""
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return atheris.Mutate(raw, size_max)
        made = bytearray(raw)
        change(made, rng, seeds)
        return bytes(made[:size_max])

    with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as folder:
        for number, seed in enumerate(seeds):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        where = [] if any(Path(word).exists() for word in words) else [folder]
        atheris.Setup([sys.argv[0], *limits, *words, *where], target, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
