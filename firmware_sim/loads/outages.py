"""Mining machines that stop and start again: what the meter sees of it, second by second.

A machine that trips falls to its controller and fans within seconds, is out of reach for half a
minute or two, and starts cold: boot, a fan test, the initialisation of its chips, then its
frequency rises until it draws what it drew before, 3 to 15 minutes after.

Sources: over-current trips in less than 5 s, 30 to 120 s out of reach, latched units that want to
be unplugged, brown-outs once or twice a day where the mains are low (d-central.tech); the
parts of the start are our estimate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_sim.chance import Chance, Floats
from firmware_sim.loads.base import Moments, between

_FALL_S = 2.0
_IDLE = 0.02  # controller and slow fans, of the machine's power
_LATCHED = 0.005  # the standby of a supply that has latched
_DOWN_S = (30.0, 120.0)
_LATCHED_S = (1800.0, 6 * 3600.0)  # until somebody comes by
_BROWN_OUT_S = (1.0, 5.0)
START_S = (180.0, 900.0)

_START_PARTS = (0.0, 0.15, 0.15, 0.25, 0.25, 0.45, 1.0)  # boot, fan test, chips, then the frequency ramp
_START_POWER = (0.015, 0.015, 0.05, 0.05, 0.12, 0.12, 1.0)

_SLOT_S = 6 * 3600.0
_LONGEST_S = _LATCHED_S[1] + START_S[1]
_WEEK_S = 7 * 86_400.0
_TRIPS = 0.6  # of all restarts; the others are brown-outs
_LATCHING = 0.05  # of the trips
_DOUBLES_PER = 0.004  # of the mains: that much lower, and brown-outs are twice as frequent
_MOST, _MEAN = 16.0, 2.54  # of how much more frequent they are than at nominal voltage: at most, and in a year


@dataclass(frozen=True, slots=True)
class Outages:
    """Some that stop and start again, each field of shape (outages,).

    ``power_w`` is what each draws otherwise; ``idle`` the share of it that is left while it is
    down, of which none means that it is off the mains.
    """

    begins_s: Floats
    down_s: Floats
    start_s: Floats
    idle: Floats
    power_w: Floats

    def lost_w(self, time_s: Floats) -> tuple[Floats, Floats]:
        """Give what they draw less at each time, and how much of their power is off the mains; the times rise."""
        ends_s = self.begins_s + self.down_s + self.start_s
        first, last = np.searchsorted(time_s, self.begins_s), np.searchsorted(time_s, ends_s)
        steps = last - first
        outage = np.repeat(np.arange(len(steps)), steps)
        step = np.arange(len(outage)) - np.repeat(np.cumsum(steps) - steps - first, steps)
        since_s, power_w = time_s[step] - self.begins_s[outage], self.power_w[outage]
        off = (self.idle[outage] == 0) & (since_s < self.down_s[outage])
        lost_w, off_w = (1 - self._drawing(outage, since_s)) * power_w, off * power_w
        return _sums(step, lost_w, len(time_s)), _sums(step, off_w, len(time_s))

    def _drawing(self, outage: NDArray[np.int64], since_s: Floats) -> Floats:
        """Give the share of its power that each draws, so long after it began to fall."""
        down_s, idle = self.down_s[outage], self.idle[outage]
        falling = 1 - (1 - idle) * np.minimum(since_s / _FALL_S, 1)
        starting = np.interp((since_s - down_s) / self.start_s[outage], _START_PARTS, _START_POWER)
        share: Floats = np.where(since_s < down_s, falling, starting)
        return share


def _sums(step: NDArray[np.int64], power_w: Floats, steps: int) -> Floats:
    """Give the sum of the powers that fall on each step."""
    return np.bincount(step, power_w, steps).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Restarts:
    """The restarts of single machines that touch a stretch of time, each field of shape (restarts,)."""

    machine: NDArray[np.int64]
    begins_s: Floats
    down_s: Floats
    start_s: Floats
    idle: Floats

    def of(self, power_w: Floats) -> Outages:
        """Give them as outages of machines that draw so much."""
        return Outages(self.begins_s, self.down_s, self.start_s, self.idle, power_w)


def restarts(chance: Chance, at: Moments, machines: int, per_week: float) -> Restarts:
    """Draw the restarts of a fleet: trips at any time, brown-outs the more the lower the mains are.

    Independent machines that restart at random make one stream of restarts, of which each picks
    its machine: a fleet costs by what happens in it.
    """
    draws, begins_s = _drawn(chance, at, machines * per_week / _WEEK_S)
    trip = draws[:, 1] < _TRIPS / _candidates()
    lower = -at.mains.deviation(begins_s, at.step_s) if len(begins_s) else begins_s
    happens = trip | (draws[:, 2] * _MOST < np.minimum(2 ** (lower / _DOUBLES_PER), _MOST))
    latched = trip & (draws[:, 3] < _LATCHING)
    found = Restarts(
        machine=(draws[:, 4] * machines).astype(np.int64),
        begins_s=begins_s,
        down_s=np.select(
            [latched, trip],
            [between(draws[:, 5], _LATCHED_S), between(draws[:, 5], _DOWN_S)],
            between(draws[:, 5], _BROWN_OUT_S),
        ),
        start_s=between(draws[:, 6], START_S),
        idle=np.select([latched, trip], [_LATCHED, _IDLE], 0.0),
    )
    found = _picked(found, happens)
    return _picked(found, _alone(found))


def _candidates() -> float:
    """Give how many restarts are drawn for each that happens, so that brown-outs can gather where the mains are low."""
    return _TRIPS + (1 - _TRIPS) * _MOST / _MEAN


def _drawn(chance: Chance, at: Moments, per_s: float) -> tuple[Floats, Floats]:
    """Give uniform numbers, shape (candidates, 7), and when each begins: those that may reach into these moments."""
    first = int((at.time_s[0] - 2 * _LONGEST_S) // _SLOT_S)  # the one before the first that reaches in counts too
    last = int(at.time_s[-1] // _SLOT_S)
    draws, begins_s = [], []
    for slot in range(first, last + 1):
        drawer = chance.drawer("restarts", slot)
        uniform = drawer.random((drawer.poisson(per_s * _candidates() * _SLOT_S), 7))
        draws.append(uniform)
        begins_s.append((slot + uniform[:, 0]) * _SLOT_S)
    return np.concatenate(draws), np.concatenate(begins_s)


def _alone(found: Restarts) -> NDArray[np.bool_]:
    """Tell of each whether its machine ran: one that is drawn while the machine is still down does not happen."""
    order = np.lexsort((found.begins_s, found.machine))
    machine, begins_s = found.machine[order], found.begins_s[order]
    ends_s = begins_s + found.down_s[order] + found.start_s[order]
    alone = np.ones(len(order), dtype=np.bool_)
    alone[order[1:]] = (machine[1:] != machine[:-1]) | (begins_s[1:] >= ends_s[:-1])
    return alone


def _picked(found: Restarts, which: NDArray[np.bool_]) -> Restarts:
    return Restarts(
        found.machine[which], found.begins_s[which], found.down_s[which], found.start_s[which], found.idle[which]
    )
