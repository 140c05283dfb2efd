"""How long starts took, where some were cut short by a kill before they were done."""

from dataclasses import dataclass, field


@dataclass
class Starts:
    """Starts by the seconds to the first poll, or to the kill that came before it.

    Those that were killed count as starts that took longer than that (Kaplan and Meier's estimate);
    to leave them out would leave out the slow ones.
    """

    polled_s: list[float] = field(default_factory=list)
    killed_s: list[float] = field(default_factory=list)

    def add(self, first_s: float | None, began_s: float, ended_s: float) -> None:
        """Note one life by the times of its start, its first poll and its end."""
        if first_s is None:
            self.killed_s.append(ended_s - began_s)
        else:
            self.polled_s.append(first_s - began_s)

    @property
    def longest_s(self) -> float:
        """How long a start took at most, or was watched without a poll."""
        return max(self.polled_s + self.killed_s)

    def quantile(self, share: float) -> float:
        """Give the seconds within which this share of the starts polls; infinite where too few were watched so long."""
        waiting, left = len(self.polled_s) + len(self.killed_s), 1.0
        for seconds, polled in sorted([(s, True) for s in self.polled_s] + [(s, False) for s in self.killed_s]):
            if polled:
                left *= 1 - 1 / waiting
                if left <= 1 - share:
                    return seconds
            waiting -= 1
        return float("inf")

    def figures(self) -> dict[str, float]:
        """Give median, 99th percentile, longest, and what was cut short."""
        return {
            "polled": len(self.polled_s),
            "p50": self.quantile(0.5),
            "p99": self.quantile(0.99),
            "longest": max(self.polled_s),
            "killed": len(self.killed_s),
            "longest_killed": max(self.killed_s, default=0.0),
        }
