"""The picture of `simulate`: open tasks, escalations and sends, week by week, one column a side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import click

from referral_engine.cli.side_by_side import queues_of, week_of
from referral_engine.flow.figures import Figures
from referral_engine.flow.lanes import DESKS, EHR, PATIENT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Weeks = Mapping[str, Sequence[int]]  # a layer of the bars by its name
Side = tuple[str, Figures]

DOTS_AN_INCH: Final = 150
SALT: Final = "referral-engine"  # of the names inside an SVG: the same figures give the same file
LAYERS_MAX: Final = 7  # that have a colour of their own; the rest is one grey layer
REST: Final = "all others"
# Okabe and Ito: told apart by people who see few colours.
COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
GREY: Final = "#B0B0B0"
INK: Final = "#333333"
ROOM_ABOVE: Final = 1.15  # of the tallest bar, for the number above it
ROOM_FOR_A_NAME: Final = 1.27  # and for the side's name above that
WEEK: Final = 7
LABELS_MAX: Final = 14  # weeks whose dates fit side by side
# What a clock that ran out means to somebody who never saw the files.
MEANINGS: Final[Mapping[str, str]] = {
    "patient-prompt-late": "patient not reached",
    "delivered": "order did not arrive",
    "confirm": "specialist did not confirm",
    "schedule": "no appointment yet",
    "open-30": "open for too long",
    "attended?-late": "nobody knows who came",
    "note-ping": "note is late",
    "note-request": "records requested",
    "note-physician": "still no note",
    "closure-accepted": "EHR took no closure",
    "hold-remind": "waits for the payer",
    "hold-billing": "payer is late",
    "authorization-ends": "authorization ended",
    "cancel-confirm": "cancel not confirmed",
    "rebook": "no new appointment",
    "review-age": "nobody looked at a match",
}
# What is sent, in a few words: by lane, for the EHR and for specialists by purpose.
_DESKS: Final[Mapping[str, str]] = {
    PATIENT: "patients: invitations and reminders",
    **dict.fromkeys(DESKS, "team, payer and billing"),
}
_SAID: Final[Mapping[str, str]] = {
    **dict.fromkeys(("status", "appointment"), "EHR: status and appointments"),
    **dict.fromkeys(("task", "provider-notice"), "EHR: tasks and notices"),
    **dict.fromkeys(("closure", "correction", "retraction"), "EHR: consult notes"),
}
_ASKED: Final[Mapping[str, str]] = dict.fromkeys(
    ("order", "fallback-order", "order-change", "cancel"), "specialists: orders and changes"
)
_BLANK: Final = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # behind the name of a side
_CHASED: Final = "specialists: questions and reminders"

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # that a user without a home has no cache is no news


def refuse_without_library() -> None:
    """One sentence, when what draws is not installed."""
    try:
        import matplotlib as mpl  # noqa: F401  # only whether it is there
    except ImportError:
        raise click.ClickException(
            'a picture needs matplotlib, which is not installed: pip install "referral-engine[plot]"'
        ) from None


def draw(path: str, title: str, sides: Sequence[Side]) -> None:
    """Write the picture; the same figures give the same bytes."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    look: dict[Any, Any] = {  # matplotlib lists every key as a type
        "svg.hashsalt": SALT, "svg.fonttype": "path", "font.size": 10, "font.family": "DejaVu Sans",
        "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": "#999999",
    }  # fmt: skip
    with mpl.rc_context(look):
        figure = Figure(figsize=(7.6 if len(sides) == 1 else 12.8, 10.6), layout="constrained")
        _fill(figure, title, sides)
        metadata: dict[str, Any] = {"Date": None} if path.lower().endswith(".svg") else {"Software": None}
        try:
            figure.savefig(path, dpi=DOTS_AN_INCH, metadata=metadata)
        except OSError as error:
            raise click.ClickException(f"{path} cannot be written: {error.strerror or error}") from None


