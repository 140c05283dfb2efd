"""A meter's life in one number a day: its baseload, and the weeks and steps that roll over it.

The hidden-load test compares each new step with the meter's own past. Sorting a year of hours
every day for that would cost most of the judgement's time, so the sketch is kept from day to day.
"""

import numpy as np

from agent.analyse.features.rhythm import baseload
from agent.analyse.features.robust import Floats, median

WEEK_DAYS = 7
FORTNIGHT_DAYS = 14
_LEAST_OF_WEEK = 5  # known days
_LEAST_OF_FORTNIGHT = 9
_KEPT_DAYS = 430  # as the history
_ROOM_DAYS = 128  # appended before the arrays slide


class Sketch:
    """The series of all meters, (meters, days) in W; NaN where too little is known, or the week is not over.

    ``base_w`` is the baseload; ``week_w`` the median baseload of the seven days that begin on the
    day; ``step_w`` that week's rise over the median of the fortnight before it.
    """

    def __init__(self, meters: int, kept_days: int = _KEPT_DAYS) -> None:
        self._kept_days = kept_days
        self._series = np.full((3, meters, _ROOM_DAYS), np.nan)
        self._days = 0

    @classmethod
    def of(cls, hourly_w: Floats) -> "Sketch":
        """Sketch recorded days, (meters, days, 24) in W.

        >>> sketch = Sketch.of(np.repeat([[10.0] * 14 + [15.0] * 7], 24, axis=0).T[None])
        >>> sketch.base_w[0, [0, 20]].tolist(), sketch.week_w[0, 14].item(), sketch.step_w[0, 14].item()
        ([10.0, 15.0], 15.0, 5.0)
        """
        sketch = cls(len(hourly_w), kept_days=max(_KEPT_DAYS, hourly_w.shape[1]))
        sketch._fill(baseload(hourly_w))
        return sketch

    def add(self, hourly_w: Floats) -> None:
        """Take the day that follows, (meters, 24) in W."""
        self._append(baseload(hourly_w[:, None])[:, 0])

    @property
    def days(self) -> int:
        """Number of days held; the last is the newest."""
        return self._days

    @property
    def base_w(self) -> Floats:
        """Daily baseload."""
        return self._series[0, :, : self._days]

    @property
    def week_w(self) -> Floats:
        """Median of seven days from each day on."""
        return self._series[1, :, : self._days]

    @property
    def step_w(self) -> Floats:
        """Rise of that week over the fortnight before it."""
        return self._series[2, :, : self._days]

    def _fill(self, base_w: Floats) -> None:
        """Take many days at once."""
        self._days = base_w.shape[1]
        self._series = np.full((3, len(base_w), self._days + _ROOM_DAYS), np.nan)
        base, week, step = self._series
        base[:, : self._days] = base_w
        for days, least, series in ((WEEK_DAYS, _LEAST_OF_WEEK, week), (FORTNIGHT_DAYS, _LEAST_OF_FORTNIGHT, step)):
            if self._days >= days:
                windows = np.lib.stride_tricks.sliding_window_view(base_w, days, axis=1)
                series[:, : windows.shape[1]] = _median_of(windows, least)
        step[:, FORTNIGHT_DAYS : self._days] = (
            week[:, FORTNIGHT_DAYS : self._days] - step[:, : max(0, self._days - FORTNIGHT_DAYS)]
        )
        step[:, :FORTNIGHT_DAYS] = np.nan

    def _append(self, base_w: Floats) -> None:
        if self._days == self._series.shape[2]:
            self._slide()
        base, week, step = self._series
        base[:, self._days] = base_w
        self._days += 1
        first = self._days - WEEK_DAYS
        if first < 0:
            return
        week[:, first] = _median_of(base[:, first : self._days], _LEAST_OF_WEEK)
        if first >= FORTNIGHT_DAYS:
            before = _median_of(base[:, first - FORTNIGHT_DAYS : first], _LEAST_OF_FORTNIGHT)
            step[:, first] = week[:, first] - before

    def _slide(self) -> None:
        """Forget what is older than is kept."""
        kept = min(self._days, self._kept_days)
        series = np.full((3, self._series.shape[1], kept + _ROOM_DAYS), np.nan)
        series[:, :, :kept] = self._series[:, :, self._days - kept : self._days]
        self._series, self._days = series, kept


def _median_of(days_w: Floats, least: int) -> Floats:
    return np.where(np.isfinite(days_w).sum(axis=-1) >= least, median(days_w), np.nan)
