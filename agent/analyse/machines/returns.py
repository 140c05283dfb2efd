"""What the power does slowly around an instant, with all sudden steps taken out, and what it usually does.

A machine that reboots is gone for half a minute to two, and climbs back over three to fifteen. What
was switched off stays off, or comes back in one step; both leave nothing here but the meter's own
wandering. How that wanders, and how much at each hour of the day, is learned from instants of no
meaning: each meter has its own idea of what is unusual.
"""

from collections.abc import Sequence

import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.machines.bins import BIN_S
from agent.analyse.machines.edges import HALF, Edge

MINUTES = np.array([-12.0, -8.0, -4.0, 2.5, 4.0, 6.0, 8.0, 10.5, 13.0, 15.5, 18.0])  # at which the level is looked at
OFFSETS = np.rint(MINUTES * 60 / BIN_S).astype(np.intp)  # bins, middles of a minute
BEFORE = -int(OFFSETS[0]) + HALF  # bins that must be known before an instant,
AFTER = int(OFFSETS[-1]) + HALF  # and after it
_HOUR_WEIGHT = 4.0  # looks of an hour that weigh as much as all other hours together: less than its first day
_LEAST_LOOKS = 12.0  # two hours of them: before, the wandering is not known
_FORGETS = 1 / 24  # of an hour's looks, 6 a day: what happened four days ago weighs a third
_FORGETS_SHAPE = 1 / 288  # two days of looks
_OUTLIER = 3.0  # times the usual: what is larger counts as this much


def around(level: Floats, at: int) -> Floats:
    """Give the level at each of ``OFFSETS`` around bin ``at``, over that in the minute from it on, (meters, 11).

    ``level`` holds the minute's mean from each bin on.
    """
    difference: Floats = level[:, at + OFFSETS - HALF // 2] - level[:, at, None]
    return difference


def steps_between(edges: Sequence[Edge], at: int) -> Floats:
    """Give the sum of the sudden steps from bin ``at`` to each of ``OFFSETS``, (11,); backwards, less those undone."""
    bins = np.array([edge.bin - at for edge in edges])[:, None]
    watts = np.array([edge.step_w for edge in edges])[:, None]
    between = ((bins > 0) & (bins <= OFFSETS)) * 1.0 - ((bins <= 0) & (bins > OFFSETS))
    total: Floats = (between * watts).sum(axis=0)
    return total


class Wandering:
    """The covariance of each meter's slow changes, and its size by the hour of the day (UTC)."""

    def __init__(self, meters: int) -> None:
        self.shape = np.zeros((meters, len(OFFSETS), len(OFFSETS)))  # of changes over the hour's size
        self.size_w = np.zeros((meters, 24))  # mean absolute change
        self.looks = np.zeros((meters, 24))

    def add(self, hour: int, change_w: Floats) -> None:
        """Take the slow changes (meters, 11) around an instant in this hour; unknown ones are left out."""
        known = np.asarray(np.isfinite(change_w).all(axis=-1))
        size = np.where(known, np.abs(change_w).mean(axis=-1), 0.0)
        looks = self.looks[:, hour]
        usual = np.where(looks > 0, self.size_w[:, hour], size)
        size = np.minimum(size, _OUTLIER * usual)
        self.looks[:, hour] += known
        share = known * np.maximum(1 / np.maximum(looks + 1, 1), _FORGETS)
        self.size_w[:, hour] += share * (size - self.size_w[:, hour])
        unit = change_w / np.maximum(np.abs(change_w).mean(axis=-1), 1e-3)[:, None]
        share = known * np.maximum(1 / np.maximum(self.looks.sum(axis=-1), 1), _FORGETS_SHAPE)
        product = np.where(known[:, None, None], unit[:, :, None] * unit[:, None, :], 0.0)
        self.shape += share[:, None, None] * (product - self.shape)

    def covariance(self, row: int, hour: int) -> Floats | None:
        """Give the covariance at this hour, (11, 11) in W²; None as long as it is not known."""
        looks = self.looks[row]
        if looks.sum() < _LEAST_LOOKS:
            return None
        overall = np.average(self.size_w[row], weights=looks)
        own = looks[hour] / (looks[hour] + _HOUR_WEIGHT)
        size = own * self.size_w[row, hour] + (1 - own) * overall
        usual: Floats = self.shape[row] * size**2
        return usual
