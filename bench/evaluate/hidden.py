"""What three detectors made of farms hidden behind buildings: recall, false alarms, ranking, estimate, onset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluate import baselines, metrics
from bench.evaluate.data import Floats
from bench.evaluate.metrics import Figure
from bench.evaluate.trial import Outcome

WARM_UP_DAYS = 28  # of a record, in which hardly an alarm can be raised: no clean time, but such an alarm counts
ESTIMATE_DAYS = 56  # from the alarm on, in which the estimate is compared with the truth
_MOST_DAYS = 56  # from the onset to an alarm that means this farm: later ones mostly mean something else
_SINCE_DAYS = 14  # before the true onset: an alarm that was open already must have come to mean the farm

Days = NDArray[np.intp]
Detector = Callable[[Outcome], Days]  # the days on which it told somebody
Scores = Callable[[Outcome], Floats]


def flatwatt(outcome: Outcome) -> Days:
    """Give the days on which an alarm was raised."""
    return outcome.trace.told("raised")


def score(outcome: Outcome) -> Floats:
    """Give flatwatt's daily score."""
    return outcome.trace.score


def found_after(outcome: Outcome, detector: Detector) -> float:
    """Give the days from the onset to the end of the day on which it was told; NaN where it never was.

    An alarm that was open before counts once it is updated and dates the load near the true onset.
    """
    told = detector(outcome)
    if detector is flatwatt:
        updated = outcome.trace.told("updated")
        told = np.concatenate([told, updated[outcome.trace.since[updated] >= outcome.onset - _SINCE_DAYS]])
    after = told[told >= outcome.onset]
    return float(after.min() - outcome.onset + 1) if len(after) else float("nan")


@dataclass(frozen=True, slots=True)
class Found:
    """How often and how soon the farms of one case were found."""

    within_7: Figure
    within_28: Figure
    within_year: Figure
    days: Figure
    auc: Figure


def found(farms: Sequence[Outcome], clean: Sequence[Outcome], detector: Detector, scores: Scores) -> Found:
    """Summarise one case against the clean meters of the same stretches."""
    homes = _homes(farms)
    after = [found_after(farm, detector) for farm in farms]
    within = {days: metrics.mean([float(a <= days) for a in after], homes) for days in (7, 28, 365)}
    best = [_highest(scores(farm)[farm.year :]) for farm in farms]
    clean_best = [_highest(scores(each)[each.year :]) for each in clean]
    above = metrics.ranked((best, homes), (clean_best, _homes(clean)))
    return Found(within[7], within[28], within[365], metrics.middle(after, homes), above)


def clean_years(clean: Sequence[Outcome]) -> float:
    """Give the years of data, without the first weeks of each record."""
    return float(sum(each.known[WARM_UP_DAYS:].sum() for each in clean) / 365.25)


def false_alarms(clean: Sequence[Outcome], detector: Detector) -> Figure:
    """Give the alarms raised on meters without a farm, per year of data."""
    alarms = [float(len(detector(each))) for each in clean]
    years = [each.known[WARM_UP_DAYS:].sum() / 365.25 for each in clean]
    return metrics.proportion(alarms, years, _homes(clean))


def share_claimed(clean: Sequence[Outcome]) -> Figure:
    """Give the mean share of the load, in points, that is said to be mining on meters without a farm."""
    shares = []
    for each in clean:
        days = np.flatnonzero(each.known[WARM_UP_DAYS:]) + WARM_UP_DAYS
        shares.append(100 * each.trace.mining_w[days, 1].sum() / each.load_w[days].sum() if len(days) else np.nan)
    return metrics.mean(shares, _homes(clean))


@dataclass(frozen=True, slots=True)
class Estimated:
    """How good the estimate of one case was, once the farm was found."""

    error: Figure  # mean absolute, points of the total
    bias: Figure
    coverage: Figure  # share of days with the truth between p10 and p90
    onset_days: Figure  # median absolute error, four weeks after the alarm
    onset_near: Figure  # share within 3 days


def estimated(farms: Sequence[Outcome]) -> Estimated:
    """Compare the daily estimates of the eight weeks after the alarm with the truth."""
    rows = np.array([_estimate(farm) for farm in farms]).reshape(-1, 5)
    homes = _homes(farms)
    error, bias, inside, off, near = (column.tolist() for column in rows.T)
    return Estimated(
        metrics.mean(error, homes),
        metrics.mean(bias, homes),
        metrics.mean(inside, homes),
        metrics.middle(off, homes),
        metrics.mean(near, homes),
    )


def _estimate(farm: Outcome) -> tuple[float, ...]:
    after = found_after(farm, flatwatt)
    if not after <= _MOST_DAYS:
        return (float("nan"),) * 5
    first = farm.onset + int(after) - 1
    end = len(farm.load_w) if removed_day(farm) is None else removed_day(farm)
    days = np.arange(first, min(first + ESTIMATE_DAYS, end or 0))
    days = days[farm.known[days]]
    low, middle, high = farm.trace.mining_w[days].T
    true_w, load_w = farm.farm_w[days], farm.load_w[days]
    points = 100 * (middle - true_w) / load_w
    inside = (low <= true_w) & (true_w <= high)
    late = days[days <= first + 28]
    since = farm.trace.since[late][farm.trace.since[late] >= 0]
    off = float(abs(since[-1] - farm.onset)) if len(since) else float("nan")
    near = float(off <= 3) if np.isfinite(off) else float("nan")
    return float(np.abs(points).mean()), float(points.mean()), float(inside.mean()), off, near


def removed_day(farm: Outcome) -> int | None:
    """Give the day on which the farm was taken away; None where it stays."""
    if farm.case is None or farm.case.kind.removed_after is None:
        return None
    return min(farm.onset + farm.case.kind.removed_after, len(farm.load_w))


def closed_after(farm: Outcome) -> float:
    """Give the days from the removal of a farm that was found to the end of its alarm; NaN where it was not found."""
    gone = removed_day(farm)
    if gone is None or not np.isfinite(found_after(farm, flatwatt)):
        return float("nan")
    cleared = farm.trace.told("cleared")
    later = cleared[cleared >= gone]
    return float(later[0] - gone + 1) if len(later) else float("inf")


@dataclass(frozen=True, slots=True)
class Baseline:
    """One of the two simple detectors with its threshold."""

    name: str
    scores: Scores
    threshold: float

    def __call__(self, outcome: Outcome) -> Days:
        """Give the days on which an alarm was raised."""
        return baselines.raised(self.scores(outcome), self.threshold)


def tuned(train: Sequence[Outcome], rate: float) -> tuple[Baseline, Baseline]:
    """Set both baselines so that clean meters of the training half raise ``rate`` alarms a year."""
    years = clean_years(train)
    return (
        _tuned("load factor and CV", lambda outcome: outcome.flatness, train, rate * years),
        _tuned("naive baseload step", lambda outcome: outcome.step, train, rate * years),
    )


def _tuned(name: str, scores: Scores, train: Sequence[Outcome], most_alarms: float) -> Baseline:
    return Baseline(name, scores, baselines.threshold([scores(each) for each in train], most_alarms))


def _highest(values: Floats) -> float:
    return float(values.max()) if len(values) else -np.inf


def _homes(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.building for outcome in outcomes]
