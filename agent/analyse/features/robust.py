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
    ordered = np.sort(np.moveaxis(values, axis, -1), axis=-1)
    if not ordered.shape[-1]:
        return np.full(ordered.shape[:-1], np.nan)
    count = np.isfinite(ordered).sum(axis=-1)
    rank = q * np.maximum(count - 1, 0)
    low = np.floor(rank).astype(np.intp)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    at_low = np.take_along_axis(ordered, low[..., None], axis=-1)[..., 0]
    at_high = np.take_along_axis(ordered, high[..., None], axis=-1)[..., 0]
    result = at_low + (rank - low) * (at_high - at_low)
    return np.where(count > 0, result, np.nan)


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
