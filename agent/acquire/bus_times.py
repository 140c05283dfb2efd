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
    timeout_s: float  # in force for the next request, beyond its time on the wire


@dataclass(frozen=True, slots=True, kw_only=True)
class BusTimes:
    """One bus since its first request; ``busy_s / elapsed_s`` is its utilisation."""

    busy_s: float  # a request was under way, or the line was kept silent for the next one
    elapsed_s: float
    units: Mapping[int, UnitTimes]


class ResponseTimes:
    """The response times of one unit.

    >>> times = ResponseTimes()
    >>> for millisecond in range(1, 101):
    ...     times.add(millisecond / 1000)
    >>> times.summary(timeout_s=0.3)
    UnitTimes(answers=100, p50_s=0.05, p99_s=0.099, timeout_s=0.3)
    """

    def __init__(self) -> None:
        self._answers = 0
        self._latest: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, response_s: float) -> None:
        """Note one answer."""
        self._answers += 1
        self._latest.append(response_s)

    def summary(self, timeout_s: float) -> UnitTimes:
        """Give the figures as they stand."""
        ordered = sorted(self._latest)
        return UnitTimes(
            answers=self._answers,
            p50_s=_quantile(ordered, 0.50),
            p99_s=_quantile(ordered, 0.99),
            timeout_s=timeout_s,
        )


def _quantile(ordered: list[float], share: float) -> float:
    """Give the smallest time that at least ``share`` of the answers keep."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.nan
