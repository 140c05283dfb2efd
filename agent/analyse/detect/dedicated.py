"""Is the whole feeder a mining farm? Its shape over two weeks, its own past, then the power factor.

A farm runs at one level, day and night. What it does not do tells it from the flattest buildings,
garages and halls: it has no hours above its level, none between running and off, no pattern that
comes back at the same hours (lights, opening hours), no swing that differs from day to day, nothing
that carries over from hour to hour, and no earlier life at a higher level.

Variance and minima point the wrong way for a farm that is curtailed, so hours that are off (a
repair, an outage, a curtailment) count neither for nor against, as long as they are the exception.
How smooth the running hours are is not evidence: the noise of a simulated farm is our own choice.
"""

from collections.abc import Callable, Mapping

import numpy as np

from agent.analyse.detect.evidence import Rules
from agent.analyse.features import level
from agent.analyse.features.robust import Floats, median, quantile, ratio

DAYS = 14  # two weekends; a shorter look mistakes a holiday for a rhythm
LIFE_DAYS = 100  # before those: a term or a season ago
_LEVEL_DAYS = 5  # whose median is the level, so that a farm of five days is seen beside nine idle ones
_MIN_HOURS = 84  # of running: three days and a half; with three days in a row that agree, found within a week
_LEAST_W = 1.0  # of a level: a feeder below it is idle, and its meter's last digits have no shape
_RUNNING = 0.5  # of the level: a day with a lower median belongs to another use of the feeder
_OFF = 0.2  # of the level: curtailed farms draw 0 to 10 %, and an hour may begin a little late
_BELOW = 0.85  # of the level: under it an hour is neither on nor off; repairs take up to a tenth
_MIN_ON = 0.8  # of the time: curtailed farms are off for 5 hours of 24 at most, lights for all of the day
_MIN_KNOWN = 0.7  # of the hours of the days that run
_MAX_REPEATED = 0.4  # of the hours: a register so coarse shows no shape
_MIN_LIFE_DAYS = 7
_CLIP = 0.15  # of the level: one event is no pattern

_ANGLE = 2 * np.pi * np.arange(24) / 24
_SWING = np.stack([np.cos(_ANGLE), np.sin(_ANGLE)], axis=1) * np.sqrt(2 / 24)  # orthonormal: a day's smooth swing
_REST = np.eye(24) - np.full((24, 24), 1 / 24) - _SWING @ _SWING.T  # what is left of a day without mean and swing


def features(hourly_w: Floats, daily_power_factor: Floats) -> dict[str, Floats]:
    """Compute the evidence on the last two weeks; all (meters,), NaN where too little of them is known.

    ``hourly_w`` (meters, days, 24), ``daily_power_factor`` (meters, days). NaN too where the feeder
    is off for more than a fifth of the time, gives more than it takes, or has a register that repeats
    40 % of its hours. Logarithms make ratios additive; their floors lie where less tells nothing.
    """
    recent = hourly_w[:, -DAYS:]
    level_w = median(recent[:, -_LEVEL_DAYS:].reshape(len(hourly_w), -1))
    level_w = np.where(level_w >= _LEAST_W, level_w, np.nan)
    relative = recent / level_w[:, None, None]
    day_level = median(relative)
    running = np.where((day_level >= _RUNNING)[..., None], relative, np.nan)
    on = _without_off_hours(running)
    values = {
        **_of_the_level(on.reshape(len(on), -1)),
        **_of_the_days(on - day_level[..., None]),
        "earlier_top": _earlier_top(hourly_w[:, -DAYS - LIFE_DAYS : -DAYS], level_w),
        "power_factor": median(daily_power_factor[:, -DAYS:]),
    }
    enough = _is_enough(running, on)
    return {name: np.where(enough, value, np.nan) for name, value in values.items()}


def _without_off_hours(running: Floats) -> Floats:
    """Leave out the hours that are off, and their neighbours, which are partly off."""
    series = running.reshape(len(running), -1)
    off = series < _OFF
    near = off.copy()
    near[:, 1:] |= off[:, :-1]
    near[:, :-1] |= off[:, 1:]
    return np.where(near, np.nan, series).reshape(running.shape)


