"""How high and how steady a load stands. All functions take (meters, n) mean powers in W and give (meters,)."""

import numpy as np

from agent.analyse.features.robust import Floats, mean, median, quantile, ratio


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
    ordered = np.sort(power_w, axis=-1)
    count = np.isfinite(ordered).sum(axis=-1)
    half = count // 2
    n = ordered.shape[-1]
    start = np.arange(n)
    end = start + np.maximum(half[..., None] - 1, 0)
    inside = end < count[..., None]
    width = np.take_along_axis(ordered, np.minimum(end, n - 1), axis=-1) - ordered
    narrowest = np.where(inside, width, np.inf).min(axis=-1)
    return np.where(count > 1, ratio(narrowest, mean(power_w)), np.nan)
