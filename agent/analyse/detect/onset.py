"""What speaks for and against a farm that began on one given day, for all meters at once.

A farm adds the same power at every hour of every day from its onset on, and leaves the building's
own rhythm as it was. A season creeps, a term returns to where it was before the break, a chiller
lifts the days more than the nights, new ways of using a building change its shape. Each number here
asks for one of these differences; ``bench/fit_hidden.py`` weighs them, all (meters,), NaN where
unknown. Powers are compared with the step's own height, so a small farm in a quiet building and a
large one in a loud building look alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.analyse.detect.sketch import FORTNIGHT_DAYS, Sketch
from agent.analyse.features.robust import Floats, mean, median, quantile, quantiles, ratio

BEFORE_DAYS = 28  # what the load was: four weeks, so that each hour of the week is seen four times
_YEAR_DAYS = 380  # looked back for levels and steps: a year and two weeks
_QUARTER_DAYS = 90  # a summer break and the weeks before it
_TWIN_DAYS = (385, 343)  # before the onset: the same season a year ago, three weeks either way
_LEAST_PAST = 30  # steps of the past, or their largest says little
_ROUNDING = 0.003  # of the mean load: of registers, in what is divided by a spread
_IDLE_W = 1e-3  # instead of 0: to a feeder that rests, whatever comes is large
_SMALLEST = 1e-3  # of the mean load: lower steps are none, and divide nothing


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked at for one onset: powers in W, ``weekend`` (days,) of the days that are looked at.

    ``before_w`` (meters, up to 28, 24) ends with the onset, ``after_w`` (meters, age, 24) begins with it.
    ``sketch`` reaches up to the last of these days; ``onset`` is its index there.
    """

    before_w: Floats
    after_w: Floats
    weekend: NDArray[np.bool_]
    sketch: Sketch
    onset: int


@dataclass(frozen=True, slots=True)
class Step:
    """The step in the baseload at an onset; all (meters,), W."""

    height_w: Floats
    before_w: Floats
    spread_w: Floats  # mean distance of the days from their levels
    load_w: Floats  # mean of the four weeks before


@dataclass(frozen=True, slots=True)
class Usual:
    """The hours before an onset, in W: the same at every age at which it is looked at."""

    profile_w: Floats  # (meters, 48), of workday and weekend
    restless_w: Floats  # (meters,) median distance from that
    lowest_w: Floats  # (meters,) of the last fortnight
    night_p95_w: Floats  # (meters,) of its nights


def usual(look: Look) -> Usual:
    """Describe the hours before the onset."""
    meters, days = look.before_w.shape[:2]
    profile_w, restless_w = _profile(look.before_w, look.weekend[:days])
    fortnight_w = look.before_w[:, -FORTNIGHT_DAYS:]
    lowest_w = quantile(fortnight_w.reshape(meters, -1), 0.02)
    return Usual(profile_w, restless_w, lowest_w, quantile(fortnight_w[:, :, :6].reshape(meters, -1), 0.95))


def evidence(look: Look, before: Usual | None = None) -> tuple[dict[str, Floats], Step]:
    """Compute every piece of evidence of the onset, and the step; ``before`` is known from an earlier look at it."""
    levels = _Levels(look)
    values = levels.of_baseload() | _of_hours(look, before or usual(look), levels) | _of_the_past(look, levels)
    values["siblings_moved"] = _siblings(levels.share)
    return values, Step(levels.height_w, levels.low_w, levels.spread_w, levels.load_w)


class _Levels:
    """The baseload before and after the onset."""

    def __init__(self, look: Look) -> None:
        first = look.onset - look.before_w.shape[1]
        self.before_w = look.sketch.base_w[:, first : look.onset]
        self.after_w = look.sketch.base_w[:, look.onset : look.onset + look.after_w.shape[1]]
        load_w = mean(look.before_w.reshape(len(look.before_w), -1))
        self.load_w = np.where(load_w == 0, _IDLE_W, load_w)
        self.low_w, self.low_p90_w = quantiles(self.before_w[:, -FORTNIGHT_DAYS:], (0.5, 0.9))
        self.high_p10_w, self.high_w = quantiles(self.after_w, (0.1, 0.5))
        self.height_w = self.high_w - self.low_w
        self.share = self.height_w / self.load_w
        self.scale_w = np.maximum(self.height_w, _SMALLEST * np.abs(self.load_w))
        self.rounding_w = _ROUNDING * np.abs(self.load_w)
        distances = np.concatenate(
            [
                np.abs(self.before_w[:, -FORTNIGHT_DAYS:] - self.low_w[:, None]),
                np.abs(self.after_w - self.high_w[:, None]),
            ],
            axis=1,
        )
        self.spread_w = mean(distances)

    def of_baseload(self) -> dict[str, Floats]:
        """Weigh the step against the days around it."""
        usual = median(self.before_w)
        wander = median(np.abs(self.before_w - usual[:, None]))
        return {
            "lift_share": _log(self.share, 1e-3, 3.0),
            "clarity": _log(self.scale_w / (self.spread_w + self.rounding_w), 0.05, 300.0),
            "sharpness": self.over(mean(self.after_w[:, :3]) - mean(self.before_w[:, -3:]), -2.0, 3.0),
            "separation": self.over(self.high_p10_w - self.low_p90_w, -5.0, 2.0),
            "trend_before": self.over(_slope(self.before_w) * FORTNIGHT_DAYS, -4.0, 4.0),
            "trend_after": self.over(_slope(self.after_w) * self.after_w.shape[1], -4.0, 4.0),
            "wander": np.log(np.maximum(ratio(wander, self.load_w), 0.0) + 1e-3),
        }

    def over(self, watts: Floats, low: float, high: float) -> Floats:
        """Divide by the step's height, within bounds."""
        return np.clip(ratio(watts, self.scale_w), low, high)


