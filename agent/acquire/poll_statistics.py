"""What the poller counts: who answers, and why not."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from agent.errors import BusError


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterStatistics:
    """One meter since the start."""

    polls: int  # ticks at which it was asked
    failures: Mapping[str, int]  # requests without a usable answer, retries included, by reason
    out_of_range: int  # values that were not plausible and became NaN
    silent_polls: int  # in a row, up to now; above 0 the meter is in back-off
    last_error: str  # "" where there was none


@dataclass(frozen=True, slots=True, kw_only=True)
class BusStatistics:
    """One bus since the start."""

    overruns: int  # ticks that were skipped because it was still busy


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
        self.last_error = ""

    def failed(self, error: BusError) -> None:
        """Count a request without a usable answer."""
        self._failures[error.reason.value] += 1
        self.last_error = str(error)

    def statistics(self, silent_polls: int) -> MeterStatistics:
        """Give the counts as they stand."""
        return MeterStatistics(
            polls=self.polls,
            failures=dict(self._failures),
            out_of_range=self.out_of_range,
            silent_polls=silent_polls,
            last_error=self.last_error,
        )
