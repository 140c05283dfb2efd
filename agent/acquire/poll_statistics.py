"""What the poller counts: who answers, how fast, and why not."""

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from agent.errors import BusError

_LATENCIES = 256  # answers that the percentiles cover: about four minutes at one a second


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterStatistics:
    """One meter since the start. Latencies are of the last answers, in seconds; NaN before the first."""

    polls: int  # ticks at which it was asked
    failures: Mapping[str, int]  # requests without a usable answer, retries included, by reason
    out_of_range: int  # values that were not plausible and became NaN
    latency_p50_s: float
    latency_p99_s: float
    silent_polls: int  # in a row, up to now; above 0 the meter is in back-off
    last_error: str  # "" where there was none


@dataclass(frozen=True, slots=True, kw_only=True)
class BusStatistics:
    """One bus since the start."""

    overruns: int  # ticks that were skipped because it was still busy
    failed_connects: int  # in a row, up to now


@dataclass(frozen=True, slots=True, kw_only=True)
class PollStatistics:
    """All meters and buses of the gateway, by their names."""

    meters: Mapping[str, MeterStatistics]
    buses: Mapping[str, BusStatistics]


class Tally:
    """Counts for one meter."""

    def __init__(self) -> None:
        self.polls = 0
        self.out_of_range = 0
        self._failures: Counter[str] = Counter()
        self._latencies_s: deque[float] = deque(maxlen=_LATENCIES)
        self.last_error = ""

    def answered(self, latency_s: float) -> None:
        """Count an answer."""
        self._latencies_s.append(latency_s)

    def failed(self, error: BusError) -> None:
        """Count a request without a usable answer."""
        self._failures[error.reason.value] += 1
        self.last_error = str(error)

    def statistics(self, silent_polls: int) -> MeterStatistics:
        """Give the counts as they stand."""
        ranked = sorted(self._latencies_s)
        return MeterStatistics(
            polls=self.polls,
            failures=dict(self._failures),
            out_of_range=self.out_of_range,
            latency_p50_s=percentile(ranked, 0.50),
            latency_p99_s=percentile(ranked, 0.99),
            silent_polls=silent_polls,
            last_error=self.last_error,
        )


def percentile(ranked: list[float], share: float) -> float:
    """Give the smallest value that at least ``share`` of the ``ranked`` values do not exceed; NaN of none.

    >>> percentile([1.0, 2.0, 3.0, 9.0], 0.5)
    2.0
    """
    return ranked[math.ceil(share * len(ranked)) - 1] if ranked else math.nan
