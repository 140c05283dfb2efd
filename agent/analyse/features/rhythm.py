"""How a load follows the day and the week. Arrays are hourly means in W, shape (meters, days, 24)."""

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import Floats, mean, median, ratio


def weekend_to_workday(hourly_w: Floats, weekend: NDArray[np.bool_]) -> Floats:
    """Mean of the weekend days over the mean of the others; 1 where the calendar does not matter.

    ``weekend`` has shape (days,). NaN where one of the two kinds of day has no data.

    >>> hourly = np.ones((1, 7, 24)); hourly[0, 5:] = 0.5
    >>> weekend_to_workday(hourly, np.array([False] * 5 + [True] * 2)).item()
    0.5
    """
    off = mean(hourly_w[:, weekend].reshape(len(hourly_w), -1))
    work = mean(hourly_w[:, ~weekend].reshape(len(hourly_w), -1))
    return ratio(off, work)


def daily_range(hourly_w: Floats) -> Floats:
    """Range of the median day over the mean: 0 for a load without a daily rhythm, 1 and more for an office.

    >>> daily_range(np.full((1, 7, 24), 5.0)).item()
    0.0
    """
    day = median(hourly_w, axis=1)
    span: Floats = day.max(axis=-1) - day.min(axis=-1)
    return ratio(span, mean(hourly_w.reshape(len(hourly_w), -1)))


def roughness(hourly_w: Floats) -> Floats:
    """Mean absolute change from hour to hour over the mean; 0 for a constant.

    >>> roughness(np.tile([90.0, 110.0], (1, 2, 12))).round(2).item()
    0.2
    """
    series = hourly_w.reshape(len(hourly_w), -1)
    return ratio(mean(np.abs(np.diff(series, axis=-1))), mean(series))


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
