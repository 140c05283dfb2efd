"""Numbers what is told of one window more than once: each part of it was measured at another time.

A clock that is set back comes to windows that were told already, and one that is stepped within a
window leaves two parts of one. Neither replaces the other. ``(start, part)`` is never told twice.
"""

from bisect import bisect_right, insort
from itertools import pairwise

import msgspec

_MOST_RANGES = 64  # of times that were told; an outage makes a new one


class PartsState(msgspec.Struct):
    """What must survive a restart."""

    turn: int = 0  # counts starts and steps: within one the time only goes forward
    is_cut: bool = False  # the window that comes next began by another reckoning
    told: list[tuple[int, int]] = []  # [start, end) of what was told, in order, apart from each other


class Parts:
    """Remembers which times were told. Where there are too many ranges, the nearest two count as one."""

    def __init__(self, state: PartsState) -> None:
        self.state = state

    def begin(self) -> None:
        """Note a start of the agent: time may go on anywhere."""
        self.state.turn += 1

    def step(self) -> None:
        """Note that the clock was stepped."""
        self.state.turn += 1
        self.state.is_cut = True

    def number(self, start_s: int) -> int:
        """Give the part that a window which begins at ``start_s`` is told as: 0 where it is told for the first time."""
        return self.state.turn if self.state.is_cut or self._is_told(start_s) else 0

    def tell(self, start_s: int, end_s: int) -> None:
        """Note that a window was told."""
        told = self.state.told
        insort(told, (start_s, end_s))
        merged = [told[0]]
        for start, end in told[1:]:
            if start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        if len(merged) > _MOST_RANGES:
            gaps = [after[0] - before[1] for before, after in pairwise(merged)]
            at = gaps.index(min(gaps))
            merged[at : at + 2] = [(merged[at][0], merged[at + 1][1])]
        self.state.told, self.state.is_cut = merged, False

    def _is_told(self, start_s: int) -> bool:
        at = bisect_right(self.state.told, start_s, key=lambda times: times[0])
        return at > 0 and start_s < self.state.told[at - 1][1]
