"""The files the project ships, as the analyst names them, and orders to ask them about."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from referral_engine.hl7.message import Message

ROOT = Path(__file__).resolve().parents[2]
_MESSAGES = ROOT / "sample_messages"
SAMPLES = tuple(sorted(path.relative_to(_MESSAGES).as_posix() for path in _MESSAGES.rglob("*.hl7")))


def shipped_files() -> dict[str, str]:
    return dict(_shipped())


@cache
def _shipped() -> dict[str, str]:
    found = [*ROOT.glob("conf/**/*.toml"), *ROOT.glob("channels/**/*.toml")]
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(found)}


def order(
    code: str, npi: str, *, sender: str = "EHR|SPRINGFIELD", plan: str = "PPO", more: tuple[str, ...] = ()
) -> Message:
    segments = (
        f"MSH|^~\\&|{sender}|REFERRAL_ENGINE|SPRINGFIELD|20250303090000||ORM^O01^ORM_O01|M1|P|2.5.1",
        "PID|1||100^^^SPRINGFIELD^MR||EXAMPLE^ANNA||19700101|F",
        f"IN1|1|X|PAYER1|Made-up Payer|||||||||||{plan}",
        "ORC|NW|P1",
        f"OBR|1|P1||{code}^Referral" + "|" * 24 + npi,
        *more,
    )
    return Message.parse("\r".join((*segments, "")).encode())
