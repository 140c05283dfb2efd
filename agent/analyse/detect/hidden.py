"""Did a farm start behind this meter? A step in the daily baseload that lifts all hours alike and stays.

For every possible onset of the last six weeks the baseload before and after is compared; the
clearest onset is then questioned: is the step large for this meter's own past, is it sharp,
does it lift each hour of workdays and weekends by the same amount? A new
chiller, a term or a season does not (docs/detection.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.rhythm import baseload
from agent.analyse.features.robust import Floats, mean, median, quantile, ratio

BEFORE_DAYS = 28  # what the load was: four weeks, so that each hour of the week is seen four times
AFTER_DAYS = 42  # an onset older than six weeks is found by then or merges with the season
MIN_BEFORE_DAYS = 14
MIN_AFTER_DAYS = 7  # a full week, or the lift over the week's hours is unknown
EARLIER_DAYS = 100  # a summer break and the weeks before it: what stood then may return; longer costs recall
_MIN_PAST_DAYS = 70  # what came before the six weeks, to know what steps this meter makes by itself


@dataclass(frozen=True, slots=True)
class Step:
    """The clearest onset of each meter, arrays (meters,). ``onset`` indexes days; W unless noted.

    NaN, and onset -1, where there is too little history.
    """

    onset: NDArray[np.intp]
    height_w: Floats
    before_w: Floats
    spread_w: Floats
    earlier_w: Floats  # highest week of the baseload in the hundred days that ended a week before the onset
    sharpness: Floats  # share of the height reached between the three days before and after


def find_step(base_w: Floats) -> Step:
    """Search the onset that best divides the daily baseload, (meters, days) in W, into before and after."""
    meters, days = base_w.shape
    onsets = np.arange(max(MIN_BEFORE_DAYS, days - AFTER_DAYS), days - MIN_AFTER_DAYS + 1)
    if not len(onsets):
        nothing = np.full(meters, np.nan)
        return Step(np.full(meters, -1), nothing, nothing, nothing, nothing, nothing)
    before = _gather(base_w, onsets[:, None] + np.arange(-BEFORE_DAYS, 0))
    after = _gather(base_w, onsets[:, None] + np.arange(AFTER_DAYS))
    low, high = median(before), median(after)
    height = high - low
    residual = np.concatenate([np.abs(before - low[..., None]), np.abs(after - high[..., None])], axis=-1)
    rounding = 0.005 * np.abs(mean(base_w[:, -70:]))[:, None]  # of a register, in a daily baseload
    floor = np.maximum(rounding, 1e-9)  # an idle feeder has no step, rather than none that is known
    spread = 1.4826 * median(residual) + floor
    n_before, n_after = np.isfinite(before).sum(-1), np.isfinite(after).sum(-1)
    weight = np.sqrt(1 / np.maximum(n_before, 1) + 1 / np.maximum(n_after, 1))
    noise = (mean(residual) + floor) * weight  # the mean, because days on the wrong side must count
    clear = ratio(height, noise)
    usable = (n_before >= MIN_BEFORE_DAYS - 4) & (n_after >= MIN_AFTER_DAYS - 2) & np.isfinite(clear)
    best = np.where(usable, clear, -np.inf).argmax(axis=-1)
    row = np.arange(meters)
    found = usable[row, best]
    onset = np.where(found, onsets[best], -1)
    sharpness = ratio(mean(after[..., :3]) - mean(before[..., -3:]), height)[row, best]
    return Step(
        onset=onset,
        height_w=np.where(found, height[row, best], np.nan),
        before_w=np.where(found, low[row, best], np.nan),
        spread_w=np.where(found, spread[row, best], np.nan),
        earlier_w=_highest_week(base_w, onset - 7),
        sharpness=np.where(found, sharpness, np.nan),
    )


def _highest_week(base_w: Floats, before: NDArray[np.intp]) -> Floats:
    """Give the highest median of seven days, four of them known, in the hundred days that end before ``before``."""
    start = np.arange(base_w.shape[-1])
    weeks = _gather(base_w, start[:, None] + np.arange(7))
    level = np.where(np.isfinite(weeks).sum(axis=-1) >= 4, median(weeks), np.nan)
    inside = (start + 7 <= before[:, None]) & (start >= before[:, None] - EARLIER_DAYS)
    return quantile(np.where(inside, level, np.nan), 1.0)


def _gather(series: Floats, index: NDArray[np.intp]) -> Floats:
    """Give ``series[:, index]`` with NaN where the index leaves the series; (meters, *index.shape)."""
    inside = (index >= 0) & (index < series.shape[-1])
    return np.where(inside, series[:, np.clip(index, 0, series.shape[-1] - 1)], np.nan)


def lift(hourly_w: Floats, weekend: NDArray[np.bool_], onset: int) -> Floats:
    """Give by how much each of the 48 hours (workday, weekend) rose at ``onset``, in W, shape (48,).

    ``hourly_w`` (days, 24) of one meter. NaN where a kind of day is missing before or after.

    >>> hourly = np.full((35, 24), 10.0); hourly[21:] += 5.0
    >>> rise = lift(hourly, np.arange(35) % 7 >= 5, 21)
    >>> rise.shape, float(rise.min()), float(rise.max())
    ((48,), 5.0, 5.0)
    """
    first, last = max(0, onset - BEFORE_DAYS), onset + AFTER_DAYS
    rises = []
    for kind in (False, True):
        before = hourly_w[first:onset][weekend[first:onset] == kind]
        after = hourly_w[onset:last][weekend[onset:last] == kind]
        enough = len(before) >= 2 and len(after) >= 2
        rises.append(median(after, axis=0) - median(before, axis=0) if enough else np.full(24, np.nan))
    return np.concatenate(rises)


def features(hourly_w: Floats, weekend: NDArray[np.bool_]) -> tuple[dict[str, Floats], Step]:
    """Compute the evidence of the clearest onset; all (meters,), NaN where unknown.

    ``hourly_w`` (meters, days, 24) of up to 400 days that end today, ``weekend`` (days,).
    """
    base_w = baseload(hourly_w)
    step = find_step(base_w)
    rises = np.full((len(hourly_w), 48), np.nan)
    means = np.full(len(hourly_w), np.nan)
    for row in np.flatnonzero((step.onset >= 0) & (step.height_w > 0)):
        onset = int(step.onset[row])
        rises[row] = lift(hourly_w[row], weekend, onset)
        means[row] = mean(hourly_w[row, max(0, onset - BEFORE_DAYS) : onset].ravel())
    largest = _largest_step(base_w)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = median(rises)
        evenness = np.where(middle > 0, middle, np.nan)
        height = np.where(step.height_w > 0, step.height_w, np.nan)
        values = {
            "lift_share": np.log(np.clip(height / means, 1e-3, 3.0)),
            "clarity": np.log(np.clip(height / step.spread_w, 0.05, 1e3)),
            "sharpness": np.clip(step.sharpness, -0.5, 1.5),
            "lift_spread": np.clip((quantile(rises, 0.75) - quantile(rises, 0.25)) / evenness, 0.0, 3.0),
            "past_largest": np.clip(np.log(height / largest), -2.0, 2.0),
        }
    return values, step


def _largest_step(base_w: Floats) -> Floats:
    """Give the largest of this meter's earlier 14-day steps, in W.

    Earlier means before the six weeks in which the onset is sought; NaN under ten weeks of it.
    """
    past = base_w[:, : max(0, base_w.shape[1] - AFTER_DAYS - 7)]
    if past.shape[1] < _MIN_PAST_DAYS:
        return np.full(len(base_w), np.nan)
    at = np.arange(14, past.shape[1] - 13, 7)
    steps = median(_gather(past, at[:, None] + np.arange(14))) - median(_gather(past, at[:, None] - np.arange(1, 15)))
    return quantile(np.maximum(np.abs(steps), 1e-6), 1.0)


def _times(ratio: float) -> str:
    """Say how many times; a feeder at rest has hardly a spread, and a larger number would say no more.

    >>> _times(7.25), _times(900.0)
    ('7.2 times', 'more than 100 times')
    """
    return f"{ratio:.1f} times" if ratio <= 100 else "more than 100 times"


TEXTS: Mapping[str, Callable[[float], str]] = {
    "lift_share": lambda v: f"the baseload rose by {100 * np.exp(v):.0f} % of the earlier mean load",
    "clarity": lambda v: f"the step is {_times(np.exp(v))} the baseload's day-to-day spread",
    "sharpness": lambda v: f"{100 * max(0.0, min(v, 1.0)):.0f} % of the step came within three days",
    "lift_spread": lambda v: f"the lift differs by {100 * v:.0f} % between the hours of the week",
    "past_largest": lambda v: f"the step is {np.exp(v):.1f} times the largest in this meter's past",
}
