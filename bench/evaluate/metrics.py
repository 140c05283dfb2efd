"""Figures of merit, each with an interval.

Buildings are drawn anew with replacement: what a building has in common with itself is no second witness.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluate.data import Floats

Group = tuple[Sequence[float], Sequence[str]]  # values, and the building of each

DRAWS = 1000
_LEVEL = 0.90  # of the interval
_LEAST_BUILDINGS = 3  # fewer say nothing of how others differ


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure, its 90 % interval, and of how many virtual meters it is made."""

    value: float
    low: float
    high: float
    count: int

    def text(self, digits: int = 2) -> str:
        """Give the figure for a table; without an interval where too few buildings know of one.

        >>> Figure(0.512, 0.4, 0.6, 30).text()
        '0.51 (0.40–0.60)'
        """
        if not np.isfinite(self.value):
            return "–"
        if not np.isfinite(self.low):
            return f"{self.value:.{digits}f}"
        return f"{self.value:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


def auc(positive: Floats, negative: Floats) -> float:
    """Give the chance that a positive scores above a negative, a tie counting half.

    >>> auc(np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    0.625
    """
    if not len(positive) or not len(negative):
        return float("nan")
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float((below + not_above).mean() / (2 * len(negative)))


def proportion(numerators: Sequence[float], denominators: Sequence[float], buildings: Sequence[str]) -> Figure:
    """Give the sum of one over the sum of the other: a rate, a share, or with ones below a mean; NaN is left out."""
    top, bottom = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    use = np.isfinite(top) & np.isfinite(bottom)
    _, which = np.unique(np.asarray(buildings), return_inverse=True)
    sums = np.stack([np.bincount(which, np.where(use, part, 0.0)) for part in (top, bottom)])
    if not sums[1].sum() > 0:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    drawn = sums @ _draws(sums.shape[1])
    low, high = _interval(drawn[0][drawn[1] > 0] / drawn[1][drawn[1] > 0], len(np.unique(which[use])))
    return Figure(float(sums[0].sum() / sums[1].sum()), low, high, int(use.sum()))


def mean(values: Sequence[float], buildings: Sequence[str]) -> Figure:
    """Give the mean of the known values."""
    return proportion(values, np.ones(len(values)).tolist(), buildings)


def ranked(positive: Group, negative: Group) -> Figure:
    """Give the AUC of the values of two groups, each with the building of each value."""
    names = np.unique([*positive[1], *negative[1]])
    groups = [
        (np.asarray(values, dtype=float), np.searchsorted(names, homes)) for values, homes in (positive, negative)
    ]

    fewest = min(len(set(positive[1])), len(set(negative[1])))

    def drawn(weights: NDArray[np.int64]) -> float:
        return auc(*(np.repeat(values, weights[home]) for values, home in groups))

    low, high = _interval(np.array([drawn(weights) for weights in _draws(len(names)).T[: DRAWS // 5]]), fewest)
    return Figure(auc(groups[0][0], groups[1][0]), low, high, len(positive[0]))


def middle(values: Sequence[float], buildings: Sequence[str]) -> Figure:
    """Give the median of the known values."""
    known = np.isfinite(np.asarray(values, dtype=float))
    series = np.asarray(values, dtype=float)[known]
    if not len(series):
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    names, which = np.unique(np.asarray(buildings)[known], return_inverse=True)
    draws = (np.repeat(series, weights[which]) for weights in _draws(len(names)).T[: DRAWS // 5])
    low, high = _interval(np.array([np.median(draw) for draw in draws if len(draw)]), len(names))
    return Figure(float(np.median(series)), low, high, len(series))


def _draws(count: int) -> NDArray[np.int64]:
    """Give how often each of ``count`` buildings is drawn, (buildings, draws), the same in each run."""
    drawn: NDArray[np.int64] = np.random.default_rng(count).multinomial(count, np.full(count, 1 / count), DRAWS).T
    return drawn


def _interval(drawn: Floats, buildings: int) -> tuple[float, float]:
    known = drawn[np.isfinite(drawn)]
    if buildings < _LEAST_BUILDINGS or not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)
