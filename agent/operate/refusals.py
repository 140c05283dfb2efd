"""How often to tell of refused commands: who forges them shall not fill the spool with our complaints."""

import hashlib

_PAUSE_S = 60.0  # between two records: 1,440 a day, some 600 kB


class Refusals:
    """Counts refusals; the same message is counted once in a row, however often the broker repeats it."""

    def __init__(self) -> None:
        self._untold = 0
        self._told_s = -_PAUSE_S
        self._last = b""

    def count(self, payload: bytes, now_s: float) -> int:
        """Take one more; give how many to tell of now, 0 where the last record is too fresh."""
        digest = hashlib.sha256(payload).digest()
        if digest == self._last:
            return 0
        self._last = digest
        self._untold += 1
        if 0 <= now_s - self._told_s < _PAUSE_S:
            return 0
        count, self._untold, self._told_s = self._untold, 0, now_s
        return count
