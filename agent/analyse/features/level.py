"""How high and how steady a load stands. All functions take (meters, n) mean powers in W and give (meters,).

What is said to be usual here and in the other modules is the median, with the 5th and 95th
percentile in brackets, of 56 days of hours: offices of the Building Data Genome 2, and simulated farms.
"""

import numpy as np

from agent.analyse.features.robust import (
    Floats,
    mean,
    median,
    moments,
    quantile,
    quantiles,
    ratio,
    shortest_half,
)


def load_factor(power_w: Floats) -> Floats:
    """Mean over peak, the peak being the 99.5th percentile; 0 to 1, near 1 for a load that never rests.

    Utility practice; the percentile keeps one spike from deciding. An ideal farm has 0.975,
    an office about 0.6 (docs/detection.md).

    >>> load_factor(np.array([[10.0, 10.0, 10.0, 10.0]])).item()
    1.0
    >>> round(load_factor(np.array([[0.0, 0.0, 10.0, 10.0]])).item(), 2)
    0.5
    """
    return ratio(mean(power_w), quantile(power_w, 0.995))


def dwell(power_w: Floats) -> Floats:
    """Share of time within 5 % of the median, 0 to 1: the mass of the load's main mode.

    Curtailment does not spoil it, while variance and minima point the wrong way then.

    >>> dwell(np.array([[100.0, 102.0, 98.0, 0.0]])).item()
    0.75
    """
    middle = median(power_w)[..., None]
    near = np.abs(power_w - middle) < 0.05 * np.abs(middle)
    count = np.isfinite(power_w).sum(axis=-1)
    return np.where(count > 0, near.sum(axis=-1) / np.maximum(count, 1), np.nan)


def shorth(power_w: Floats) -> Floats:
    """Width of the shortest interval that holds half of the values, over the mean; 0 for a constant.

    The shortest half of robust statistics. A farm has 0.01, a building 0.1 to 0.5.

    >>> shorth(np.array([[100.0, 101.0, 102.0, 50.0, 10.0, 150.0]])).round(3).item()
    0.023
    """
    low, high = shortest_half(power_w)
    return ratio(high - low, mean(power_w))


def coefficient_of_variation(power_w: Floats) -> Floats:
    """Standard deviation over mean, 0 for a constant; NaN where under two values are known.

    Offices have 0.3 (0.08 to 0.6), an ideal farm 0.01, but one that is curtailed on half of the workdays 0.24.
    Of daily values it tells how alike the days are: the Jiangsu indicator (docs/features.md).

    >>> coefficient_of_variation(np.array([[90.0, 110.0, np.nan]])).item()
    0.1
    """
    middle, deviation = moments(power_w)
    return ratio(deviation, middle)


def base_to_mean(power_w: Floats) -> Floats:
    """2.5th percentile over mean, at most 1: the share of the load that never rests (Price, LBNL 2010).

    Offices have 0.57 (0.33 to 0.84), an ideal farm 0.98, a curtailed one 0.03: it points the wrong way then.

    >>> base_to_mean(np.array([[50.0] * 10 + [150.0] * 10])).item()
    0.5
    """
    return ratio(quantile(power_w, 0.025), mean(power_w))


def base_to_peak(power_w: Floats) -> Floats:
    """2.5th percentile over 97.5th, at most 1 (Price, LBNL 2010): near-base load over near-peak load.

    Offices have 0.35, an ideal farm 0.96, a curtailed one 0.03.

    >>> round(base_to_peak(np.array([[50.0] * 10 + [150.0] * 10])).item(), 3)
    0.333
    """
    low, high = quantiles(power_w, (0.025, 0.975))
    return ratio(low, high)


def changes(power_w: Floats) -> Floats:
    """Absolute change from value to value in W, (meters, n - 1); NaN where either is unknown.

    >>> changes(np.array([[100.0, 90.0, np.nan]])).tolist()
    [[10.0, nan]]
    """
    change = np.diff(power_w, axis=-1)
    return np.abs(change, out=change)


def roughness(power_w: Floats) -> Floats:
    """Mean absolute change from value to value over the mean; 0 for a constant, NaN without two neighbours known.

    Hourly, offices have 0.08 (0.02 to 0.19) and an ideal farm 0.01. tsfresh calls its numerator ``mean_abs_change``.

    >>> roughness(np.array([[100.0, 110.0, 100.0, np.nan, 100.0]])).round(4).item()
    0.0976
    """
    return ratio(mean(changes(power_w)), mean(power_w))


def largest_ramp(power_w: Floats) -> Floats:
    """Largest absolute change from value to value over the mean; 0 for a constant.

    Hourly, offices have 0.8 (0.2 to 1.6), a steady farm 0.05, one that is switched 1.

    >>> largest_ramp(np.array([[100.0, 0.0, 100.0, 200.0]])).item()
    1.0
    """
    return ratio(np.fmax.reduce(changes(power_w), axis=-1, initial=np.nan), mean(power_w))


def repeat_share(readings: Floats) -> Floats:
    """Share of neighbouring readings that are the same number, 0 to 1; NaN without two neighbours known.

    The stuck-register guard: above a half it is a fault of the data, not flatness (a meter of
    the BDG2 collection has 0.87). Two zeros say nothing: an idle feeder repeats them.

    >>> repeat_share(np.array([[7.1, 7.1, 7.1, 7.2, 0.0, 0.0]])).item()
    0.5
    """
    before, after = readings[..., :-1], readings[..., 1:]
    telling = np.isfinite(before) & np.isfinite(after) & ((before != 0) | (after != 0))
    same = telling & (before == after)
    return ratio(same.sum(axis=-1).astype(np.float64), telling.sum(axis=-1).astype(np.float64))
