"""A load that the site registered: judged against what it declared, not by its shape.

Servers, lamps, processes and registered miners may be as flat as they like. What counts is change:
more than was declared, at other hours, or, where a hall of servers declared no power, more than it
ever drew while it was watched. A change must last three days before anybody is told.
"""

import numpy as np

from agent.analyse.features.robust import Floats, mean, median, quantile
from agent.analyse.meter_day import NOTHING, MeterDay
from agent.records import Evidence, Judgement, Verdict

CHANGE = "undeclared_change"  # the evidence that raises an alarm of a declared load

_TOLERANCE = 1.1  # declarations are round numbers
_STANDBY = 0.1  # of what was declared: controls and standby outside the declared hours
_DAYS = 3  # a day may be a test run or a repair
_KNOWN_HOURS = 12  # of a day, as everywhere
_PAST_DAYS = 100  # with the weeks before, so that a hall's own season is in it
_LEAST_PAST_WEEKS = 3
_STEADY = ("data_hall", "telecom")  # whose load changes when somebody brings machines


def declared(meter: MeterDay) -> Judgement | None:
    """Judge a registered load: within what was declared, or changed without a declaration."""
    facts = meter.facts
    if facts.declared is None:
        return None
    mining_w = (max(0.0, meter.load_w),) * 3 if facts.declared == "mining" else NOTHING
    change = _excess(meter) or _at_other_hours(meter) or _rise(meter)
    if change is not None:
        verdict = Verdict.MINING if facts.declared == "mining" else Verdict.SUSPECT
        return meter.judgement(verdict, (change,), mining_w)
    limit = "" if facts.declared_w is None else f" with {facts.declared_w:.0f} W"
    reason = Evidence("declared_load", meter.load_w, 0.0, f"registered as {facts.declared}{limit}")
    return meter.judgement(Verdict.DECLARED, (reason,), mining_w, score=0.0)


def _excess(meter: MeterDay) -> Evidence | None:
    """More than was declared, in the declared hours of each of the last days."""
    limit_w = meter.facts.declared_w
    if limit_w is None:
        return None
    least_w = _least_mean(meter.hourly_w[:, declared_hours(meter.facts.declared_hours)])
    if not least_w > _TOLERANCE * limit_w:
        return None
    text = f"on each of the last {_DAYS} days it drew {least_w:.0f} W or more, and {limit_w:.0f} W were declared"
    return Evidence(CHANGE, least_w - limit_w, 1.0, text)


def _at_other_hours(meter: MeterDay) -> Evidence | None:
    """A load at hours in which none was declared."""
    limit_w, hours = meter.facts.declared_w, meter.facts.declared_hours
    if limit_w is None or hours is None:
        return None
    least_w = _least_mean(meter.hourly_w[:, ~declared_hours(hours)])
    if not least_w > _STANDBY * limit_w:
        return None
    text = f"on each of the last {_DAYS} days it drew {least_w:.0f} W or more outside {hours[0]}-{hours[1]} h UTC"
    return Evidence(CHANGE, least_w, 1.0, text)


def _rise(meter: MeterDay) -> Evidence | None:
    """More than in any week before, of a hall that declared no power."""
    if meter.facts.declared not in _STEADY or meter.facts.declared_w is not None:
        return None
    past_w = _known_means(meter.hourly_w[-_PAST_DAYS - 7 : -7])
    weeks_w = median(past_w[: len(past_w) // 7 * 7].reshape(-1, 7))
    if np.isfinite(weeks_w).sum() < _LEAST_PAST_WEEKS:
        return None
    before_w, least_w = float(quantile(weeks_w, 1.0)), _least_mean(meter.hourly_w)
    if not least_w > max(_TOLERANCE * before_w, before_w + meter.rules.least_mining_w):
        return None
    text = (
        f"on each of the last {_DAYS} days it drew {least_w:.0f} W or more, and {before_w:.0f} W in the highest of the "
        "weeks before: ask what was added, and have its power declared"
    )
    return Evidence(CHANGE, least_w - before_w, 1.0, text)


def declared_hours(hours: tuple[int, int] | None) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Give which hours of the day lie between two, which may go round midnight; all where none are declared.

    >>> np.flatnonzero(declared_hours((22, 2))).tolist()
    [0, 1, 22, 23]
    """
    first, last = hours or (0, 0)
    return (np.arange(24) - first) % 24 < ((last - first) % 24 or 24)


def _least_mean(hourly_w: Floats) -> float:
    """Give the lowest daily mean of the last three days that were measured, within a week; NaN where they are fewer."""
    means_w = _known_means(hourly_w[-7:])
    known_w = means_w[np.isfinite(means_w)][-_DAYS:]
    return float(known_w.min()) if len(known_w) == _DAYS else np.nan


def _known_means(hourly_w: Floats) -> Floats:
    """Give the mean of each day of which half of the hours are known."""
    enough = np.isfinite(hourly_w).sum(axis=1) >= min(_KNOWN_HOURS, hourly_w.shape[1] / 2)
    return np.where(enough, mean(hourly_w), np.nan)
