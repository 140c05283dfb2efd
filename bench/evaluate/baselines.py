"""Two detectors that anybody would try first, on the same meters: a plain rule of flatness, and a naive step score.

Each gives a score a day from nothing later than that day. An alarm is raised on the first day
above the threshold, and again only after four weeks below it.
"""

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from agent.analyse.features.robust import median, quantile
from bench.evaluate.data import KNOWN_HOURS, Floats

Score = Callable[[Floats], Floats]

FLAT_DAYS = 56
STEP_DAYS = 14
QUIET_DAYS = 28
_MIN_KNOWN = 0.75  # of a window


def flatness(hourly_w: Floats) -> Floats:
    """Score each day by the load factor and the coefficient of variation of the eight weeks that end with it.

    The reference's rules, LF > 0.85 and CV < 0.08, or tighter LF > 0.93 and CV < 0.035, lie on one
    line: 1 - LF and 2 CV both under a limit. The score is the negative of the limit that the day
    would just pass, so higher is flatter; shape (days,), -inf where too little is known.
    """
    windows = sliding_window_view(hourly_w.ravel(), FLAT_DAYS * 24)[::24]
    mean_w = np.nanmean(windows, axis=1)
    gap = 1 - mean_w / quantile(windows, 0.995)
    variation = np.nanstd(windows, axis=1) / mean_w
    enough = np.isfinite(windows).mean(axis=1) >= _MIN_KNOWN
    return _from_the_end(len(hourly_w), np.where(enough, -np.maximum(gap, 2 * variation), -np.inf))


def step(hourly_w: Floats) -> Floats:
    """Score each day by the rise of the baseload's median from one fortnight to the next, as a z-score.

    The baseload is the 5th percentile of a day's hours. The spread is 1.4826 times the median
    absolute difference of consecutive days in these four weeks; shape (days,), -inf where too
    little is known.
    """
    known = np.isfinite(hourly_w).sum(axis=1) >= KNOWN_HOURS
    base_w = np.where(known, quantile(hourly_w, 0.05), np.nan)
    windows = sliding_window_view(base_w, 2 * STEP_DAYS)
    before, after = windows[:, :STEP_DAYS], windows[:, STEP_DAYS:]
    rounding = 0.005 * np.nanmean(windows, axis=1)  # of a register, which may have no other spread
    spread_w = 1.4826 * median(np.abs(np.diff(windows))) + rounding
    enough = (np.isfinite(before).mean(axis=1) >= _MIN_KNOWN) & (np.isfinite(after).mean(axis=1) >= _MIN_KNOWN)
    return _from_the_end(len(hourly_w), np.where(enough, (median(after) - median(before)) / spread_w, -np.inf))


def _from_the_end(days: int, scores: Floats) -> Floats:
    """Give scores of each day; the first ones have no window."""
    return np.concatenate([np.full(days - len(scores), -np.inf), scores])


def raised(score: Floats, threshold: float) -> NDArray[np.intp]:
    """Give the days on which an alarm is raised.

    >>> raised(np.array([0.0, 3.0, 3.0, 0.0, 3.0]), 2.0).tolist()
    [1]
    """
    above = np.flatnonzero(score > threshold)
    first = np.diff(above, prepend=-QUIET_DAYS - 1) > QUIET_DAYS
    return above[first]


def threshold(scores: list[Floats], most_alarms: float) -> float:
    """Give the lowest threshold at which all ``scores`` together raise no more than ``most_alarms``.

    >>> threshold([np.array([1.0, 5.0]), np.array([2.0, 3.0])], 1.0)
    3.0
    """
    candidates = np.unique(np.concatenate([score[np.isfinite(score)] for score in scores]))
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if sum(len(raised(score, candidates[middle])) for score in scores) <= most_alarms:
            high = middle
        else:
            low = middle + 1
    return float(candidates[low])
