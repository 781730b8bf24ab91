"""The pre-authorization table: specialty, payer, plan and code prefixes in, what the payer needs out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from referral_engine.loop.policy import Duration, HoldRule, Unit
from referral_engine.loop.referral import Hold
from referral_engine.loop.states import Network

Notify = Literal["", "ordering-provider"]
Specificity = tuple[int, int, int, int, int, int]  # procedure, diagnosis, plan, payer, specialty, network

DEFAULT_REMIND_AFTER: Final = Duration(2, Unit.BUSINESS_DAYS)  # of a routine referral: only for comparing


@dataclass(frozen=True, slots=True, kw_only=True)
class PreauthRule:
    """What one referral must wait for."""

    rule: HoldRule
    billing_after: Duration | None = None
    remind_after: Duration | None = None  # None: as the channel's clocks do, which know an urgent referral
    notify: Notify = ""
    why: str = ""  # for the timeline
    line: int = 0  # in conf/preauth.toml; 0 when built in

    def hold(self, reason: str = "pre-authorization") -> Hold:
        """What the referral then waits for, its own reminder and billing clocks with it."""
        return Hold(
            rule=self.rule,
            reason=reason,
            billing=self.billing_after is not None,
            notify=self.notify,
            remind_after=self.remind_after,
            billing_after=self.billing_after,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a referral brings; payers and plans in capitals."""

    specialty: str
    payers: frozenset[str]
    plans: frozenset[str]
    procedure: str
    diagnosis: str
    network: Network


@dataclass(frozen=True, slots=True, kw_only=True)
class PreauthRow:
    """One [[rule]]: what it asks of a referral ("" and () ask nothing), and what it then says."""

    specialties: tuple[str, ...] = ()
    payers: tuple[str, ...] = ()  # IN1-3.1 or IN1-4
    plans: tuple[str, ...] = ()  # IN1-15 or IN1-2
    procedures: tuple[str, ...] = ()  # prefixes
    diagnoses: tuple[str, ...] = ()  # prefixes
    network: Network | None = None
    verdict: PreauthRule

    def specificity(self, procedure: str, diagnosis: str) -> Specificity:
        """How narrowly the row fits; the longest prefix counts."""
        return (
            max((len(prefix) for prefix in self.procedures if procedure.startswith(prefix)), default=0),
            max((len(prefix) for prefix in self.diagnoses if diagnosis.startswith(prefix)), default=0),
            bool(self.plans),
            bool(self.payers),
            bool(self.specialties),
            self.network is not None,
        )

    def misses(self, asked: Asked) -> tuple[str, ...]:
        """Why the row does not fit, column by column; nothing when it does."""
        told: list[str] = []
        if self.specialties and asked.specialty not in self.specialties:
            told.append(_miss("specialty", asked.specialty, self.specialties))
        if self.payers and asked.payers.isdisjoint(self.payers):
            told.append(_miss("payer", ", ".join(sorted(asked.payers)), self.payers))
        if self.plans and asked.plans.isdisjoint(self.plans):
            told.append(_miss("plan", ", ".join(sorted(asked.plans)), self.plans))
        if self.procedures and not asked.procedure.startswith(self.procedures):
            told.append(_miss("procedure", asked.procedure, self.procedures, "a code that begins with "))
        if self.diagnoses and not asked.diagnosis.startswith(self.diagnoses):
            told.append(_miss("diagnosis", asked.diagnosis, self.diagnoses, "a code that begins with "))
        if self.network is not None and self.network is not asked.network:
            told.append(_miss("network", asked.network.value, (self.network.value,)))
        return tuple(told)

    def fits(self, asked: Asked) -> bool:
        """Whether every column that asks something is met."""
        return (
            (not self.specialties or asked.specialty in self.specialties)
            and (not self.payers or not asked.payers.isdisjoint(self.payers))
            and (not self.plans or not asked.plans.isdisjoint(self.plans))
            and (not self.procedures or asked.procedure.startswith(self.procedures))
            and (not self.diagnoses or asked.diagnosis.startswith(self.diagnoses))
            and (self.network is None or self.network is asked.network)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAnswer:
    """What one row says to a referral."""

    row: PreauthRow
    misses: tuple[str, ...]  # a sentence for each column that is not met; none: the row fits
    specificity: Specificity
    wins: bool


NOTHING_ASKED: Final = PreauthRule(rule=HoldRule.SEND, why="no pre-authorization rule asks for anything")

# Defaults, for specialists outside our own network; inside it a referral goes at once.
DEFAULT_ROWS: Final = (
    PreauthRow(network=Network.IN, verdict=PreauthRule(rule=HoldRule.SEND, why="inside our own network")),
    PreauthRow(
        specialties=("cardiology",),
        network=Network.OUT,
        verdict=PreauthRule(rule=HoldRule.HOLD, why="cardiology outside our network"),
    ),
    PreauthRow(
        specialties=("orthopaedics",),
        network=Network.OUT,
        verdict=PreauthRule(
            rule=HoldRule.HOLD, billing_after=Duration(5, Unit.DAYS), why="orthopaedics outside our network"
        ),
    ),
    PreauthRow(
        specialties=("mental-health",),
        network=Network.OUT,
        verdict=PreauthRule(rule=HoldRule.SUBMIT, why="mental health outside our network"),
    ),
    PreauthRow(
        specialties=("imaging",),
        network=Network.OUT,
        verdict=PreauthRule(rule=HoldRule.HOLD, notify="ordering-provider", why="imaging outside our network"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preauthorization:
    """The whole of conf/preauth.toml."""

    rows: tuple[PreauthRow, ...] = DEFAULT_ROWS
    file: str = ""

    def rule_for(
        self,
        *,
        specialty: str,
        payer: str | tuple[str, ...] = "",
        plan: str | tuple[str, ...] = "",
        procedure: str = "",
        diagnosis: str = "",
        network: Network | str = Network.OUT,
    ) -> PreauthRule:
        """The verdict of the most specific row that fits; without one the referral is sent.

        payer: IN1-3.1, IN1-4, or both. plan: IN1-15, IN1-2, or both.
        """
        asked = Asked(
            specialty=specialty,
            payers=_capitals(payer),
            plans=_capitals(plan),
            procedure=procedure,
            diagnosis=diagnosis,
            network=Network(network),
        )
        row = self.row_for(asked)
        return NOTHING_ASKED if row is None else row.verdict

    def row_for(self, asked: Asked) -> PreauthRow | None:
        """The most specific row that fits, the first of equals; None when none does."""
        fitting = [row for row in self.rows if row.fits(asked)]
        return max(fitting, key=lambda row: row.specificity(asked.procedure, asked.diagnosis)) if fitting else None

    def answers(self, asked: Asked) -> tuple[RowAnswer, ...]:
        """What every row says to a referral, in the order of the file."""
        chosen = self.row_for(asked)
        return tuple(
            RowAnswer(
                row=row,
                misses=row.misses(asked),
                specificity=row.specificity(asked.procedure, asked.diagnosis),
                wins=row is chosen,
            )
            for row in self.rows
        )


def _miss(column: str, found: str, wanted: tuple[str, ...], how: str = "") -> str:
    """One column that is not met, in words."""
    choice = f"one of {', '.join(wanted)}" if len(wanted) > 1 else wanted[0]
    return f"{column} is {found or 'not said'}, wanted {how}{choice}"


def _capitals(texts: str | tuple[str, ...]) -> frozenset[str]:
    """One text or several, for comparing."""
    return frozenset(text.upper() for text in ((texts,) if isinstance(texts, str) else texts))
