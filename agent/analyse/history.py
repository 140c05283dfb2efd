"""What the device remembers of 430 days: hourly means of all meters, from their windows.

History is worth more than any feature (docs/detection.md), so it outlives restarts and can be
filled from a utility's recording.

No clock destroys it. The memory holds the 430 days up to the newest window; where the time leaps
out of them, forward or back, they are read from disk again as of that day. On disk the newest 430
days that have windows are kept, so a day with a wrong date costs one day.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import Floats
from agent.analyse.history_file import KEPT_DAYS, KNOWN_S, HistoryFile, open_history
from agent.analyse.window import lettered
from agent.records import Quality, Window

DAY_S = 86_400
_HOURLY = ("active_power_w", "reactive_power_var", "outdoor_temperature_c")
_DAILY = ("power_factor", "noise_floor")
_READ_DAYS = 60  # of a meter at once, 10 to 20 ms: polls go on meanwhile
_AT_ONCE = 8  # days whose means are taken together: those of 256 meters fit a processor's cache
_Slots = NDArray[np.int64]


class _Sums:
    """One quantity's integral over time and the time over which it is known, in ``parts`` of each day.

    A ring of 430 days, so that no day costs a copy of the others; what is never written needs no memory.
    """

    def __init__(self, meters: int, parts: int) -> None:
        self._parts = parts
        self._total = np.zeros((KEPT_DAYS, meters, parts))
        self._known_s = np.zeros((KEPT_DAYS, meters, parts))

    def add(self, day: int, time_s: int, values: Floats, weight_s: Floats) -> None:
        """Take the means of a window that began ``time_s`` after midnight and stands for ``weight_s`` (meters,)."""
        known_s = np.where(np.isfinite(values), weight_s, 0.0)
        if known_s.any():
            place = day % KEPT_DAYS, slice(None), time_s * self._parts // DAY_S
            self._total[place] += np.where(known_s > 0, values, 0.0) * known_s
            self._known_s[place] += known_s

    def load(self, row: int, table: Floats) -> None:
        """Take rows of hour, integral and time of one meter."""
        day, hour = np.divmod(table[:, 0].astype(np.int64), 24)
        place = day % KEPT_DAYS, hour * self._parts // 24
        np.add.at(self._total[:, row], place, table[:, 1])
        np.add.at(self._known_s[:, row], place, table[:, 2])

    def clear(self, slots: _Slots) -> None:
        """Forget what these days of the ring hold."""
        used = slots[self._known_s[slots].any(axis=(1, 2))]
        self._total[used] = self._known_s[used] = 0.0

    def means(self, slots: _Slots, least_s: float) -> Floats:
        """Give the means (meters, days, parts) of these days; NaN where less than ``least_s`` is known."""
        _, meters, parts = self._total.shape
        means = np.empty((meters, len(slots), parts))
        for first in range(0, len(slots), _AT_ONCE):
            some = slots[first : first + _AT_ONCE]
            known_s = self._known_s[some]
            of_days = np.where(known_s >= least_s, self._total[some] / np.maximum(known_s, 1.0), np.nan)
            means[:, first : first + _AT_ONCE] = of_days.swapaxes(0, 1)
        return means


class History:
    """Hourly means of all meters; of loads from good windows only.

    ``path`` None keeps nothing on disk (replay). Of a file the past is there once it has been read:
    :meth:`read_on`, which a gateway does between its first polls. Days are numbers since 1970-01-01. Whatever looks
    back takes the day up to and with which to look, and gives the ``last_days`` of those held, or all.
    """

    def __init__(
        self, path: Path | None, meters: Sequence[str], on_damage: Callable[[str], None] = lambda _text: None
    ) -> None:
        self.meters = tuple(meters)
        self._clear()
        self._file: HistoryFile | None = None
        if path is not None:
            self._file = open_history(path, self.meters, on_damage)
            last_s = self._file.last_s()
            if last_s is not None:
                self._turn_to(last_s + 1)
                self._reach(last_s // DAY_S)

    @property
    def first_day(self) -> int:
        """Day number of the first day held."""
        return self._first_day

    @property
    def days(self) -> int:
        """Number of days held, the last one perhaps not complete."""
        return self._days

    def hourly(self, name: str, through_day: int, last_days: int | None = None) -> Floats:
        """Give hourly means (meters, days, 24) of one of three quantities; NaN where under half of the hour is known.

        ``active_power_w`` and ``reactive_power_var`` are of good windows; ``outdoor_temperature_c`` is of
        any window that has it.
        """
        return self._hourly[name].means(self._slots(through_day, last_days), 0.5 * 3600)

    def hourly_w(self, through_day: int, last_days: int | None = None) -> Floats:
        """Give mean active powers (meters, days, 24); NaN where unknown."""
        return self.hourly("active_power_w", through_day, last_days)

    def daily(self, name: str, through_day: int, last_days: int | None = None) -> Floats:
        """Give the coverage-weighted daily mean of ``power_factor`` or ``noise_floor``, shape (meters, days)."""
        return self._daily[name].means(self._slots(through_day, last_days), 1e-9)[..., 0]

    def exchanged(self, through_day: int, last_days: int | None = None) -> NDArray[np.bool_]:
        """Tell on which days the meter or its settings became another, shape (meters, days)."""
        return self._exchanged[self._slots(through_day, last_days)].T > 0

    def day_numbers(self, through_day: int, last_days: int | None = None) -> NDArray[np.int64]:
        """Give the day numbers that belong to the arrays of :meth:`hourly_w`."""
        first = self._first_day if last_days is None else max(self._first_day, through_day + 1 - last_days)
        return np.arange(first, min(through_day + 1, self._first_day + self._days), dtype=np.int64)

    def add(self, window: Window, features: Mapping[str, Floats]) -> None:
        """Take one window; of one that is not good the loads count as unknown but are kept on disk."""
        day, last_day = window.start_s // DAY_S, self._first_day + self._days - 1
        if self._file is not None and self._days and not self._first_day <= day <= last_day + KEPT_DAYS:
            self._turn_to(window.start_s)
        if self._reach(day):
            self._accumulate(day, window, features)
        if self._file is not None:
            self._file.store(window, features, is_new_day=day != last_day)

    @property
    def is_reading(self) -> bool:
        """Whether some of the past is still on disk only: after a start, and after a leap of the clock."""
        return bool(self._unread)

    def read_on(self) -> None:
        """Read one more part of the past, two months of a meter."""
        if self._file is None or not self._unread:
            return
        row, (from_s, through_s) = self._unread.pop()
        self._take_table(row, self._file.hours(self.meters[row], from_s, through_s))

    def read_all(self) -> None:
        """Read the whole past."""
        while self.is_reading:
            self.read_on()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _clear(self) -> None:
        """Hold nothing."""
        self._unread: list[tuple[int, tuple[int, int]]] = []
        self._first_day = 0
        self._days = 0
        self._hourly = {name: _Sums(len(self.meters), 24) for name in _HOURLY}
        self._daily = {name: _Sums(len(self.meters), 1) for name in _DAILY}
        self._exchanged = np.zeros((KEPT_DAYS, len(self.meters)))

    def _turn_to(self, time_s: int) -> None:
        """Hold the days before a time; :meth:`read_on` brings them."""
        assert self._file is not None
        self._clear()
        from_s = (time_s // DAY_S - KEPT_DAYS + 1) * DAY_S
        first_s = self._file.first_s(from_s, time_s - 1)
        if first_s is not None:
            self._reach(first_s // DAY_S)
            parts_s = range(first_s // DAY_S * DAY_S, time_s, _READ_DAYS * DAY_S)
            times_s = [(part_s, min(part_s + _READ_DAYS * DAY_S, time_s) - 1) for part_s in parts_s]
            self._unread = [(row, times) for times in times_s for row in range(len(self.meters))]

    def _slots(self, through_day: int, last_days: int | None) -> _Slots:
        """Give the places in the ring."""
        return self.day_numbers(through_day, last_days) % KEPT_DAYS

    def _accumulate(self, day: int, window: Window, features: Mapping[str, Floats]) -> None:
        good_s = np.where(lettered(window, Quality.GOOD), window.coverage * window.window_s, 0.0)
        always_s = np.full(len(self.meters), float(window.window_s))
        for name, sums in (self._hourly | self._daily).items():
            weight_s = always_s if name == "outdoor_temperature_c" else good_s
            sums.add(day, window.start_s % DAY_S, features[name], weight_s)
        if Quality.EXCHANGED in window.quality:
            self._exchanged[day % KEPT_DAYS] += lettered(window, Quality.EXCHANGED)

    def _reach(self, day: int) -> bool:
        """Make room for ``day``; it is False where it is older than what is kept."""
        if self._days == 0:
            self._first_day = day
        grown = day - self._first_day + 1 - self._days
        if grown > 0:
            slots = np.arange(day - min(grown, KEPT_DAYS) + 1, day + 1) % KEPT_DAYS
            for sums in (self._hourly | self._daily).values():
                sums.clear(slots)
            self._exchanged[slots] = 0
            self._days = min(self._days + grown, KEPT_DAYS)
            self._first_day = day - self._days + 1
        return day >= self._first_day

    def _take_table(self, row: int, table: Floats) -> None:
        """Add hours of one meter to what is held of their days."""
        sums = self._hourly | self._daily
        kept = table[table[:, 0] >= 24 * self._first_day]
        for column, name in enumerate(KNOWN_S):
            sums[name].load(row, kept[:, [0, 1 + 2 * column, 2 + 2 * column]])
        np.add.at(self._exchanged[:, row], kept[:, 0].astype(np.int64) // 24 % KEPT_DAYS, kept[:, -1])
