"""Every feature of whole days by its name; ``docs/features.md`` is written from these tables.

The functions hold the formulas, the rules for gaps, and what is usual.
"""

import math
from collections.abc import Mapping

import numpy as np

from agent.analyse.features import electrical, level, rhythm, spectrum, step
from agent.analyse.features.feature import CHANGE, CORRELATION, RATIO, SHARE, Feature, Range
from agent.analyse.features.inputs import Days
from agent.analyse.features.robust import Floats, median, ratio

_BLOCK_HOURS = 64 * 56 * 24  # at once, of all meters: their arrays fit into a cache, which saves a third of the time
_NO_STEP = 0.01  # of the mean load before: a rise within a meter's error has no power factor
_PRICE = "Price, LBNL 2010"
_BDG = "Miller, BDG"
_STEP = "two-sample median"
_LIFT = "a constant adds to all hours alike"
_CALTRACK = "CalTRACK, time-of-week and temperature"


def features(days: Days) -> dict[str, Floats]:
    """Give every feature of whole days for all meters, name → (meters,); NaN where unknown.

    >>> values = features(Days(hourly_w=np.full((2, 14, 24), 100.0), weekend=np.arange(14) % 7 >= 5))
    >>> values["dwell"].tolist(), values["cooling_slope_per_c"].tolist()
    ([1.0, 1.0], [nan, nan])
    """
    of_meters = {name: feature for table in TABLES.values() for name, feature in table.items() if table is not _SITE}
    meters, rows = len(days.hourly_w), max(1, _BLOCK_HOURS // max(1, days.hourly_w[0].size))
    blocks = [days.meters(slice(first, first + rows)) for first in range(0, meters, rows)]
    values = {name: np.concatenate([feature.compute(block) for block in blocks]) for name, feature in of_meters.items()}
    return values | {name: feature.compute(days) for name, feature in _SITE.items()}


def _step_cos_phi(days: Days) -> Floats:
    rise = median(days.lift_w)
    return np.where(np.abs(rise) > _NO_STEP * days.before_w, electrical.cos_phi(rise, days.lift_var), np.nan)


def _price_response(days: Days) -> Floats:
    return days.unknown if days.dear is None else rhythm.price_response(days.load_w, days.dear)


_LEVEL: Mapping[str, Feature[Days]] = {
    "load_factor": Feature(
        "mean over the 99.5th percentile; above 1 only where rare spikes hold most of the energy",
        "utility practice",
        RATIO,
        lambda d: level.load_factor(d.series_w),
    ),
    "coefficient_of_variation": Feature(
        "standard deviation over mean",
        "textbook",
        RATIO,
        lambda d: level.coefficient_of_variation(d.series_w),
    ),
    "base_to_mean": Feature(
        "2.5th percentile over mean",
        _PRICE,
        Range("", 0.0, 1 / 0.975),
        lambda d: level.base_to_mean(d.series_w),
    ),
    "base_to_peak": Feature(
        "2.5th percentile over 97.5th",
        _PRICE,
        SHARE,
        lambda d: level.base_to_peak(d.series_w),
    ),
    "dwell": Feature(
        "share of time within 5 % of the median",
        "CN117787572A; catch22 DN_HistogramMode",
        SHARE,
        lambda d: level.dwell(d.series_w),
    ),
    "shorth": Feature(
        "width of the shortest interval that holds half of the values, over mean",
        "robust statistics",
        Range("", 0.0, 2.0),
        lambda d: level.shorth(d.series_w),
    ),
    "roughness": Feature(
        "mean absolute change from hour to hour, over mean",
        "tsfresh mean_abs_change",
        RATIO,
        lambda d: level.roughness(d.series_w),
    ),
    "largest_ramp": Feature(
        "largest absolute change from hour to hour, over mean",
        "utility practice",
        RATIO,
        lambda d: level.largest_ramp(d.series_w),
    ),
    "repeat_share": Feature(
        "share of neighbouring hours that are the same number: above a half, a stuck register",
        "BDG2, meter Mouse_science_Micheal",
        SHARE,
        lambda d: level.repeat_share(d.series_w),
    ),
}
_RHYTHM: Mapping[str, Feature[Days]] = {
    "night_to_day": Feature(
        "mean of 0 to 5 o'clock over mean of 9 to 17 o'clock on workdays, hours UTC",
        _BDG,
        RATIO,
        lambda d: rhythm.night_to_day(d.load_w, d.weekend),
    ),
    "weekend_to_workday": Feature(
        "mean of weekends over mean of workdays",
        _BDG,
        RATIO,
        lambda d: rhythm.weekend_to_workday(d.load_w, d.weekend),
    ),
    "daily_range": Feature(
        "median over days of highest less lowest hour, over mean",
        _BDG,
        RATIO,
        lambda d: rhythm.daily_range(d.load_w),
    ),
    "base_variation": Feature(
        "standard deviation over mean of the daily baseload",
        "always-on load",
        RATIO,
        lambda d: level.coefficient_of_variation(d.base_w),
    ),
    "daily_variation": Feature(
        "standard deviation over mean of the daily means",
        "State Grid Jiangsu 2021",
        RATIO,
        lambda d: level.coefficient_of_variation(rhythm.daily_mean(d.load_w)),
    ),
    "daily_correlation": Feature(
        "correlation with the hour 24 hours later",
        "catch22 CO_f1ecac, kin",
        CORRELATION,
        lambda d: rhythm.lagged_correlation(d.series_w, 24),
    ),
    "weekly_correlation": Feature(
        "correlation with the hour 168 hours later",
        "catch22 CO_f1ecac, kin",
        CORRELATION,
        lambda d: rhythm.lagged_correlation(d.series_w, rhythm.HOURS_OF_WEEK),
    ),
    "time_of_week_r2": Feature(
        "share of the variance that the hour of the week explains",
        "LBNL RMV2.0, eemeter",
        SHARE,
        lambda d: rhythm.time_of_week_r2(d.series_w),
    ),
    "spectral_flatness": Feature(
        "geometric over arithmetic mean of the spectrum: 0 a tone, 0.56 white noise",
        "Johnston 1988",
        SHARE,
        lambda d: spectrum.spectral_flatness(d.spectrum),
    ),
    "diurnal_share": Feature(
        "share of the variance at 1 to 6 cycles a day",
        "Fourier analysis",
        SHARE,
        lambda d: spectrum.diurnal_share(d.spectrum, d.load_w.shape[1]),
    ),
}
_CHANGE: Mapping[str, Feature[Days]] = {
    "baseload_step": Feature(
        "rise of the median baseload, over the mean load before",
        _STEP,
        CHANGE,
        lambda d: step.baseload_step(d.base_w, d.before_w),
    ),
    "step_clarity": Feature(
        "rise of the median baseload in standard deviations of its change from day to day",
        _STEP,
        CHANGE,
        lambda d: step.step_clarity(d.base_w),
    ),
    "lift_floor": Feature(
        "tenth percentile of the rise of the 48 hours of workday and weekend, over the mean load before",
        _LIFT,
        CHANGE,
        lambda d: step.lift_floor(d.lift_w, d.before_w),
    ),
    "lift_evenness": Feature(
        "median rise of the 48 hours, over their interquartile range and 2 % of the mean load before",
        _LIFT,
        CHANGE,
        lambda d: step.lift_evenness(d.lift_w, d.before_w),
    ),
    "offset_share": Feature(
        "a of after = a + b · before over the 48 hours, over the mean load before",
        "least squares",
        CHANGE,
        lambda d: ratio(d.offset[0], d.before_w),
    ),
    "offset_slope": Feature(
        "b of the same: 1 where a constant began, above where the building is used more",
        "least squares",
        CHANGE,
        lambda d: d.offset[1],
    ),
}
_WEATHER: Mapping[str, Feature[Days]] = {
    "cooling_slope_per_c": Feature(
        "change of the load per degree above 18.3 °C, over mean",
        _CALTRACK,
        Range("1/°C", -math.inf, math.inf),
        lambda d: d.weather.cooling,
    ),
    "heating_slope_per_c": Feature(
        "change of the load per degree below 18.3 °C, over mean",
        _CALTRACK,
        Range("1/°C", -math.inf, math.inf),
        lambda d: d.weather.heating,
    ),
    "weather_r2": Feature(
        "share that temperature explains of what the hour of the week leaves",
        _CALTRACK,
        SHARE,
        lambda d: d.weather.r2,
    ),
}
_OTHERS: Mapping[str, Feature[Days]] = {
    "power_factor": Feature(
        "median of the daily power factor",
        "IEEE 1459",
        SHARE,
        lambda d: d.unknown if d.power_factor is None else median(d.power_factor),
    ),
    "noise_floor": Feature(
        "median of the daily noise floor: median change from poll to poll over the median",
        "tsfresh mean_abs_change, robust",
        RATIO,
        lambda d: d.unknown if d.noise_floor is None else median(d.noise_floor),
    ),
    "step_power_factor": Feature(
        "P / √(P² + Q²) of the median rise of the 48 hours; negative where it fell",
        "NILM",
        CORRELATION,
        _step_cos_phi,
    ),
    "price_response": Feature(
        "mean of the hours of peak price over mean of the others",
        "arXiv 2408.12014",
        RATIO,
        _price_response,
    ),
}
_SITE: Mapping[str, Feature[Days]] = {
    "peer_step": Feature(
        "rise of the baseload over its own median, beyond that of the site's other meters",
        "difference in differences",
        CHANGE,
        lambda d: step.peer_step(d.base_w),
    ),
}
TABLES: Mapping[str, Mapping[str, Feature[Days]]] = {
    "Level and shape, from the hours of the days": _LEVEL,
    "Day and week, from the hours of the days": _RHYTHM,
    "What began a fortnight ago, from the hours of the last 28 days": _CHANGE,
    "Weather, from hours and outdoor temperature": _WEATHER,
    "From other quantities of the days": _OTHERS,
    "Against the other meters of the site": _SITE,
}
