"""What the power does slowly in the twenty minutes after an instant, with all sudden steps taken out.

A machine that reboots is gone for half a minute to two, and climbs back over three to fifteen. What
was switched off stays off, or comes back in one step; both leave nothing here but the meter's own
wandering, whose size is learned for each hour of the day from instants at which nothing happened.
"""

from collections.abc import Sequence

import numpy as np

from agent.analyse.features.robust import Floats, mean
from agent.analyse.machines.bins import BIN_S, running_mean
from agent.analyse.machines.edges import HALF, Edge

AFTER_MIN = (5, 9, 14, 20)  # when a machine may be back: the first of these that is late enough tells most
AFTER = tuple(round(minutes * 60 / BIN_S) for minutes in AFTER_MIN)  # bins
SPAN = AFTER[-1] + HALF  # bins that must be known from an instant on
_HOUR_WEIGHT = 8.0  # looks of an hour that weigh as much as all other hours together: two of its days
_LEAST_LOOKS = 24.0  # two hours of them: before, the wandering is not known
_FORGETS = 1 / 48  # of an hour's looks, 12 a day: what happened four days ago weighs a third


def slow_changes(power: Floats, start: int) -> Floats:
    """Give the rise from the level at bin ``start`` to that at each of ``AFTER``, (meters, 4); steps and all."""
    width = slice(start, start + SPAN)
    level = running_mean(power[:, width], HALF)
    later = np.array([after - HALF // 2 for after in AFTER])
    change: Floats = level[:, later] - level[:, :1]
    return change


def steps_between(edges: Sequence[Edge], first: int) -> Floats:
    """Give the sum of the sudden steps after bin ``first``, through each of ``AFTER``, shape (4,)."""
    at = np.array([edge.bin - first for edge in edges if edge.bin > first])
    watts = np.array([edge.step_w for edge in edges if edge.bin > first])
    return np.array([watts[at <= after].sum() if at.size else 0.0 for after in AFTER])


class Wandering:
    """How far each meter's power wanders in 5, 9, 14 and 20 minutes, by the hour of the day (UTC)."""

    def __init__(self, meters: int) -> None:
        self.mean_w = np.zeros((meters, 24, len(AFTER)))  # mean absolute change
        self.looks = np.zeros((meters, 24))

    def add(self, hour: int, change_w: Floats) -> None:
        """Take the slow changes (meters, 4) from an instant in this hour; unknown ones are left out."""
        known = np.asarray(np.isfinite(change_w).all(axis=-1))
        self.looks[known, hour] += 1
        share = np.maximum(1 / np.maximum(self.looks[:, hour], 1), _FORGETS)[:, None]
        moved = self.mean_w[:, hour] + share * (np.abs(change_w) - self.mean_w[:, hour])
        self.mean_w[:, hour] = np.where(known[:, None], moved, self.mean_w[:, hour])

    def scale_w(self, row: int, hour: int) -> Floats | None:
        """Give what is typical at this hour, (4,); None as long as it is not known."""
        seen = self.looks[row]
        if seen.sum() < _LEAST_LOOKS:
            return None
        overall = mean(np.where(seen[:, None] > 0, self.mean_w[row], np.nan), axis=0)
        own = seen[hour] / (seen[hour] + _HOUR_WEIGHT)
        scale: Floats = own * self.mean_w[row, hour] + (1 - own) * overall
        return scale
