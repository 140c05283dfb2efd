"""How long to leave alone what does not answer. Time is an argument."""

from collections.abc import Callable, Iterable
from random import Random

from agent.records import ReadRequest

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


class ColdBlocks:
    """The blocks of a meter that fail while others of it are answered, each with its own wait."""

    def __init__(self, new_backoff: Callable[[], Backoff]) -> None:
        self._new_backoff = new_backoff
        self._backoffs: dict[ReadRequest, Backoff] = {}

    def __bool__(self) -> bool:
        return bool(self._backoffs)

    def failed(self, request: ReadRequest, time_s: float) -> None:
        """Note a failure of a block."""
        self._backoffs.setdefault(request, self._new_backoff()).failed(time_s)

    def answered(self, request: ReadRequest) -> None:
        """Note an answer: the block is asked as usual."""
        self._backoffs.pop(request, None)

    def clear(self) -> None:
        """Ask all as usual."""
        self._backoffs.clear()

    def any(self, time_s: float, requests: Iterable[ReadRequest] | None = None) -> bool:
        """Tell whether one of the requests is to be left alone; of all blocks, where none are named."""
        if not self._backoffs:
            return False
        asked = self._backoffs if requests is None else requests
        return any(request in self._backoffs and self._backoffs[request].waits(time_s) for request in asked)