def _of_hours(look: Look, before: Usual, levels: _Levels) -> dict[str, Floats]:
    """Ask whether all hours rose alike, and the load's own shape and restlessness stayed."""
    meters, days = len(look.before_w), look.before_w.shape[1]
    after, rest_after = _profile(look.after_w, look.weekend[days:])
    lift = after - before.profile_w
    p10, p25, p75 = quantiles(lift, (0.1, 0.25, 0.75))
    nights = look.after_w[:, :, :6].reshape(meters, -1)
    above = (nights > before.night_p95_w[:, None]).sum(axis=1) / np.maximum(np.isfinite(nights).sum(axis=1), 1)
    lowest_w = quantile(look.after_w.reshape(meters, -1), 0.02)
    return {
        "lift_spread": levels.over(p75 - p25, 0.0, 5.0),
        "least_lift": levels.over(p10, -5.0, 2.0),
        "lowest_hours": levels.over(lowest_w - before.lowest_w, -5.0, 5.0),
        "shape_kept": np.clip(_regression(before.profile_w, after, levels.load_w), -0.5, 3.0),
        "restlessness": _log((rest_after + levels.rounding_w) / (before.restless_w + levels.rounding_w), 0.05, 20.0),
        "nights_above": np.where(np.isfinite(before.night_p95_w), above, np.nan),
    }


def _of_the_past(look: Look, levels: _Levels) -> dict[str, Floats]:
    """Compare with this meter's earlier levels and steps, and with the same season a year ago."""
    sketch, onset = look.sketch, look.onset
    earlier_w = sketch.base_w[:, max(0, onset - 7 - _YEAR_DAYS) : max(0, onset - 7)]
    weeks_w = sketch.week_w[:, max(0, onset - 7 - _QUARTER_DAYS) : max(0, onset - 7)]
    steps_w = np.abs(sketch.step_w[:, max(0, onset - _YEAR_DAYS) : max(0, onset - 14)])
    known = np.isfinite(steps_w).sum(axis=1) >= _LEAST_PAST
    largest_w, usual_w = quantiles(steps_w, (1.0, 0.8))
    smallest_w = 0.002 * np.abs(levels.load_w)
    last_year = onset - 364
    twin_w = sketch.step_w[:, max(0, onset - _TWIN_DAYS[0]) : max(0, onset - _TWIN_DAYS[1])]
    same_days_w = sketch.base_w[:, max(0, last_year) : max(0, last_year + FORTNIGHT_DAYS)]
    return {
        "past_largest": np.where(known, _log(levels.scale_w / (largest_w + smallest_w), 0.02, 100.0), np.nan),
        "past_usual": np.where(known, _log(levels.scale_w / (usual_w + smallest_w), 0.02, 100.0), np.nan),
        "above_quarter": levels.over(levels.high_w - quantile(weeks_w, 1.0), -4.0, 3.0),
        "above_year": levels.over(levels.high_w - quantile(earlier_w, 0.9), -4.0, 4.0),
        "above_last_year": levels.over(levels.high_w - median(same_days_w), -4.0, 4.0),
        "season_twin": levels.over(quantile(twin_w, 1.0), -3.0, 3.0),
    }


def _siblings(share: Floats) -> Floats:
    """Give which share of the other meters rose at least half as much, for its size, at this onset.

    A term or a heat wave starts everywhere, a farm in one place. NaN under three others.

    >>> _siblings(np.array([0.5, 0.3, 0.0, 0.1])).round(2).tolist()
    [0.33, 0.33, 1.0, 0.67]
    """
    known = np.isfinite(share)
    others = known.sum() - known
    half = 0.5 * share[:, None]
    moved = ((share[None, :] >= half) & known[None, :]).sum(axis=1) - (known & (share >= 0.5 * share))
    return np.where((others >= 3) & known, moved / np.maximum(others, 1), np.nan)


