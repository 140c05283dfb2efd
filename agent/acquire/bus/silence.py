"""When a line may be asked again. Arithmetic over times in seconds, no clock."""

_SETTLING_S = 0.05  # of silence after a wrong answer: USB adapters hand bytes on every 16 ms, gateways in packets


class Silence:
    """How long one line has been silent, and how long it must be."""

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._settling_s = 0.0
        self._last_s = self._until_s = float("-inf")

    def heard(self, now_s: float) -> None:
        """Note a byte on the line, ours or another's."""
        self._last_s = now_s

    def hold(self, until_s: float) -> None:
        """Note that until then something may come that nobody waits for any more."""
        self._until_s = max(self._until_s, until_s)

    def settle(self) -> None:
        """Note that what was heard was no good, and that more of it may come."""
        self._settling_s = _SETTLING_S

    def trust(self) -> None:
        """Note that the line has been silent for as long as it must."""
        self._settling_s = 0.0

    def remaining_s(self, now_s: float, wanted_s: float) -> float:
        """Give what is left of the silence before a request that wants ``wanted_s`` of it; zero or less: none."""
        needed_s = max(self._gap_s, wanted_s, self._settling_s)
        return max(self._last_s + needed_s, self._until_s) - now_s
