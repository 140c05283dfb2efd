"""Order statistics along an axis that ignore NaN, by sorting once (NaN sorts last).

NumPy's own ``nanmedian`` and ``nanquantile`` walk row by row through Python when rows hold
NaN; these stay vectorised, which is what lets one call serve all meters.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def quantile(values: Floats, q: float, axis: int = -1) -> Floats:
    """Give the ``q``-quantile (0 to 1, linear interpolation) along ``axis``; NaN where nothing is finite.

    >>> quantile(np.array([4.0, np.nan, 1.0, 3.0, 2.0]), 0.5).item()
    2.5
    """
    ordered = np.sort(values if axis == -1 else np.moveaxis(values, axis, -1), axis=-1)
    n = ordered.shape[-1]
    if not n:
        return np.full(ordered.shape[:-1], np.nan)
    last = np.maximum(np.isfinite(ordered).sum(axis=-1) - 1, 0)
    rank = q * last
    low = rank.astype(np.intp)
    row = np.arange(last.size).reshape(last.shape) * n  # of the flat array: cheaper than take_along_axis
    at_low = ordered.ravel()[row + low]
    at_high = ordered.ravel()[row + np.minimum(low + 1, last)]
    result: Floats = at_low + (rank - low) * (at_high - at_low)
    return result


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
