"""How fast a bus answers and how full it is: what statistics tell, in seconds of a clock that only goes forward."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

_REMEMBERED = 256  # answers of a unit; four minutes at one a second, and p99 is still two of them


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTimes:
    """How one unit answers.

    A response time runs from the last byte of the request to the last byte of the answer, over the
    last 256 answers; NaN before the first.
    """

    answers: int  # since the start, refusals included
    p50_s: float
    p99_s: float
    timeout_s: float  # of its latest request, beyond the time on the wire


@dataclass(frozen=True, slots=True, kw_only=True)
class BusTimes:
    """One bus since its first request; ``busy_s / elapsed_s`` is its utilisation."""

    busy_s: float  # a request was under way, or the line was kept silent for the next one
    elapsed_s: float
    units: Mapping[int, UnitTimes]


class LineTimes:
    """The times of one line.

    >>> times = LineTimes()
    >>> times.asked(7, timeout_s=0.3)
    >>> for millisecond in range(1, 101):
    ...     times.answered(7, millisecond / 1000)
    >>> times.used(1000.0, 1006.0)
    >>> times.summary(1010.0)
    BusTimes(busy_s=6.0, elapsed_s=10.0, units={7: UnitTimes(answers=100, p50_s=0.05, p99_s=0.099, timeout_s=0.3)})
    """

    def __init__(self) -> None:
        self._busy_s = 0.0
        self._began_s: float | None = None
        self._units: dict[int, _Unit] = {}

    def used(self, from_s: float, to_s: float) -> None:
        """Note that a request had the line."""
        if self._began_s is None:
            self._began_s = from_s
        self._busy_s += to_s - from_s

    def asked(self, unit: int, timeout_s: float) -> None:
        """Note a request."""
        known = self._units.get(unit)
        if known is None:
            known = self._units[unit] = _Unit()
        known.timeout_s = timeout_s

    def answered(self, unit: int, response_s: float) -> None:
        """Note that it was answered."""
        known = self._units[unit]
        known.answers += 1
        known.latest_s.append(response_s)

    def summary(self, now_s: float) -> BusTimes:
        """Give the figures as they stand."""
        elapsed_s = 0.0 if self._began_s is None else now_s - self._began_s
        units = {unit: known.summary() for unit, known in self._units.items()}
        return BusTimes(busy_s=self._busy_s, elapsed_s=elapsed_s, units=units)


class _Unit:
    def __init__(self) -> None:
        self.answers = 0
        self.timeout_s = math.nan
        self.latest_s: deque[float] = deque(maxlen=_REMEMBERED)

    def summary(self) -> UnitTimes:
        ordered_s = sorted(self.latest_s)
        return UnitTimes(
            answers=self.answers,
            p50_s=_quantile(ordered_s, 0.50),
            p99_s=_quantile(ordered_s, 0.99),
            timeout_s=self.timeout_s,
        )


def _quantile(ordered: list[float], share: float) -> float:
    """Give the smallest time that at least ``share`` of the answers keep."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.nan
