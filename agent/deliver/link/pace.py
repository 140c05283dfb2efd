"""How fast, and how often again: a token bucket and a pause that doubles."""

from random import Random


class Bucket:
    """Lets ``per_s`` things a second pass on average, and up to ``burst`` at once after a rest.

    Jittered: it fills at half to one and a half times its rate, drawn anew each time, so gateways
    that come back together do not send in step.
    """

    def __init__(self, per_s: float, burst: float, chance: Random) -> None:
        self._per_s = per_s
        self._burst = burst
        self._chance = chance
        self._tokens = burst
        self._filled_s: float | None = None

    def take(self, now_s: float) -> bool:
        """Let one thing pass, or not yet."""
        if self._filled_s is not None:
            rate = self._per_s * self._chance.uniform(0.5, 1.5)
            self._tokens = min(self._burst, self._tokens + max(0.0, now_s - self._filled_s) * rate)
        self._filled_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Patience:
    """A pause that doubles each time it is used, up to a longest one.

    >>> patience = Patience(5.0, 15.0)
    >>> patience.use(), patience.use(), patience.use()
    (5.0, 10.0, 15.0)
    """

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = min(first_s, most_s)
        self._most_s = most_s
        self.pause_s = self._first_s

    def use(self) -> float:
        """Give the pause that is due; the next one is twice as long."""
        pause_s, self.pause_s = self.pause_s, min(self.pause_s * 2, self._most_s)
        return pause_s

    def reset(self) -> None:
        """Begin with the first pause again."""
        self.pause_s = self._first_s
