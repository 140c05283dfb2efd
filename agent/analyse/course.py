"""The course of a replay: of each meter and day what a picture shows, kept outside the memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from agent.analyse.alarm import State
from agent.analyse.analyst import Day
from agent.analyse.features.robust import Floats, mean
from agent.analyse.history import DAY_S
from agent.analyse.spill import Spill
from agent.records import Judgement, Verdict

_VERDICTS = tuple(Verdict)
_WIDTH = 24 + 3 + 2  # the hours, the mining power's percentiles, the score, the verdict's place


@dataclass(frozen=True, slots=True)
class MeterCourse:
    """One meter day by day. Days of which nothing is known are NaN, and have no verdict."""

    meter: str
    first_day: int
    hourly_w: Floats  # (days, 24)
    mining_w: Floats  # (days, 3): 10th, 50th and 90th percentile
    score: Floats  # (days,)
    verdicts: tuple[Verdict | None, ...]
    alarms: tuple[tuple[int, State], ...]  # the day's index, and what became of the alarm
    last: Judgement | None
    mining: Judgement | None  # the last one that says so

    @property
    def days(self) -> NDArray[np.int64]:
        """Number of each day, since 1970-01-01 UTC."""
        return self.first_day + np.arange(len(self.score))

    @property
    def headline(self) -> str:
        """The finding in words."""
        if self.last is None:
            return f"{self.meter}: no whole day was recorded"
        verdict = self.last.verdict.value
        if self.mining is None:
            load_kw = float(mean(self.hourly_w.ravel())) / 1000
            return f"{self.meter}: {verdict}, no mining found; the mean load is {load_kw:,.1f} kW"
        low, middle, high = (watts / 1000 for watts in self.mining.mining_w)
        days = [index for index, each in enumerate(self.verdicts) if each is Verdict.MINING]
        load_kw = float(mean(self.hourly_w[days].ravel())) / 1000
        share = f", {100 * middle / load_kw:.0f} % of its load" if load_kw > 0 else ""
        since = _day(self.mining.since_s or (self.first_day + days[0]) * DAY_S)
        until = "" if self.last.verdict is Verdict.MINING else f" until {self._date(days[-1])}, now {verdict}"
        return f"{self.meter}: mining since {since}{until}: {middle:,.1f} kW ({low:,.1f} to {high:,.1f}){share}"

    @property
    def reasons(self) -> str:
        """What speaks for the finding, or what was said last."""
        judgement = self.mining or self.last
        return "; ".join(reason.text for reason in judgement.reasons[:2]) if judgement else ""

    def _date(self, index: int) -> date:
        return _day((self.first_day + index) * DAY_S)


class Course:
    """All meters of a recording from the day of ``start_s`` to that of ``end_s``."""

    def __init__(self, meters: Sequence[str], start_s: int, end_s: int) -> None:
        self._meters = tuple(meters)
        self._first_day = start_s // DAY_S
        self._spill = Spill(("days",), (len(meters), end_s // DAY_S - self._first_day + 1, _WIDTH), np.nan)
        self._alarms: dict[str, list[tuple[int, State]]] = {meter: [] for meter in meters}
        self._last: dict[str, Judgement] = {}
        self._mining: dict[str, Judgement] = {}
        self._days = 0

    def take(self, day: Day) -> None:
        """Take the next day."""
        index = day.number - self._first_day
        for row, judgement in enumerate(day.judgements):
            numbers = (*judgement.mining_w, judgement.score, _VERDICTS.index(judgement.verdict))
            self._spill.arrays["days"][row, index] = [*day.hourly_w[row], *numbers]
            self._last[judgement.meter] = judgement
            if judgement.verdict is Verdict.MINING:
                self._mining[judgement.meter] = judgement
        for change in day.changes:
            self._alarms[change.judgement.meter].append((index, change.state))
        self._days = index + 1
        self._spill.release()

    def of(self, meter: str) -> MeterCourse:
        """Give the course of one meter."""
        days = np.array(self._spill.arrays["days"][self._meters.index(meter), : self._days])
        self._spill.release()
        return MeterCourse(
            meter=meter,
            first_day=self._first_day,
            hourly_w=days[:, :24],
            mining_w=days[:, 24:27],
            score=days[:, 27],
            verdicts=tuple(None if np.isnan(place) else _VERDICTS[int(place)] for place in days[:, 28]),
            alarms=tuple(self._alarms[meter]),
            last=self._last.get(meter),
            mining=self._mining.get(meter),
        )


def _day(time_s: int) -> date:
    return datetime.fromtimestamp(time_s, UTC).date()
