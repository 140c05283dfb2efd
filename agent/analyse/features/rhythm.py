"""How a load follows the day and the week. Arrays are hourly means in W, shape (meters, days, 24)."""

import numpy as np

from agent.analyse.features.robust import Floats


def baseload(hourly_w: Floats) -> Floats:
    """Mean of the six lowest hours of each day, shape (meters, days); NaN where under 18 hours are known.

    Price, LBNL 2010, uses the 2.5th percentile as near-base load; six hours are its robust
    kin for hourly data, and a mean of six halves the noise of a percentile of 24.

    >>> baseload(np.arange(24.0).reshape(1, 1, 24)).item()
    2.5
    """
    known = np.isfinite(hourly_w).sum(axis=-1)
    lowest = np.sort(hourly_w, axis=-1)[..., :6].mean(axis=-1)
    return np.where(known >= 18, lowest, np.nan)
