"""How long to leave alone what does not answer. Time is an argument."""

from random import Random

_LONGEST_S = 60.0  # a meter that comes back is seen within a minute
_MOST_DOUBLINGS = 16  # beyond any period, below where 2.0 ** n overflows
_JITTER = 0.25  # share of the wait: what failed together is not asked together for ever


class Backoff:
    """After n failures in a row, wait 2^n periods, at most a minute, less up to a quarter."""

    def __init__(self, period_s: float, random: Random) -> None:
        self.failures = 0
        self._period_s = period_s
        self._random = random
        self.since_s = self.until_s = float("-inf")

    def waits(self, time_s: float) -> bool:
        """Tell whether the wait is still on; a clock that was set back ends it."""
        return self.since_s <= time_s < self.until_s

    def failed(self, time_s: float) -> None:
        """Note a failure and begin the next wait."""
        self.failures += 1
        wait_s = min(_LONGEST_S, self._period_s * 2.0 ** min(self.failures, _MOST_DOUBLINGS))
        self.since_s, self.until_s = time_s, time_s + wait_s * (1.0 - _JITTER * self._random.random())

    def succeeded(self) -> None:
        """Note an answer: no wait is on."""
        self.failures = 0
        self.since_s = self.until_s = float("-inf")