def _is_enough(running: Floats, on: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell where the shape can be judged at all."""
    series = on.reshape(len(on), -1)
    known = np.isfinite(running).sum(axis=(1, 2))
    days = np.isfinite(running).any(axis=2).sum(axis=1)
    hours = np.isfinite(series).sum(axis=1)
    lit = (running >= _OFF).sum(axis=(1, 2))
    repeated = (series[:, 1:] == series[:, :-1]).sum(axis=1)
    enough: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        (hours >= _MIN_HOURS)
        & (known >= _MIN_KNOWN * 24 * days)
        & (lit >= _MIN_ON * known)
        & (repeated <= _MAX_REPEATED * hours)
    )
    return enough


def _of_the_level(on: Floats) -> dict[str, Floats]:
    """Measure how the running hours lie about their level; ``on`` (meters, hours) in parts of it."""
    ordered = np.sort(on, axis=-1)
    hours = np.maximum(np.isfinite(ordered).sum(axis=-1), 1)
    middle = quantile(ordered, 0.5)
    return {
        "upper_gap": _log(quantile(ordered, 0.995) / middle - 1.0, 0.005),
        "shorth": _log(level.shorth(ordered), 0.002),
        "between": np.sqrt((ordered < _BELOW).sum(axis=-1) / hours),
    }


def _of_the_days(deviation: Floats) -> dict[str, Floats]:
    """Measure what repeats from day to day, and what does not; ``deviation`` (meters, days, 24) from each day's level.

    What repeats is the mean product of all pairs of different days, in which chance cancels out. An hour
    that is off or unknown counts as usual at its time of day, or a curtailment would cut a hole into the swing.
    Of what differs between days the median day counts, not the one of the repair.
    """
    known = np.isfinite(deviation)
    whole = known.sum(axis=-1, keepdims=True) >= 16
    clipped = np.where(known & whole, np.clip(deviation, -_CLIP, _CLIP), 0.0)
    usual = clipped.sum(axis=1) / np.maximum((known & whole).sum(axis=1), 1)
    days = np.where(whole & ~known, usual[:, None], clipped)
    count = whole.sum(axis=(1, 2))
    swing, rest = days @ _SWING, days @ _REST
    usual_swing = swing.sum(axis=1) / np.maximum(count, 1)[:, None]
    change = np.sqrt(((swing - usual_swing[:, None]) ** 2).sum(axis=-1) / 12)
    carried = ratio((rest[..., 1:] * rest[..., :-1]).sum(axis=-1), (rest**2).sum(axis=-1))
    return {
        "day_pattern": _log(_repeated(rest, count), 0.001),
        "day_swing": _log(_repeated(swing, count), 0.001),
        "swing_change": _log(median(np.where(whole[..., 0], change, np.nan)), 0.001),
        "carry_over": median(carried),
    }


def _repeated(days: Floats, count: Floats) -> Floats:
    """Give the root mean square of what all days (meters, days, n) have in common, in parts of the level."""
    pairs = (days.sum(axis=1) ** 2).sum(axis=-1) - (days**2).sum(axis=(1, 2))
    result: Floats = np.sqrt(np.maximum(pairs, 0.0) / np.maximum(count * (count - 1), 1) / 24)
    return result


def _earlier_top(earlier_w: Floats, level_w: Floats) -> Floats:
    """Measure how far above today's level nine in ten earlier days stayed at most; NaN where few are known.

    Days that stayed under half of the level are left out: an idle feeder, or another use of it.
    """
    top = np.fmax.reduce(earlier_w, axis=-1, initial=-np.inf) / level_w[:, None]
    top[~(top >= _RUNNING)] = np.nan
    known = np.isfinite(top).sum(axis=-1) >= _MIN_LIFE_DAYS
    return np.where(known, _log(quantile(top, 0.9) - 1.0, 0.02), np.nan)


def _log(share: Floats, floor: float) -> Floats:
    logarithm: Floats = np.log(np.maximum(share, floor))
    return logarithm


def weigh(values: Mapping[str, Floats], rules: Rules) -> tuple[Floats, dict[str, Floats]]:
    """Give the log-odds (meters,) of a dedicated farm and the parts; NaN where nothing is known."""
    flatness, parts = rules.dedicated.weigh(values)
    factor = values["power_factor"]
    electronics = np.where(
        factor >= rules.power_factor_good,
        rules.power_factor_weight,
        np.where(factor < rules.power_factor_bad, -4 * rules.power_factor_weight, 0.0),
    )
    parts["power_factor"] = np.where(np.isfinite(factor), electronics, 0.0)
    total = np.minimum(flatness, rules.flatness_cap) + parts["power_factor"]
    return np.where(np.isfinite(values["shorth"]), total, np.nan), parts


TEXTS: Mapping[str, Callable[[float], str]] = {
    "upper_gap": lambda v: f"the highest hours lie {100 * np.exp(v):.1f} % above the level",
    "shorth": lambda v: f"half of the running hours lie within {100 * np.exp(v):.1f} % of the level",
    "between": lambda v: f"{100 * v**2:.0f} % of the running hours lie clearly below the level without being off",
    "day_pattern": lambda v: f"what comes back at the same hours of each day is {100 * np.exp(v):.1f} % of the level",
    "day_swing": lambda v: f"the smooth swing of day and night is {100 * np.exp(v):.1f} % of the level",
    "swing_change": lambda v: f"this swing changes from day to day by {100 * np.exp(v):.1f} % of the level",
    "carry_over": lambda v: f"an hour resembles the one before it with a correlation of {v:.2f}",
    "earlier_top": lambda v: f"in the hundred days before, the load rose {100 * np.exp(v):.0f} % above today's level",
    "power_factor": lambda v: (
        f"the power factor is {v:.3f}" + (", as of servers' and miners' power supplies" if v >= 0.96 else "")
    ),
}
