"""How long records wait for their receipt: the measure of whether the centre really has them."""

from collections import deque

from agent.deliver.spool.spool import Spool

_MARKS = 512  # of an outage of any length: beyond, every second one is forgotten, and ages are a little too low


class Lag:
    """Follows one spool; times are of any clock that only goes on. What it finds at first was written then."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._stream = spool.stream
        self._marks: deque[tuple[int, float]] = deque()  # records up to this one were written by then
        self.last_s: float | None = None  # from being written to being receipted, of the record receipted last

    def look(self, now_s: float) -> None:
        """Note what was written and receipted."""
        spool, marks = self._spool, self._marks
        if spool.stream != self._stream:
            self._stream = spool.stream
            marks.clear()
        if spool.last_seq > max(spool.receipted, marks[-1][0] if marks else 0):
            marks.append((spool.last_seq, now_s))
        while marks and marks[0][0] <= spool.receipted:
            self.last_s = now_s - marks.popleft()[1]
        if len(marks) > _MARKS:
            self._marks = deque(mark for index, mark in enumerate(marks) if index % 2 == 0)

    def oldest_s(self, now_s: float) -> float | None:
        """Give the age of the oldest record without a receipt; None where there is none."""
        return now_s - self._marks[0][1] if self._marks else None
