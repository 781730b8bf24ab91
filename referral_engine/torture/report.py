"""What a run found, for people as a table and for programs as JSON."""

from __future__ import annotations

from typing import Final

from rich.table import Table

from referral_engine.torture.checks import Findings
from referral_engine.torture.ledger import SHOWN_MAX
from referral_engine.torture.rounds import Torture

# What each kind of difference means; none may be found.
DIFFERENCES: Final = {
    "lost": "messages acknowledged, and not stored",
    "doubled": "messages stored more than once",
    "changed_bytes": "messages stored with other bytes",
    "changed_answers": "messages whose second answer was another one",
    "unanswered": "messages never answered, however often they came",
    "refused": "messages answered with a NAK",
    "out_of_order": "messages answered before their elders",
    "stray_answers": "answers nobody asked for",
    "effects_lost": "effects lost: not owed, or delivered to nobody",
    "effects_doubled": "effects doubled",
    "effects_changed": "effects that arrived with other bytes",
    "effects_undelivered": "effects not delivered in the end",
    "conservation": "conservation: received against what became of it",
    "audit": "breaks of the audit chain",
    "exits": "ends of the daemon nobody asked for",
}


def summary(run: Torture, found: Findings, seed: int) -> dict[str, object]:
    """All of it, with keys that stay."""
    ledger = run.ledger
    return {
        "seed": seed,
        "clean": found.clean,
        "rounds": run.rounds,
        "told": found.told,
        "stored": found.stored,
        "made_up_frames_stored": found.strays_stored,
        "effects": {"owed": found.owed, "delivered": found.delivered, "waiting_for_the_morning": found.waiting},
        "differences": {name: len(value) for name, value in found.differences().items()},
        "found": {name: value[:SHOWN_MAX] for name, value in found.differences().items() if value},
        "faults": dict(sorted(ledger.faults.items())),
        "notes": ledger.notes,
        "slowest_answer_seconds": round(ledger.slowest_answer_seconds, 3),
        "slowest_start_seconds": round(ledger.slowest_start_seconds, 3),
    }


def table_of(found: Findings) -> Table:
    """The ledger as a table: what was said, what is there, and every difference, of which there may be none."""
    table = Table(title="What was told, and what is there", title_justify="left", box=None, header_style="bold")
    table.add_column("")
    table.add_column("", justify="right")
    for name, number in (
        ("told: messages acknowledged", found.told),
        ("stored: messages in the journal", found.stored),
        ("  of them made up by the proxies", found.strays_stored),
        ("effects owed", found.owed),
        ("effects delivered", found.delivered),
        ("  texts that wait for the morning", found.waiting),
    ):
        table.add_row(name, f"{number:,}")
    table.add_section()
    for name, value in found.differences().items():
        count = f"{len(value):,}"
        table.add_row(DIFFERENCES[name], f"[bold red]{count}[/]" if value else f"[green]{count}[/]")
    return table


def faults_of(run: Torture) -> Table:
    """How often each fault was injected."""
    table = Table(title="Faults", title_justify="left", box=None, header_style="bold", show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for name, count in sorted(run.ledger.faults.items()):
        table.add_row(name, f"{count:,}")
    for note in run.ledger.notes:
        table.add_row(f"[dim]{note}[/]", "")
    return table
