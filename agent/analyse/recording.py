"""Recorded load, and the windows that the daemon would have built of it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.spill import Spill
from agent.analyse.window import IDENTITY, WINDOW_QUANTITIES, coverage, last, quality
from agent.records import Window

_WINDOW_S = 900  # the daemon's default
_BATCH = 400_000  # values of a quantity that are cut into windows at once: 3 MB
_NAMES = (*WINDOW_QUANTITIES, *IDENTITY)


@dataclass(frozen=True, slots=True)
class Recording:
    """Recorded load: ``values[quantity]`` has shape (meters, ticks); a tick without a value is NaN.

    ``spill`` is where the values lie if they are not in memory.
    """

    meters: tuple[str, ...]
    start_s: int
    step_s: int
    values: Mapping[str, Floats]
    spill: Spill | None = None

    @property
    def window_s(self) -> int:
        """Length of the windows, in s: 15 minutes, or the shortest multiple that the step divides."""
        return math.lcm(self.step_s, _WINDOW_S)

    @property
    def window_count(self) -> int:
        """Number of windows, the first and the last perhaps not full."""
        return -(-(self._lead + self._length) // self._ticks)

    def windows(self) -> Iterator[Window]:
        """Give the windows in order, as the daemon would have built them."""
        batch = max(1, _BATCH // (len(self.meters) * self._ticks))
        for first in range(0, self.window_count, batch):
            yield from self._batch(first, min(batch, self.window_count - first))
            if self.spill is not None:
                self.spill.release()

    @property
    def _ticks(self) -> int:
        return self.window_s // self.step_s

    @property
    def _lead(self) -> int:
        """Ticks of the first window before the recording begins."""
        return self.start_s % self.window_s // self.step_s

    @property
    def _length(self) -> int:
        return int(self.values["active_power_w"].shape[1])

    def _batch(self, first: int, count: int) -> Iterator[Window]:
        """Give some windows; those quantities that have no column share one array."""
        cut = {name: self._cut(self.values[name], first, count) for name in _NAMES if name in self.values}
        covered = _read_only(coverage(cut["active_power_w"]))
        unknown = dict.fromkeys(_NAMES, _read_only(np.full((len(self.meters), self._ticks), np.nan)))
        identity = dict.fromkeys(IDENTITY, _read_only(np.full(len(self.meters), np.nan)))
        everybody = np.ones(len(self.meters))
        nobody = np.zeros(len(self.meters))
        start_s = self.start_s - self._lead * self.step_s + first * self.window_s
        for index in range(count):
            values = unknown | {name: array[index] for name, array in cut.items()}
            yield Window(
                start_s=start_s + index * self.window_s,
                window_s=self.window_s,
                period_s=self.step_s,
                meters=self.meters,
                values={name: values[name] for name in WINDOW_QUANTITIES},
                identity=identity | {name: last(values[name]) for name in IDENTITY if name in cut},
                coverage=covered[index],
                quality=quality(values, self.step_s, everybody, nobody),
            )

    def _cut(self, series: Floats, first: int, count: int) -> Floats:
        """Give windows of a quantity, shape (windows, meters, ticks); what is before and after it is unknown."""
        meters, ticks = len(self.meters), self._ticks
        start, stop = first * ticks - self._lead, (first + count) * ticks - self._lead
        padded = np.full((meters, count * ticks), np.nan)
        inside = series[:, max(start, 0) : stop]
        offset = max(-start, 0)
        padded[:, offset : offset + inside.shape[1]] = inside
        return _read_only(np.ascontiguousarray(np.moveaxis(padded.reshape(meters, count, ticks), 1, 0)))


def _read_only(array: Floats) -> Floats:
    array.setflags(write=False)
    return array