def _fill(figure: Figure, title: str, sides: Sequence[Side]) -> None:
    figure.suptitle(f"How much work would these files make?\n{title}", fontsize=12)
    rows: tuple[tuple[str, str, Callable[[Figures], Weeks]], ...] = (
        ("Open tasks at the end of each week, by queue", "open tasks", _open_tasks),
        ("Escalations in each week: what was not done in time", "escalations", _escalations),
        ("Messages sent in each week", "messages", _sends),
    )
    axes = figure.subplots(len(rows), len(sides), sharex=True, sharey="row", squeeze=False)
    for number, (heading, unit, of) in enumerate(rows):
        found = [of(figures) for _, figures in sides]
        names = _layers(found)
        tallest = max(
            _bars(axes[number][column], names, found[column], len(side[1].weeks)) for column, side in enumerate(sides)
        )
        axes[number][0].set_ylim(0, max(tallest, 1) * (ROOM_ABOVE if len(sides) == 1 else ROOM_FOR_A_NAME))
        axes[number][0].set_ylabel(unit)
        axes[number][0].set_title(heading, fontsize=10.5, fontweight="bold", loc="left")
        handles, labels = axes[number][0].get_legend_handles_labels()
        axes[number][-1].legend(
            handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9
        )
    for column, (side, figures) in enumerate(sides):
        _name_weeks(axes[-1][column], figures)
        if len(sides) > 1:
            for row in axes:
                row[column].text(
                    0.01, 0.97, side, transform=row[column].transAxes, va="top", fontstyle="italic", bbox=_BLANK
                )


def _bars(axes: Axes, names: Sequence[str], weeks: Weeks, number: int) -> int:
    """One stacked bar a week with its height above it; the tallest one."""
    from matplotlib.ticker import MaxNLocator

    bottom = [0] * number
    for place, name in enumerate(names):
        heights = _rest(weeks, names, number) if name == REST else list(weeks.get(name, [0] * number))
        colour = GREY if name == REST else COLOURS[place]
        axes.bar(range(number), heights, 0.8, bottom=bottom, label=name, color=colour, edgecolor="white", linewidth=0.4)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    if number <= 2 * LABELS_MAX:
        for week, height in enumerate(bottom):
            axes.annotate(str(height), (week, height), (0, 2), textcoords="offset points", ha="center", fontsize=8)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    return max(bottom, default=0)


def _name_weeks(axes: Axes, figures: Figures) -> None:
    step = -(-len(figures.weeks) // LABELS_MAX)
    places = range(0, len(figures.weeks), step)
    days = [date.fromisoformat(figures.weeks[place]) for place in places]
    labels = [f"{day.day} {day:%b}" for day in days]
    short = figures.days % WEEK
    if short and places[-1] == len(figures.weeks) - 1:
        labels[-1] += f" ({short} {'day' if short == 1 else 'days'})"
    axes.set_xticks(list(places), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_xlabel("week that begins on")


def _layers(found: Sequence[Weeks]) -> list[str]:
    """The names of the layers, the largest of both sides at the bottom; the small ones are one."""
    sums = {name: sum(sum(weeks.get(name, ())) for weeks in found) for weeks in found for name in weeks}
    names = sorted((name for name, number in sums.items() if number), key=lambda name: (-sums[name], name))
    return names if len(names) <= LAYERS_MAX else [*names[: LAYERS_MAX - 1], REST]


def _rest(weeks: Weeks, names: Sequence[str], number: int) -> list[int]:
    small = [heights for name, heights in weeks.items() if name not in names]
    return [sum(heights[week] for heights in small) for week in range(number)]


def _open_tasks(figures: Figures) -> Weeks:
    weeks = range(1, len(figures.weeks) + 1)
    return {
        queue: [one.open if (one := week_of(figures, queue, week)) else 0 for week in weeks]
        for queue in queues_of(figures)
    }


def _escalations(figures: Figures) -> Weeks:
    return {f"{MEANINGS.get(kind, kind)} ({kind})": weeks for kind, weeks in figures.escalations.items()}


def _sends(figures: Figures) -> Weeks:
    """Sendings by who gets them and what for."""
    found: dict[str, list[int]] = {}
    for one in figures.sendings:
        name = _DESKS.get(one.lane) or (
            _SAID.get(one.kind, "EHR: others") if one.lane == EHR else _ASKED.get(one.kind, _CHASED)
        )
        sums = found.setdefault(name, [0] * len(figures.weeks))
        found[name] = [before + number for before, number in zip(sums, one.weeks, strict=True)]
    return found
