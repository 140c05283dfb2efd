"""How a load follows the day and the week. Arrays are hourly means in W, shape (meters, days, 24).

Hours are those of UTC, as everywhere in the data: what needs the hour of the people who work
there (:func:`night_to_day`) is exact near longitude 0 only.
"""

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import Floats, centred, mean, median, product_sum, ratio

HOURS_OF_WEEK = 168
MIN_HOURS = 18  # of a day: three quarters, or its lowest hours may be among those that are missing


def baseload(hourly_w: Floats) -> Floats:
    """Mean of the six lowest hours of each day, shape (meters, days); NaN where under 18 hours are known.

    Price, LBNL 2010, uses the 2.5th percentile as near-base load; six hours are its robust
    kin for hourly data, and a mean of six halves the noise of a percentile of 24.

    >>> baseload(np.arange(24.0).reshape(1, 1, 24)).item()
    2.5
    """
    known = np.isfinite(hourly_w).sum(axis=-1)
    lowest = np.sort(hourly_w, axis=-1)[..., :6].mean(axis=-1)
    return np.where(known >= MIN_HOURS, lowest, np.nan)


def daily_mean(hourly_w: Floats) -> Floats:
    """Mean of each day in W, shape (meters, days); NaN where under 18 hours are known.

    >>> daily_mean(np.arange(24.0).reshape(1, 1, 24)).item()
    11.5
    """
    known = np.isfinite(hourly_w).sum(axis=-1)
    return np.where(known >= MIN_HOURS, mean(hourly_w), np.nan)


def night_to_day(hourly_w: Floats, weekend: NDArray[np.bool_]) -> Floats:
    """Mean of 0 to 5 o'clock over the mean of 9 to 17 o'clock on workdays; NaN where either is unknown or 0.

    Offices have 0.64 (0.34 to 1.3), base stations 0.72, farms 1, lit garages 1.7.
    ``weekend`` (days,) tells which days are none of work.

    >>> night_to_day(np.where(np.arange(24) < 8, 30.0, 60.0).reshape(1, 1, 24), np.array([False])).item()
    0.5
    """
    night = mean(_in_one_row(hourly_w[:, :, :5]))
    return ratio(night, mean(_in_one_row(hourly_w[:, ~weekend, 9:17])))


def weekend_to_workday(hourly_w: Floats, weekend: NDArray[np.bool_]) -> Floats:
    """Mean of the weekends over the mean of the workdays; NaN where either is unknown or the latter 0.

    Offices have 0.83 (0.51 to 1), a farm 1, and 1.09 if it is curtailed on workdays, which makes this
    the best single feature of dedicated feeders that are rough and curtailed.

    >>> week = np.where(np.arange(7) < 5, 100.0, 60.0)[None, :, None] * np.ones(24)
    >>> weekend_to_workday(week, np.arange(7) >= 5).item()
    0.6
    """
    return ratio(mean(_in_one_row(hourly_w[:, weekend])), mean(_in_one_row(hourly_w[:, ~weekend])))


def price_response(hourly_w: Floats, dear: NDArray[np.bool_]) -> Floats:
    """Mean of the hours of peak price over the mean of the others; NaN where either is unknown or the latter 0.

    ``dear`` (days, 24) tells which hours are dear. A farm that dodges them has 0 to 0.1, a
    building about 1.2, because prices are high when people use power.

    >>> price_response(np.array([[[10.0] * 20 + [1.0] * 4]]), np.arange(24)[None] >= 20).item()
    0.1
    """
    return ratio(mean(hourly_w[:, dear]), mean(hourly_w[:, ~dear]))


def daily_range(hourly_w: Floats) -> Floats:
    """Median over the days of highest less lowest hour, over the mean load; 0 for a constant.

    Days with under 18 known hours do not count. Offices have 0.7 (0.15 to 1.5), an ideal farm 0.04.

    >>> daily_range(np.array([[[50.0] * 12 + [150.0] * 12]])).item()
    1.0
    """
    known = np.isfinite(hourly_w).sum(axis=-1)
    span = np.fmax.reduce(hourly_w, axis=-1) - np.fmin.reduce(hourly_w, axis=-1)
    return ratio(median(np.where(known >= MIN_HOURS, span, np.nan)), mean(_in_one_row(hourly_w)))


def lagged_correlation(series: Floats, lag: int) -> Floats:
    """Correlation of (meters, n) values with those ``lag`` places later, -1 to 1; NaN where either part is flat.

    Pearson's, over pairs where both are known, three at least. Lags of 24 and 168 hours tell how alike
    the days and the weeks are: offices have 0.68 and 0.77, an ideal farm 0 (its noise repeats nothing),
    a curtailed one 0.36 and 0.47.

    >>> lagged_correlation(np.array([[1.0, 5.0, 2.0] * 4]), 3).round(6).item()
    1.0
    """
    off, known = centred(series), np.isfinite(series).astype(np.float64)
    early, late, has_early, has_late = off[:, :-lag], off[:, lag:], known[:, :-lag], known[:, lag:]
    count = product_sum(has_early, has_late)
    sum_early, sum_late = product_sum(early, has_late), product_sum(late, has_early)
    pairs = np.maximum(count, 1.0)
    squares = off * off
    spread = [
        np.where(total - part**2 / pairs > 1e-12 * total, total - part**2 / pairs, np.nan)
        for total, part in (
            (product_sum(squares[:, :-lag], has_late), sum_early),
            (product_sum(squares[:, lag:], has_early), sum_late),
        )
    ]
    together = (product_sum(early, late) - sum_early * sum_late / pairs) / np.sqrt(spread[0] * spread[1])
    return np.where(count > 2, np.clip(together, -1.0, 1.0), np.nan)


def weeks(series: Floats) -> Floats:
    """Lay hours (meters, n) out as (meters, weeks, 168), the last week filled with 0.

    >>> weeks(np.zeros((2, 400))).shape
    (2, 3, 168)
    """
    missing = -series.shape[-1] % HOURS_OF_WEEK
    full = np.pad(series, ((0, 0), (0, missing))) if missing else series
    return full.reshape(len(series), -1, HOURS_OF_WEEK)


def hour_sums(values: Floats) -> Floats:
    """Sum hours (meters, n), 0 where unknown, by the hour of the week; (meters, 168).

    >>> hour_sums(np.ones((1, 400)))[0, [0, 63, 64]].tolist()
    [3.0, 3.0, 2.0]
    """
    total: Floats = weeks(values).sum(axis=1)
    return total


def time_of_week_r2(series: Floats) -> Floats:
    """Share of the variance of hours (meters, n) that the mean of each hour of the week explains, 0 to 1.

    1 - Σ(x - x̄ₛ)² / Σ(x - μ)² (time-of-week model: LBNL RMV2.0, eemeter, without its temperature).
    It fits noise too: white noise has 168/n, 0.125 for 56 days and 0.5 for 14. Offices have 0.76.
    NaN where the load is flat, and for under two weeks, which any profile fits.

    >>> time_of_week_r2(np.tile(np.arange(168.0), 3)[None]).item()
    1.0
    """
    off = centred(series)
    sums, count = hour_sums(off), hour_sums(np.isfinite(series).astype(np.float64))
    explained = product_sum(sums, sums / np.maximum(count, 1.0))  # Σₛ (Σx)² / nₛ: what the means hold of Σx²
    r2 = np.clip(ratio(explained, product_sum(off, off)), 0.0, 1.0)
    return r2 if series.shape[-1] >= 2 * HOURS_OF_WEEK else np.full(len(series), np.nan)


def _in_one_row(values: Floats) -> Floats:
    return values.reshape(len(values), -1)
