"""The pre-authorization table: specialty, payer, plan and code prefixes in, what the payer needs out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from referral_engine.loop.policy import Duration, HoldRule, Unit
from referral_engine.loop.referral import Hold, Insurance, Order
from referral_engine.loop.states import Network

Notify = Literal["", "ordering-provider"]
Which = Literal["primary", "any"]  # of several insurances: the one that pays first, or whichever fits
# Procedure, diagnosis, plan, payer, specialty, network, the primary insurance only.
Specificity = tuple[int, int, int, int, int, int, int]

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


@dataclass(frozen=True, slots=True)
class Covered:
    """One insurance, in capitals: its payer by number and by name, its plan by kind and by number."""

    payers: frozenset[str]
    plans: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a referral brings; payers and plans in capitals."""

    specialty: str
    payers: frozenset[str]  # of the insurance that pays first
    plans: frozenset[str]
    others: tuple[Covered, ...] = ()  # insurances behind the first
    procedure: str
    diagnosis: str
    network: Network


def asked_by(order: Order) -> Asked:
    """What an order asks the table; the specialty and the network are those the channel has settled."""
    first, *others = order.insurances or (Insurance(payers=(order.payer,), plans=(order.plan,)),)
    return Asked(
        specialty=order.specialty,
        payers=_capitals(first.payers),
        plans=_capitals(first.plans),
        others=tuple(Covered(_capitals(one.payers), _capitals(one.plans)) for one in others),
        procedure=order.service_code,
        diagnosis=order.diagnosis,
        network=order.network,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreauthRow:
    """One [[rule]]: what it asks of a referral ("" and () ask nothing), and what it then says."""

    specialties: tuple[str, ...] = ()
    payers: tuple[str, ...] = ()  # IN1-3.1 or IN1-4.1, the number or the name
    plans: tuple[str, ...] = ()  # IN1-15.1 or IN1-2.1
    insurance: Which = "primary"
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
            self.insurance == "primary",
        )

    def misses(self, asked: Asked) -> tuple[str, ...]:
        """Why the row does not fit, column by column; nothing when it does."""
        told: list[str] = []
        if self.specialties and asked.specialty not in self.specialties:
            told.append(_miss("specialty", asked.specialty, self.specialties))
        if not self._insures(asked):
            told.extend(self._uninsured(asked))
        if self.procedures and not asked.procedure.startswith(self.procedures):
            told.append(_miss("procedure", asked.procedure, self.procedures, "a code that begins with "))
        if self.diagnoses and not asked.diagnosis.startswith(self.diagnoses):
            told.append(_miss("diagnosis", asked.diagnosis, self.diagnoses, "a code that begins with "))
        if self.network is not None and self.network is not asked.network:
            told.append(_miss("network", asked.network.value, (self.network.value,)))
        return tuple(told)

    def _insures(self, asked: Asked) -> bool:
        """Whether one insurance has the payer and the plan: the first one, or any where the row says so."""
        if not self.payers and not self.plans:
            return True
        if self._meets(asked.payers, asked.plans):
            return True
        return self.insurance == "any" and any(self._meets(one.payers, one.plans) for one in asked.others)

    def _meets(self, payers: frozenset[str], plans: frozenset[str]) -> bool:
        return (not self.payers or not payers.isdisjoint(self.payers)) and (
            not self.plans or not plans.isdisjoint(self.plans)
        )

    def _uninsured(self, asked: Asked) -> tuple[str, ...]:
        """Which of payer and plan is not met."""
        all_of = [Covered(asked.payers, asked.plans), *(asked.others if self.insurance == "any" else ())]
        payers = frozenset(name for one in all_of for name in one.payers if name)
        plans = frozenset(name for one in all_of for name in one.plans if name)
        told = []
        if self.payers and payers.isdisjoint(self.payers):
            told.append(_miss("payer", ", ".join(sorted(payers)), self.payers))
        if self.plans and plans.isdisjoint(self.plans):
            told.append(_miss("plan", ", ".join(sorted(plans)), self.plans))
        return tuple(told) or ("no single insurance has both the payer and the plan",)

    def fits(self, asked: Asked) -> bool:
        """Whether every column that asks something is met."""
        return (
            (not self.specialties or asked.specialty in self.specialties)
            and self._insures(asked)
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
        """`verdict` of an order with one insurance.

        payer: IN1-3.1, IN1-4.1, or both. plan: IN1-15.1, IN1-2.1, or both.
        """
        asked = Asked(
            specialty=specialty,
            payers=_capitals(payer),
            plans=_capitals(plan),
            procedure=procedure,
            diagnosis=diagnosis,
            network=Network(network),
        )
        return self.verdict(asked)

    def verdict(self, asked: Asked) -> PreauthRule:
        """What the most specific row that fits says; without one the referral is sent."""
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
