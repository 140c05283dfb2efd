"""When the slow tiers of a meter are due. Arithmetic over ticks, no clock."""

from agent.records import Tier

_IDENTITY_PERIOD_S = 3600.0  # a meter that was swapped is noticed within the hour


class Schedule:
    """The slow tiers of one meter: each is read once in each of its periods.

    ``place`` (0 to below 1) shifts the periods against those of the other meters of a bus, so that
    their slow reads fall on different ticks. A tier that was never read is due at once; the first
    reads of all meters of a bus may take as long as a slow period.
    """

    def __init__(self, slow_period_s: float, place: float) -> None:
        self._periods = {Tier.IDENTITY: _IDENTITY_PERIOD_S, Tier.SLOW: slow_period_s}
        self._shifts = {tier: place * period_s for tier, period_s in self._periods.items()}
        self._slow_period_s = slow_period_s
        self._read: dict[Tier, int] = {}  # the period in which it was last read
        self._asked_s: float | None = None  # the earliest tick that asked for what was never read
        self._quiet_from_s = self._quiet_until_s = float("-inf")

    def due(self, tick_s: float) -> list[tuple[float, Tier]]:
        """Give what is due with its deadline, the end of its period; nothing is the rule, and cheap to tell."""
        if self._quiet_from_s <= tick_s < self._quiet_until_s:
            return []
        found = []
        for tier in self._periods:
            index = self._index(tier, tick_s)
            if tier not in self._read:
                self._asked_s = tick_s if self._asked_s is None else min(self._asked_s, tick_s)
                found.append((self._asked_s + self._slow_period_s, tier))
            elif self._read[tier] != index:
                overdue = index > self._read[tier] + 1
                found.append((tick_s if overdue else self._end_s(tier, index), tier))
        if not found:
            self._quiet_from_s = tick_s
            self._quiet_until_s = min(self._end_s(tier, index) for tier, index in self._read.items())
        return found

    def read(self, tier: Tier, tick_s: float) -> None:
        """Note that a tier was read in full, or refused for good."""
        if tier in self._periods:
            self._read[tier] = self._index(tier, tick_s)

    def forget(self) -> None:
        """Have every tier read anew: another meter may answer now."""
        self._read.clear()
        self._asked_s = None
        self._quiet_until_s = float("-inf")

    def _index(self, tier: Tier, tick_s: float) -> int:
        return int((tick_s - self._shifts[tier]) // self._periods[tier])

    def _end_s(self, tier: Tier, index: int) -> float:
        return (index + 1) * self._periods[tier] + self._shifts[tier]
