"""Every plot with its share, and what a site must have for it to be played there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random  # noqa: TID251  # the type of what is handed in
from typing import Final

import msgspec

from referral_engine.stories import plots_identity, plots_late, plots_odd, plots_paper, plots_usual
from referral_engine.stories.places import Site
from referral_engine.stories.script import Script
from referral_engine.stories.teller import Teller

Needs = tuple[str, ...]
_VISIT: Final = ("speaks", "books", "notes")
_SAYS: Final = ("speaks", "confirms")
_PAPER: Final = ("paper",)  # an office that nothing comes from, and a scanning station
_TWO: Final = ("two",)  # two offices that book


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of story."""

    name: str
    weight: int  # how often it is told, against the others
    needs: Needs  # what one office of the site must be able to do
    tell: Callable[[Teller], Script]


def _plot(tell: Callable[[Teller], Script], weight: int, *needs: str) -> Plot:
    return Plot(name=tell.__name__.replace("_", "-"), weight=weight, needs=needs, tell=tell)


# fmt: off
PLOTS: Final[tuple[Plot, ...]] = (
    _plot(plots_usual.straight,                    200, *_VISIT),
    _plot(plots_usual.nobody_says_who_came,         60, *_VISIT),
    _plot(plots_usual.letter_from_the_scanner,      60, *_PAPER),
    _plot(plots_usual.held_then_authorized,         50, *_VISIT, "held"),
    _plot(plots_usual.cancelled_while_held,         15, "held"),
    _plot(plots_usual.missed_rebooked_kept,         50, *_VISIT),
    _plot(plots_usual.missed_and_waiting,           20, "speaks", "books"),
    _plot(plots_usual.cancelled_and_rebooked,       40, *_VISIT),
    _plot(plots_usual.moved,                        40, *_VISIT),
    _plot(plots_usual.booked_by_mistake,            15, *_VISIT),
    _plot(plots_usual.walk_in,                      20, *_VISIT),
    _plot(plots_usual.declined_at_once,             20, *_SAYS),
    _plot(plots_usual.declined_after_acceptance,    15, *_SAYS, "books"),
    _plot(plots_usual.declined_after_the_visit,     10, *_SAYS, "books"),
    _plot(plots_usual.cancel_agreed,                20, *_SAYS),
    _plot(plots_usual.waiting_for_a_time,           30, *_SAYS),
    _plot(plots_paper.preliminary_final_corrected,  40, *_VISIT),
    _plot(plots_paper.note_of_another_patient,      20, *_VISIT),
    _plot(plots_paper.taken_back_and_nothing_since, 10, *_VISIT),
    _plot(plots_paper.wrong_patient_of_nothing,     10, *_VISIT),
    _plot(plots_paper.order_comes_late,             20, *_VISIT, "free"),
    _plot(plots_paper.note_before_its_order,        15, "speaks", "notes", "free"),
    _plot(plots_paper.same_note_again,              20, *_VISIT),
    _plot(plots_paper.note_without_a_number,        30, *_VISIT),
    _plot(plots_paper.known_by_its_own_number,      20, *_VISIT),
    _plot(plots_paper.two_open_referrals,           15, *_SAYS, "notes", "free"),
    _plot(plots_paper.the_other_twin,               15, *_VISIT),
    _plot(plots_paper.several_groups,               20, *_VISIT, "results"),
    _plot(plots_paper.order_number_mistyped,        15, "speaks", "notes"),
    _plot(plots_odd.merged_in_the_middle,           20, *_VISIT),
    _plot(plots_odd.merged_twice,                   15, *_VISIT),
    _plot(plots_odd.merged_then_without_a_number,   15, *_VISIT),
    _plot(plots_odd.outcome_beats_cancel,           15, "speaks", "notes"),
    _plot(plots_odd.cancel_after_the_note,          15, *_VISIT),
    _plot(plots_odd.cancel_of_what_is_booked,       15, *_SAYS, "books"),
    _plot(plots_odd.order_changes,                  30, *_VISIT),
    _plot(plots_odd.ordered_twice,                  25, *_VISIT, "free"),
    _plot(plots_odd.sent_again,                     25, *_VISIT),
    _plot(plots_odd.control_id_used_again,          15, *_VISIT),
    _plot(plots_odd.booked_without_a_number,        40, *_VISIT),
    _plot(plots_odd.late_no_show,                   15, *_VISIT),
    _plot(plots_odd.no_show_and_yet_a_note,         15, *_VISIT),
    _plot(plots_odd.registered_at_the_door,         25, *_VISIT),
    _plot(plots_odd.new_telephone,                  15, *_SAYS),
    _plot(plots_odd.order_number_of_another,        10, *_SAYS, "free"),
    _plot(plots_odd.another_office_speaks,          10, *_SAYS, "books", "free", *_TWO),
    _plot(plots_identity.merged_before_anybody_knew, 15, *_VISIT),
    _plot(plots_identity.linked_records,            10, *_VISIT),
    _plot(plots_identity.letter_with_a_name_only,   15, "speaks", "notes"),
    _plot(plots_identity.number_of_another_hospital, 10, "speaks", "notes"),
    _plot(plots_identity.letter_of_the_twin,        15, *_SAYS, "notes"),
    _plot(plots_late.cancel_overtakes_its_order,    10, "free"),
    _plot(plots_late.missed_the_old_time,           10, *_VISIT),
    _plot(plots_late.moved_under_a_new_number,      15, *_VISIT),
    _plot(plots_late.charged_for_the_visit,         20, *_VISIT),
    _plot(plots_late.charge_is_credited,            10, *_VISIT),
    _plot(plots_late.registered_and_taken_back,     10, "speaks", "books"),
    _plot(plots_late.same_note_by_two_ways,         10, *_VISIT, "both"),
    _plot(plots_late.two_orders_in_one_result,      10, *_SAYS, "notes", "free", "results"),
    _plot(plots_late.booked_by_the_ordering_side,   30, "free"),
    _plot(plots_late.announced_document,            15, *_VISIT, "documents"),
    _plot(plots_late.unroutable,                    10, "free"),
    _plot(plots_late.changed_after_the_note,        10, "speaks", "notes"),
)
# fmt: on
BY_NAME: Final[Mapping[str, Plot]] = {plot.name: plot for plot in PLOTS}


def playable(site: Site) -> tuple[Plot, ...]:
    """The plots this site has everything for."""
    return tuple(plot for plot in PLOTS if _has(site, plot.needs))


def drawn(plots: tuple[Plot, ...], chance: Random) -> Plot:
    """One of them, by their weights."""
    return chance.choices(plots, weights=[plot.weight for plot in plots])[0]


_WAYS: Final[Mapping[str, frozenset[str]]] = {  # how a note must be able to come
    "results": frozenset({"ORU"}),
    "documents": frozenset({"MDM"}),
    "both": frozenset({"ORU", "MDM"}),
}


def _has(site: Site, needs: Needs) -> bool:
    if needs == _PAPER:
        return site.scanner is not None and any(one.sender is None for one in site.able("free"))
    if "two" in needs and len(site.able("speaks", "books")) < 2:
        return False
    fitting = site.able(*(need for need in needs if need not in ("two", *_WAYS)))
    ways = frozenset[str]().union(*(_WAYS[need] for need in needs if need in _WAYS))
    return any(ways <= frozenset(one.notes) for one in fitting)
