"""Order statistics along an axis that ignore NaN, by sorting once (NaN sorts last).

NumPy's own ``nanmedian`` and ``nanquantile`` walk row by row through Python when rows hold
NaN; these stay vectorised, which is what lets one call serve all meters.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def quantile(values: Floats, q: float, axis: int = -1) -> Floats:
    """Give the ``q``-quantile (0 to 1, linear interpolation) along ``axis``; NaN where nothing is finite.

    >>> quantile(np.array([4.0, np.nan, 1.0, 3.0, 2.0]), 0.5).item()
    2.5
    """
    return quantile_of_sorted(np.sort(values if axis == -1 else np.moveaxis(values, axis, -1), axis=-1), q)


def quantile_of_sorted(ordered: Floats, q: float) -> Floats:
    """Give the ``q``-quantile of each row that is sorted already, NaN last: one sort serves many.

    >>> quantile_of_sorted(np.array([1.0, 2.0, 3.0, np.nan]), 0.5).item()
    2.0
    """
    n = ordered.shape[-1]
    if not n:
        return np.full(ordered.shape[:-1], np.nan)
    if np.isfinite(ordered[..., -1]).all():  # nothing is missing, as mostly
        rank = q * (n - 1)
        low = int(rank)
        at_low, at_high = ordered[..., low], ordered[..., min(low + 1, n - 1)]
        whole: Floats = at_low + (rank - low) * (at_high - at_low)
        return whole
    last = np.maximum(np.isfinite(ordered).sum(axis=-1) - 1, 0)
    rank = q * last
    low = rank.astype(np.intp)
    row = np.arange(last.size).reshape(last.shape) * n  # of the flat array: cheaper than take_along_axis
    at_low = ordered.ravel()[row + low]
    at_high = ordered.ravel()[row + np.minimum(low + 1, last)]
    result: Floats = at_low + (rank - low) * (at_high - at_low)
    return result


def quantiles(values: Floats, qs: Sequence[float]) -> list[Floats]:
    """Give several quantiles along the last axis at the price of one sort.

    >>> [q.item() for q in quantiles(np.array([4.0, np.nan, 1.0, 3.0, 2.0]), (0.0, 0.5, 1.0))]
    [1.0, 2.5, 4.0]
    """
    ordered = np.sort(values, axis=-1)
    return [quantile_of_sorted(ordered, q) for q in qs]


def median(values: Floats, axis: int = -1) -> Floats:
    """Give the median along ``axis``; NaN where nothing is finite.

    >>> median(np.array([[1.0, 9.0, 2.0], [np.nan, np.nan, np.nan]])).tolist()
    [2.0, nan]
    """
    return quantile(values, 0.5, axis)


def mean(values: Floats, axis: int = -1) -> Floats:
    """Give the mean of the finite values along ``axis``; NaN where there are none.

    >>> mean(np.array([1.0, np.nan, 3.0])).item()
    2.0
    """
    if values.shape[axis] and np.isfinite(total := values.sum(axis=axis)).all():
        return np.asarray(total / values.shape[axis])  # nothing is missing, as mostly
    finite = np.isfinite(values)
    count = finite.sum(axis=axis)
    total = np.where(finite, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; NaN, not infinity, where the denominator is 0: an idle feeder has no shape.

    >>> ratio(np.array([1.0, 0.0, 1.0]), np.array([2.0, 0.0, 0.0])).tolist()
    [0.5, nan, nan]
    """
    quotient: Floats = numerator / np.where(denominator == 0, np.nan, denominator)
    return quotient


def moments(values: Floats) -> tuple[Floats, Floats]:
    """Give the mean and the standard deviation (of the population, in two passes) of each row.

    NaN where nothing is finite, the deviation where under two values are.

    >>> middle, deviation = moments(np.array([[1e8 + 1, 1e8 - 1], [5.0, np.nan]]))
    >>> middle.tolist(), deviation.tolist()
    ([100000000.0, 5.0], [1.0, nan])
    """
    finite = np.isfinite(values)
    count = finite.sum(axis=-1)
    middle = np.where(count > 0, np.where(finite, values, 0.0).sum(axis=-1) / np.maximum(count, 1), np.nan)
    off = np.where(finite, values - middle[:, None], 0.0)
    return middle, np.where(count > 1, np.sqrt(product_sum(off, off) / np.maximum(count, 1)), np.nan)


def shortest_half(values: Floats) -> tuple[Floats, Floats]:
    """Give the ends of the shortest interval that holds half of each row (meters, n); NaN where under two are finite.

    >>> low, high = shortest_half(np.array([[100.0, 101.0, 102.0, 50.0, 10.0, 150.0]]))
    >>> low.item(), high.item()
    (100.0, 102.0)
    """
    ordered = np.sort(values, axis=-1)
    count = np.isfinite(ordered).sum(axis=-1)
    ends = np.full((2, len(values)), np.nan)
    for n in np.unique(count[count > 1]):  # rows with equally many are done at once
        rows, beyond = np.flatnonzero(count == n), n // 2 - 1
        known = ordered[rows, :n]
        first = (known[:, beyond:] - known[:, : n - beyond]).argmin(axis=-1)
        ends[:, rows] = ordered[rows, first], ordered[rows, first + beyond]
    return ends[0], ends[1]


def centred(values: Floats) -> Floats:
    """Subtract each row's mean, (meters, n), with 0 where a value is unknown.

    A row that is flat to a billionth becomes zeros, not the noise of rounding.

    >>> centred(np.array([[1.0, 3.0, np.nan], [0.1, 0.1 + 1e-12, 0.1]])).tolist()
    [[-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    middle = mean(values)
    off = zeroed(values - middle[:, None])
    off[product_sum(off, off) <= (1e-9 * middle) ** 2 * values.shape[-1]] = 0.0
    return off


def zeroed(values: Floats) -> Floats:
    """Put 0 in the place of NaN, where a sum is to pass over it.

    >>> zeroed(np.array([1.0, np.nan])).tolist()
    [1.0, 0.0]
    """
    return np.where(np.isfinite(values), values, 0.0)


def product_sum(first: Floats, second: Floats) -> Floats:
    """Sum the products of each row, all finite.

    >>> product_sum(np.array([[3.0, 4.0]]), np.array([[3.0, 4.0]])).item()
    25.0
    """
    total: Floats = np.einsum("mi,mi->m", first, second)
    return total


def median_of_others(values: Floats) -> Floats:
    """Give, for each of (meters, n), the median of the other known meters in its column; NaN where there is none.

    From one sort: what stands at or behind a meter's own place moves up by one without it.

    >>> median_of_others(np.array([[1.0], [2.0], [9.0], [np.nan]])).ravel().tolist()
    [5.5, 5.0, 1.5, 2.0]
    """
    order = np.argsort(values, axis=0)
    place = np.argsort(order, axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    known = np.isfinite(values)
    others = known.sum(axis=0) - known
    total = np.zeros(values.shape)
    for rank in (np.maximum(others - 1, 0) // 2, others // 2):
        moved = np.where(known & (rank >= place), rank + 1, rank)
        total += np.take_along_axis(ordered, np.minimum(moved, len(values) - 1), axis=0)
    return np.where(others > 0, total / 2, np.nan)