def _profile(hourly_w: Floats, weekend: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Give the median of each of the 48 hours of workday and weekend, (meters, 48), and the hours' median distance."""
    hours, distances = [], []
    for kind in (False, True):
        days = hourly_w[:, weekend == kind]
        middle = median(days, axis=1) if days.shape[1] >= 2 else np.full((len(hourly_w), 24), np.nan)
        distances.append(np.abs(days - middle[:, None]).reshape(len(hourly_w), -1))
        hours.append(middle)
    return np.concatenate(hours, axis=1), median(np.concatenate(distances, axis=1))


def lift(hourly_w: Floats, weekend: NDArray[np.bool_], onset: int) -> Floats:
    """Give by how much each of the 48 hours (workday, weekend) rose at ``onset``, in W, shape (48,).

    ``hourly_w`` (days, 24) of one meter. NaN where a kind of day is missing before or after.

    >>> hourly = np.full((35, 24), 10.0); hourly[21:] += 5.0
    >>> rise = lift(hourly, np.arange(35) % 7 >= 5, 21)
    >>> rise.shape, float(rise.min()), float(rise.max())
    ((48,), 5.0, 5.0)
    """
    first = max(0, onset - BEFORE_DAYS)
    before, _ = _profile(hourly_w[None, first:onset], weekend[first:onset])
    after, _ = _profile(hourly_w[None, onset:], weekend[onset:])
    result: Floats = (after - before)[0]
    return result


def _regression(before: Floats, after: Floats, load_w: Floats) -> Floats:
    """Give the slope of the profile after on the profile before: 1 where the shape stayed and only a constant came."""
    known = np.isfinite(before) & np.isfinite(after)
    x, y = (np.where(known, profile, np.nan) for profile in (before, after))
    x, y = (np.nan_to_num(profile - mean(profile)[:, None]) for profile in (x, y))
    slope: Floats = (x * y).sum(axis=1) / ((x * x).sum(axis=1) + 1e-9 * load_w**2 + 1e-12)
    return np.where(known.any(axis=1), slope, np.nan)


def _slope(days_w: Floats) -> Floats:
    """Give the least-squares slope over the known days, W a day."""
    known = np.isfinite(days_w)
    day = np.arange(days_w.shape[1], dtype=float)
    middle = (known * day).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    away = np.where(known, day - middle[:, None], 0.0)
    return ratio((away * np.where(known, days_w, 0.0)).sum(axis=1), (away**2).sum(axis=1))


def _log(values: Floats, low: float, high: float) -> Floats:
    return np.log(np.clip(values, low, high))


def _times(quotient: float) -> str:
    """Say how many times; a feeder at rest has hardly a spread, and a larger number would say no more.

    >>> _times(7.25), _times(900.0)
    ('7.2 times', 'more than 100 times')
    """
    return f"{quotient:.1f} times" if quotient <= 100 else "more than 100 times"


TEXTS: Mapping[str, Callable[[float], str]] = {
    "lift_share": lambda v: f"the baseload rose by {100 * np.exp(v):.0f} % of the earlier mean load",
    "clarity": lambda v: f"the step is {_times(np.exp(v))} the days' distance from their level",
    "sharpness": lambda v: f"{100 * max(0.0, min(v, 1.0)):.0f} % of the step came within three days",
    "separation": lambda v: f"between the low days after and the high days before lie {100 * v:.0f} % of the step",
    "trend_before": lambda v: f"the four weeks before moved by {100 * v:+.0f} % of the step in a fortnight",
    "trend_after": lambda v: f"since then the baseload has moved by {100 * v:+.0f} % of the step",
    "wander": lambda v: f"the baseload wanders by {100 * max(np.exp(v) - 1e-3, 0.0):.1f} % of the load from day to day",
    "lift_spread": lambda v: f"the lift differs by {100 * v:.0f} % of the step between the hours of the week",
    "least_lift": lambda v: f"the least lifted hours of the week rose by {100 * v:.0f} % of the step",
    "lowest_hours": lambda v: f"the lowest hours of all rose by {100 * v:.0f} % of the step",
    "shape_kept": lambda v: f"the week's rhythm is {v:.2f} times as pronounced as before",
    "restlessness": lambda v: f"the hours are {np.exp(v):.2f} times as restless as before",
    "nights_above": lambda v: f"{100 * v:.0f} % of the night hours are above nearly all nights before",
    "past_largest": lambda v: f"the step is {np.exp(v):.1f} times the largest in this meter's past",
    "past_usual": lambda v: f"the step is {np.exp(v):.1f} times those that this meter often makes",
    "above_quarter": lambda v: f"the new level is {100 * v:.0f} % of the step above the highest week of three months",
    "above_year": lambda v: f"the new level is {100 * v:.0f} % of the step above nearly all days of the past",
    "above_last_year": lambda v: f"the new level is {100 * v:.0f} % of the step above the same days a year ago",
    "season_twin": lambda v: f"a year ago the same season rose by up to {100 * v:.0f} % of this step",
    "siblings_moved": lambda v: f"{100 * v:.0f} % of the site's other meters rose with it",
}
