"""Many like units, each of which takes a new value now and then, at a time of its own."""

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from firmware_sim.chance import Chance, Floats

Choose = Callable[[Floats, float], Floats]


class Population:
    """Units that take a new value every ``spacing_s`` seconds each.

    ``choose`` makes their values, shape (units,), of uniform numbers in [0, 1) and the time at
    which the spacing begins. A sum costs by the changes in it, not by the units.
    """

    def __init__(self, chance: Chance, channel: str, units: int, spacing_s: float, choose: Choose) -> None:
        self._chance, self._channel, self._units = chance, channel, units
        self._spacing_s, self._choose = spacing_s, choose
        self._phases_s = chance.drawer(f"{channel}/phases", 0).random(units) * spacing_s
        self._order = np.argsort(self._phases_s)
        self._values = functools.lru_cache(maxsize=2)(self._draw)

    def _draw(self, slot: int) -> Floats:
        uniform = self._chance.drawer(self._channel, slot).random(self._units)
        return self._choose(uniform, slot * self._spacing_s)

    def total(self, time_s: Floats) -> Floats:
        """Give the sum over the units at each time; the times rise."""
        slots = np.floor(time_s / self._spacing_s).astype(np.int64)
        total = np.zeros_like(time_s)
        phases_s = self._phases_s[self._order]
        for slot in range(int(slots[0]), int(slots[-1]) + 1):
            before, after = self._values(slot - 1), self._values(slot)
            sums = before.sum() + np.concatenate(([0.0], np.cumsum((after - before)[self._order])))
            first, last = np.searchsorted(slots, [slot, slot + 1])
            changed = np.searchsorted(phases_s, time_s[first:last] - slot * self._spacing_s, side="right")
            total[first:last] = sums[changed]
        return total

    def of(self, units: NDArray[np.int64], time_s: Floats) -> Floats:
        """Give the value of each of these units at a time of its own."""
        slots = np.floor((time_s - self._phases_s[units]) / self._spacing_s).astype(np.int64)
        values = np.zeros(len(units))
        for slot in np.unique(slots):
            here = slots == slot
            values[here] = self._values(int(slot))[units[here]]
        return values
