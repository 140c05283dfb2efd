"""When an RS-485 line may be asked again. Arithmetic over times in seconds, no clock.

RTU has no transaction id: an answer that comes late looks like the answer to the next request.
So after a failure nothing is asked until the line has been silent for longer than the worst reply.
"""


class Silence:
    """How long one line has been silent, and how long it must be."""

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._quarantine_s = 0.0
        self._last_s = float("-inf")

    def heard(self, now_s: float) -> None:
        """Note a byte on the line, ours or another's."""
        self._last_s = now_s

    def distrust(self, now_s: float, quarantine_s: float) -> None:
        """Note that an answer may still come: ask nothing before ``quarantine_s`` of silence."""
        self._last_s = now_s
        self._quarantine_s = max(self._quarantine_s, quarantine_s)

    def trust(self) -> None:
        """Note that the line has been silent for as long as it must."""
        self._quarantine_s = 0.0

    def needed_s(self, min_gap_s: float) -> float:
        """Give the silence that must pass before a meter which wants ``min_gap_s`` may be asked."""
        return max(self._gap_s, min_gap_s, self._quarantine_s)

    def remaining_s(self, now_s: float, min_gap_s: float) -> float:
        """Give what is left of it; zero or less when the line is free."""
        return self._last_s + self.needed_s(min_gap_s) - now_s
