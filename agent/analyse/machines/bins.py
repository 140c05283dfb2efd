"""Ticks become bins of six seconds: one grid for every poll period up to two seconds.

Six is divided by 1 and 2, and divides every window of whole minutes. A meter that refreshes its
registers every few seconds looks the same as one that does so each second.
"""

import numpy as np

from agent.analyse.features.robust import Floats

BIN_S = 6.0
MAX_PERIOD_S = 2.0  # at least three ticks a bin: poll jitter and a missed poll move its mean by little


def binned(values: Floats, period_s: float, window_s: int) -> Floats:
    """Give the means of the known ticks of each bin, (meters, bins); NaN where none is known.

    >>> binned(np.array([[1.0, 2.0, 3.0, 5.0, np.nan, 7.0]]), 2.0, 12).tolist()
    [[2.0, 6.0]]
    """
    starts = np.ceil(np.arange(round(window_s / BIN_S)) * BIN_S / period_s - 1e-6).astype(np.intp)
    total: Floats = np.add.reduceat(values, starts, axis=-1)
    if np.isfinite(total).all():
        total /= np.diff(starts, append=values.shape[-1])
        return total
    known = np.isfinite(values)
    count = np.add.reduceat(known, starts, axis=-1, dtype=np.float64)
    total = np.add.reduceat(np.where(known, values, 0.0), starts, axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def despiked(values: Floats) -> Floats:
    """Give the median of each bin and its neighbours: a motor's surge goes, a step stays where it is.

    >>> despiked(np.array([[1.0, 1.0, 9.0, 1.0, 4.0, 4.0]])).tolist()
    [[1.0, 1.0, 1.0, 4.0, 4.0, 4.0]]
    """
    before, here, after = values[:, :-2], values[:, 1:-1], values[:, 2:]
    middle = np.maximum(np.minimum(before, here), np.minimum(np.maximum(before, here), after))
    return np.concatenate((values[:, :1], middle, values[:, -1:]), axis=-1)


def running_mean(values: Floats, width: int) -> Floats:
    """Give the means of ``width`` bins from each bin on, (meters, bins - width + 1); NaN where under half are known.

    >>> running_mean(np.array([[1.0, 3.0, np.nan, np.nan, 4.0]]), 2).tolist()
    [[2.0, 3.0, nan, 4.0]]
    """
    known = np.isfinite(values)
    total = _windowed(np.where(known, values, 0.0), width)
    if known.all():
        return total / width
    count = np.rint(_windowed(known.astype(np.float64), width))
    return np.where(2 * count >= width, total / np.maximum(count, 1.0), np.nan)


def _windowed(values: Floats, width: int) -> Floats:
    """Give sums over ``width`` neighbours; cumulative, of bins that hold at most 1e9 W: exact to 0.1 mW."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=-1, out=sums[:, 1:])
    difference: Floats = sums[:, width:] - sums[:, :-width]
    return difference
