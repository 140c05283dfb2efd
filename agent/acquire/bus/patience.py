"""How long to wait for an answer: twice as long as the unit has needed of late. Arithmetic, no clock.

The operator's time-out is the ceiling, which the first request gets. A few answers say little about
the slowest, so the second request gets six times the first answer, the third four times the slower
of two, and so on towards twice. A time-out doubles the patience, as TCP does (RFC 6298, 5.5), so a
meter that became slower is heard within a few polls. One that stays silent at the ceiling too is
dead rather than slow, and the doubling begins again: it is most likely to come back as fast as it
was. Why this is safe: ``docs/decisions/0010``.
"""

from dataclasses import dataclass

_MARGIN = 2.0  # times the slowest answer of late: waiting costs only where none comes, a lost answer always
_UNSURE = 4.0  # more times after one answer, half as many after two, …: false time-outs in 1 of 20 starts, not 1 of 3
_FORGETTING = 1 / 1024  # of the way, with each answer: some 15 min at one a second, as often as meters pause to store


@dataclass(slots=True)
class _Unit:
    answers: int = 0
    slowest_s: float = 0.0  # of late
    doublings: int = 0


class Patience:
    """The time-outs of the units on one line, in seconds beyond the time on the wire."""

    def __init__(self, floor_s: float, ceiling_s: float) -> None:
        self._floor_s = floor_s
        self._ceiling_s = ceiling_s
        self._units: dict[int, _Unit] = {}

    def timeout_s(self, unit: int) -> float:
        """Give how long to wait for the next answer of ``unit``.

        >>> patience = Patience(floor_s=0.1, ceiling_s=1.0)
        >>> patience.timeout_s(7)
        1.0
        >>> patience.answered(7, 0.08)
        >>> patience.timeout_s(7)
        0.48
        >>> patience.timed_out(7)
        >>> patience.timeout_s(7)
        0.96
        """
        known = self._units.get(unit)
        if known is None:
            return self._ceiling_s
        needed_s = max(self._floor_s, self._expected_s(known))
        return min(self._ceiling_s, needed_s * 2.0**known.doublings)

    def answered(self, unit: int, beyond_wire_s: float) -> None:
        """Note an answer, also one that came after the time-out."""
        known = self._units.get(unit)
        if known is None:
            known = self._units[unit] = _Unit()
        known.doublings = 0
        known.answers += 1
        if known.answers == 1 or beyond_wire_s > known.slowest_s:
            known.slowest_s = beyond_wire_s
        else:
            known.slowest_s += (beyond_wire_s - known.slowest_s) * _FORGETTING

    def timed_out(self, unit: int) -> None:
        """Note that no answer came in time."""
        at_ceiling = self.timeout_s(unit) >= self._ceiling_s
        known = self._units.setdefault(unit, _Unit())
        known.doublings = 0 if at_ceiling else known.doublings + 1

    def _expected_s(self, known: _Unit) -> float:
        """Give how long an answer may take; a unit that has never answered is measured by its slowest neighbour."""
        if known.answers:
            return (_MARGIN + _UNSURE / known.answers) * known.slowest_s
        return max((_MARGIN * unit.slowest_s for unit in self._units.values() if unit.answers), default=self._ceiling_s)
