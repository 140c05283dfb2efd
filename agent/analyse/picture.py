"""Draws the course of one meter: its hours as a map, its load with the estimate, the evidence over time.

The days of the horizontal axis are numbers since 1970-01-01 UTC, as everywhere, and so are matplotlib's.

Colours are told apart by people who see none of the usual differences, too: cividis for the map,
Okabe and Ito's palette (https://jfly.uni-koeln.de/color/) for the verdicts.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from agent.analyse.course import MeterCourse
from agent.analyse.features.robust import mean, quantile
from agent.analyse.history import DAY_S
from agent.records import Verdict

_COLOURS = {
    Verdict.NORMAL: "#009E73",
    Verdict.FLAT: "#56B4E9",
    Verdict.SUSPECT: "#F0E442",
    Verdict.MINING: "#D55E00",
    Verdict.DECLARED: "#0072B2",
    Verdict.INCONCLUSIVE: "#BBBBBB",
    Verdict.FAULT: "#000000",
}
_INK, _GAP, _RANGE = "#222222", "#C4C4C4", "#D6DEE8"
_HEADLINE, _LINE = 100, 140  # letters that fit the width
_MOST_LINES = 3
_ABOVE: dict[str, Any] = {
    "loc": "lower right",
    "bbox_to_anchor": (1.0, 0.98),
    "ncols": 7,
    "fontsize": 8.5,
    "frameon": False,
}


def draw(course: MeterCourse, path: Path) -> None:
    """Write the picture of one meter (PNG)."""
    figure = Figure(figsize=(12, 9), dpi=110, facecolor="white", layout="constrained")
    hours, load, score = figure.subplots(3, 1, sharex=True, height_ratios=(2.6, 2.2, 1.5))
    headline = "\n".join(textwrap.wrap(course.headline, _HEADLINE))
    figure.suptitle(headline, x=0.01, ha="left", fontsize=14, fontweight="bold", color=_INK)
    _draw_hours(figure, hours, course)
    _draw_load(load, course)
    _draw_score(score, course)
    _mark_onset((hours, load), course)
    for axes in (load, score):
        _mark_alarms(axes, course)
        axes.spines[["top", "right"]].set_visible(False)
    locator = AutoDateLocator()
    score.xaxis.set_major_locator(locator)
    score.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    figure.savefig(path)


def _draw_hours(figure: Figure, axes: Axes, course: MeterCourse) -> None:
    """Draw each day as a column of 24 hours."""
    kilowatts = course.hourly_w.T / 1000
    low, high = quantile(kilowatts.ravel(), 0.005), quantile(kilowatts.ravel(), 0.995)
    axes.set_facecolor(_GAP)
    drawn = axes.imshow(
        kilowatts,
        aspect="auto",
        origin="lower",
        extent=(course.days[0], course.days[-1] + 1, 0, 24),
        cmap="cividis",
        vmin=float(np.nan_to_num(low)),
        vmax=float(np.nan_to_num(high, nan=1.0)),
        interpolation="nearest" if len(course.score) < 1000 else "antialiased",
    )
    axes.set_yticks([0, 6, 12, 18, 24])
    axes.set_ylabel("hour of the day, UTC")
    why = textwrap.wrap(course.reasons, _LINE)[:_MOST_LINES]
    axes.set_title("\n".join([*why, "", "Load, hour by hour (grey: not known)"]), loc="left", fontsize=10, color=_INK)
    figure.colorbar(drawn, ax=axes, label="kW", pad=0.01, fraction=0.04)


def _draw_load(axes: Axes, course: MeterCourse) -> None:
    """Draw the daily mean within the day's range, and how much of it is mining."""
    kilowatts = course.hourly_w / 1000
    noons = course.days + 0.5
    lowest, highest = np.fmin.reduce(kilowatts, axis=1), np.fmax.reduce(kilowatts, axis=1)
    axes.fill_between(noons, lowest, highest, color=_RANGE, linewidth=0, label="load, lowest to highest hour")
    axes.plot(noons, mean(kilowatts), color=_INK, linewidth=1.1, label="load, mean of the day")
    low, middle, high = np.where(course.mining_w[:, 2:] > 0, course.mining_w / 1000, np.nan).T
    if np.isfinite(high).any():
        colour = _COLOURS[Verdict.MINING]
        axes.fill_between(noons, low, high, color=colour, alpha=0.35, linewidth=0, label="mining, p10 to p90")
        axes.plot(noons, middle, color=colour, linewidth=1.4, label="mining, p50")
    axes.set_ylabel("kW")
    axes.margins(y=0.05)
    if not (lowest < 0).any():
        axes.set_ylim(bottom=0)
    axes.set_title("Load, and what of it is mining", loc="left", fontsize=10, color=_INK)
    axes.legend(**_ABOVE)


def _draw_score(axes: Axes, course: MeterCourse) -> None:
    """Draw the score over a ribbon of the verdicts."""
    colours = [to_rgb(_GAP if verdict is None else _COLOURS[verdict]) for verdict in course.verdicts]
    axes.imshow(
        np.array(colours)[None],
        aspect="auto",
        extent=(course.days[0], course.days[-1] + 1, -0.24, -0.04),
        interpolation="nearest",
    )
    axes.plot(course.days + 0.5, course.score, color=_INK, linewidth=1.1)
    axes.axhline(0.5, color=_INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.text(course.days[0], 0.53, " mining from here on", fontsize=8, color=_INK, va="bottom")
    axes.set_ylim(-0.26, 1.04)
    axes.set_yticks([-0.14, 0, 0.5, 1], ["verdict", "0", "0.5", "1"])
    axes.set_ylabel("score")
    axes.set_title("Evidence: the higher, the more like mining", loc="left", fontsize=10, color=_INK)
    said = [verdict for verdict in _COLOURS if verdict in course.verdicts]
    handles = [
        Patch(facecolor=_COLOURS[verdict], edgecolor=_INK, linewidth=0.4, label=verdict.value) for verdict in said
    ]
    axes.legend(handles=handles, **_ABOVE)


def _mark_alarms(axes: Axes, course: MeterCourse) -> None:
    """Mark the midnights at which an alarm was raised or cleared."""
    for index, state in course.alarms:
        if state != "updated":
            at = course.days[index] + 1
            top = axes.get_xaxis_transform()
            marker = "v" if state == "cleared" else "^"
            axes.axvline(at, color=_INK, linewidth=0.8, linestyle=":")
            axes.plot([at], [0.97], marker=marker, color=_INK, markersize=7, clip_on=False, transform=top)
            axes.text(at, 0.97, f"  alarm {state}", color=_INK, fontsize=8, va="center", transform=top)


def _mark_onset(all_axes: Sequence[Axes], course: MeterCourse) -> None:
    """Mark since when the meter mined."""
    if course.mining is not None and course.mining.since_s is not None:
        for axes in all_axes:
            at = course.mining.since_s / DAY_S
            axes.axvline(at, color=_COLOURS[Verdict.MINING], linewidth=1.4, linestyle=(0, (5, 3)))
        top = all_axes[-1].get_xaxis_transform()
        all_axes[-1].text(at, 0.97, "began  ", color=_INK, fontsize=8, va="center", ha="right", transform=top)
