"""Did a load move around a sub-meter? It falls there, and what its parent sees beside it rises by the same.

The parent's own reading does not change, so nothing new was switched on: a feeder was connected
elsewhere, or somebody leads a load past its meter. Q18's step at a child with the parent unchanged.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agent.analyse.features.robust import Floats, mean, median
from agent.analyse.site import Site

WEEK_DAYS = 7  # before and after: each day of the week once
_TURNING_DAYS = 4  # of a week decide its median
_LEAST_SHARE = 0.2  # of the sub-meter's load: less is its own variation
_MOST_UNLIKE = 0.25  # of what fell, hour by hour, may not be found again: noise of both, and of the week


@dataclass(frozen=True, slots=True)
class Moved:
    """A load that left a sub-meter for the part of its parent that no sub-meter sees."""

    child: int  # rows
    parent: int
    days_ago: int  # on which it moved: 1 is the last day
    watts: float  # that fell, mean of the day's hours


def moved(site: Site, own_w: Floats, least_w: float) -> Iterator[Moved]:
    """Find the loads that moved lately; ``own_w`` (meters, days, 24) is the meters' own loads until today.

    Two weeks are compared by the medians of their hours, which turn over on the fourth day after a move.
    """
    if own_w.shape[1] < 2 * WEEK_DAYS or not site.parents():
        return
    rise_w = _profile(own_w[:, -WEEK_DAYS:]) - _profile(own_w[:, -2 * WEEK_DAYS : -WEEK_DAYS])
    before_w = mean(own_w[:, -2 * WEEK_DAYS : -WEEK_DAYS].reshape(len(own_w), -1))
    names = {name: row for row, name in enumerate(site.names)}
    for child, meter in enumerate(site.meters):
        if meter.parent is None or meter.role != "load":
            continue
        parent = names[meter.parent]
        fell_w = -float(rise_w[child].mean())
        unlike_w = float(np.abs(rise_w[parent] + rise_w[child]).mean())
        enough = fell_w >= max(least_w, _LEAST_SHARE * before_w[child])
        if enough and unlike_w <= _MOST_UNLIKE * np.abs(rise_w[child]).mean():
            yield Moved(child, parent, _TURNING_DAYS, fell_w)


def _profile(hourly_w: Floats) -> Floats:
    """Give the median of each hour of the day over a week (meters, 24); NaN where under four days are known."""
    known = np.isfinite(hourly_w).sum(axis=1) >= _TURNING_DAYS
    return np.where(known, median(hourly_w, axis=1), np.nan)
