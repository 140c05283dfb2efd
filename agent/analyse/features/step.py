"""What changed two weeks ago: the last fortnight of a load against the one before.

The edge is fixed, so each function answers "if something began then, what was it?"; the search
for the day on which it began is ``agent/analyse/detect/hidden.py``. With the edge known, these
are by far the most telling features of a hidden farm (docs/features.md).
"""

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import (
    Floats,
    centred,
    mean,
    median,
    median_of_others,
    product_sum,
    quantile,
    ratio,
)

FORTNIGHT = 14  # two of each day of the week on either side
_MIN_DAYS = 10  # known of a fortnight, so that a single week does not speak for it
_SOFTENER = 0.02  # of the mean load: a register's rounding makes a spread of nothing else


def baseload_step(base_w: Floats, before_w: Floats) -> Floats:
    """Rise of the median daily baseload, over the mean load before; 0 where nothing began.

    (med base of the last 14 days - med base of the 14 days before) / ``before_w``. ``base_w``
    (meters, days), ``before_w`` (meters,), both W. A hidden farm has its share of the earlier
    load; nine in ten clean windows lie within ±0.11. AUC of a farm of 25 % of the load, onset known: 0.97.
    NaN where under ten days of either fortnight are known.

    >>> baseload_step(np.array([[10.0] * 14 + [14.0] * 14]), np.array([20.0])).item()
    0.2
    """
    return ratio(_rise(base_w), before_w)


def step_clarity(base_w: Floats) -> Floats:
    """Rise of the median daily baseload over what is usual from day to day, in standard deviations.

    The step over 1.4826 med|Δbase| of the 28 days, the robust estimate of a normal deviation.
    Nine in ten clean windows lie within ±2.9. NaN as the step, and where more than half of the days repeat
    the one before: a baseload that never moves has no scale.

    >>> step_clarity(np.array([[10.0, 11.0] * 7 + [20.0, 21.0] * 7])).round(2).item()
    6.74
    """
    usual = 1.4826 * median(np.abs(np.diff(_last_four_weeks(base_w), axis=-1)))
    return ratio(_rise(base_w), usual)


def peer_step(base_w: Floats) -> Floats:
    """Rise of the baseload, over its own four-week median, beyond that of the site's other meters.

    Each day the median of the other meters, each over its own four-week median, is taken off first
    (difference in differences): a term starts everywhere, a farm in one place. ``base_w``
    (meters, days) of one site. NaN for a meter without others, and as the step. Of two meters,
    a farm behind one gives the other a fall.

    >>> quiet, term, farm = [10.0] * 28, [10.0] * 14 + [12.0] * 14, [10.0] * 14 + [15.0] * 14
    >>> peer_step(np.array([quiet] * 3 + [farm])).round(2).tolist(), peer_step(np.array([term] * 3)).tolist()
    ([0.0, 0.0, 0.0, 0.4], [0.0, 0.0, 0.0])
    """
    recent = _last_four_weeks(base_w)
    relative = ratio(recent, median(recent)[:, None])
    return _rise(relative - median_of_others(relative))


def hour_levels(hourly_w: Floats, weekend: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Median load of each of the 48 hours of workday and weekend, (meters, 48), before and after the edge.

    ``hourly_w`` (meters, days, 24). NaN where an hour was not seen twice.

    >>> before, after = hour_levels(np.full((1, 28, 24), 5.0), np.arange(28) % 7 >= 5)
    >>> before.shape, after[0, 0].item()
    ((1, 48), 5.0)
    """
    by_hour = np.ascontiguousarray(_last_four_weeks(hourly_w).swapaxes(1, 2))  # (meters, 24, 28)
    rest = _last_four_weeks(weekend[None].astype(np.float64))[0]
    days = np.arange(2 * FORTNIGHT)
    before, after = (
        np.concatenate([_level(by_hour[:, :, part & (rest == kind)]) for kind in (0, 1)], axis=-1)
        for part in (days < FORTNIGHT, days >= FORTNIGHT)
    )
    return before, after


def lift_floor(lift_w: Floats, before_w: Floats) -> Floats:
    """Tenth percentile of the lift of the 48 hours, over the mean load before: what nearly every hour rose by.

    Farms of a quarter of an office's load have 0.20 (-0.17 to 0.28), clean windows -0.08 (-0.45 to 0.03).

    >>> lift_floor(np.array([[5.0] * 48]), np.array([50.0])).item()
    0.1
    """
    return ratio(quantile(lift_w, 0.1), before_w)


def lift_evenness(lift_w: Floats, before_w: Floats) -> Floats:
    """Median of the lift of the 48 hours over its interquartile range, softened by 2 % of the mean load before.

    Farms of a quarter of an office's load have 3.0 (0.5 to 8), clean windows lie within ±1.1.

    >>> lift_evenness(np.array([[5.0] * 48, [0.0, 10.0] * 24]), np.array([50.0, 50.0])).round(2).tolist()
    [5.0, 0.45]
    """
    spread = quantile(lift_w, 0.75) - quantile(lift_w, 0.25)
    return ratio(median(lift_w), spread + _SOFTENER * np.abs(before_w))


def offset_fit(before: Floats, after: Floats) -> tuple[Floats, Floats]:
    """Fit after = a + b · before over the hours, least squares; gives a in W and b, both (meters,).

    A constant load that began has its power as a, and b = 1; a building that is used more has
    b > 1. Telling, but a poor estimate: as such it errs by 17 points of the total. NaN where
    under three hours are known or all were alike before.

    >>> a, b = offset_fit(np.array([[10.0, 20.0, 30.0]]), np.array([[15.0, 25.0, 35.0]]))
    >>> a.item(), b.item()
    (5.0, 1.0)
    """
    known = np.isfinite(before) & np.isfinite(after)
    x, y = np.where(known, before, np.nan), np.where(known, after, np.nan)
    off_x, off_y = centred(x), centred(y)
    spread = np.where(known.sum(axis=-1) > 2, product_sum(off_x, off_x), np.nan)
    slope = ratio(product_sum(off_x, off_y), spread)
    return mean(y) - slope * mean(x), slope


def _rise(base: Floats) -> Floats:
    """Median of the last fortnight less that of the one before, (meters,)."""
    before, after = np.split(_last_four_weeks(base), 2, axis=-1)
    seen = (np.isfinite(before).sum(axis=-1) >= _MIN_DAYS) & (np.isfinite(after).sum(axis=-1) >= _MIN_DAYS)
    return np.where(seen, median(after) - median(before), np.nan)


def _last_four_weeks(days: Floats) -> Floats:
    """Give the last 28 days along the second axis, NaN in front where there are fewer."""
    recent = days[:, -2 * FORTNIGHT :]
    missing = 2 * FORTNIGHT - recent.shape[1]
    padding = [(0, 0), (missing, 0), *[(0, 0)] * (recent.ndim - 2)]
    return np.pad(recent, padding, constant_values=np.nan)


def _level(hours: Floats) -> Floats:
    return np.where(np.isfinite(hours).sum(axis=-1) >= 2, median(hours), np.nan)
