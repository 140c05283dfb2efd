"""What the poller counts: who answers how fast, who does not and why, and how full each bus is."""

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from agent.acquire.bus.times import UnitTimes
from agent.acquire.learn.learned import Learned
from agent.acquire.poll.backoff import Backoff
from agent.errors import BusError

_REMEMBERED = 1024  # poll periods of a bus: two minutes of ten meters at one a second


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterStatistics:
    """One meter since the start."""

    bus: str
    unit: int
    polls: int  # ticks at which it was asked
    failures: Mapping[str, int]  # requests without a usable answer, retries included, by reason
    out_of_range: int  # values that were not plausible and became NaN
    missed: int  # ticks at whose end its fast tier was not read, since the bus had no time for it
    late: int  # samples that came after their tick, under its time
    silent_polls: int  # in a row, up to now; above 0 the meter is in back-off
    silent_until_s: float  # tick before which it is not asked again; -inf where it is not in back-off
    last_error: str  # "" where there was none
    p50_s: float  # response time, over the last 256 answers; NaN before the first
    p99_s: float
    timeout_s: float  # of its latest request, beyond the time on the wire; NaN before the first
    learned: str  # what its plan has learned, as a sentence; "" where nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class BusStatistics:
    """One bus since the start."""

    overruns: int  # ticks that were skipped because it was still busy
    utilisation: float  # share of the time that it was in use or kept silent; NaN before the first request
    period_p95_s: float  # between two reads of the same meter, over the last 1024; NaN before the first


@dataclass(frozen=True, slots=True, kw_only=True)
class PollStatistics:
    """All meters and buses of the gateway, by their names."""

    meters: Mapping[str, MeterStatistics]
    buses: Mapping[str, BusStatistics]


class Tally:
    """Counts for one meter."""

    def __init__(self) -> None:
        self.polls = self.out_of_range = self.missed = self.late = 0
        self.failures: Counter[str] = Counter()
        self.last_error = ""

    def failed(self, error: BusError) -> None:
        """Count a request without a usable answer."""
        self.failures[error.reason.value] += 1
        self.last_error = str(error)

    def statistics(
        self, bus: str, unit: int, times: UnitTimes | None, backoff: Backoff, learned: Learned
    ) -> MeterStatistics:
        """Give the counts as they stand."""
        return MeterStatistics(
            bus=bus,
            unit=unit,
            polls=self.polls,
            failures=dict(self.failures),
            out_of_range=self.out_of_range,
            missed=self.missed,
            late=self.late,
            silent_polls=backoff.failures,
            silent_until_s=backoff.until_s,
            last_error=self.last_error,
            p50_s=times.p50_s if times else math.nan,
            p99_s=times.p99_s if times else math.nan,
            timeout_s=times.timeout_s if times else math.nan,
            learned=learned.sentence(),
        )


class Periods:
    """The times between two reads of the same meter, of all meters of a bus.

    >>> periods = Periods()
    >>> for second in range(21):
    ...     periods.add("a", second + (0.5 if second == 7 else 0.0))
    >>> periods.p95_s
    1.0
    """

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._latest: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, meter: str, time_s: float) -> None:
        """Note that a meter was read."""
        last_s = self._last.get(meter)
        if last_s is not None:
            self._latest.append(time_s - last_s)
        self._last[meter] = time_s

    @property
    def p95_s(self) -> float:
        """The period that 95 of 100 reads keep."""
        ordered = sorted(self._latest)
        return ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else math.nan
