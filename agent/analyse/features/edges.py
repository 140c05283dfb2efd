"""Machines that switch: steps of 1 kW and more from one second to the next. Arrays are (meters, ticks) in W.

Half a machine is no step and ten at once are one, so these speak of feeders with few enough
machines that each is seen alone: below some dozen reboots an hour.
"""

import numpy as np

from agent.analyse.features.electrical import cos_phi
from agent.analyse.features.robust import Floats, mean, median, ratio, shortest_half

_LEAST_W = 1000.0  # below the smallest miner still at work (S9, 1.4 kW), above what offices switch
_MIN_STEPS = 4  # half of them, two, must agree on a size
_NEAR = 0.05  # of a size: the tolerance of nameplates
_BACK = 0.25  # of the drop: so near to the level before counts as returned
_NOTCH_S = (120.0, 1200.0)  # boot, fan test, chip start and frequency ramp take minutes
_QUIET_S = 60.0  # without a step before the drop, so that the level before is one
_DROP_S = 600.0  # a farm is told to stop and stops; a building empties over hours


def edges(power_w: Floats) -> Floats:
    """Give each change of 1 kW or more from tick to tick in W, NaN elsewhere; (meters, ticks - 1).

    >>> edges(np.array([[5000.0, 5010.0, 1510.0]])).tolist()
    [[nan, -3500.0]]
    """
    change = np.diff(power_w, axis=-1)
    return np.where(np.abs(change) >= _LEAST_W, change, np.nan)


def step_rate(power_w: Floats, period_s: float) -> Floats:
    """Steps of 1 kW or more per hour, 1/h; NaN without two neighbours known.

    A fleet of 100 miners with 5 reboots a week each has 6; a lift or a compressor 20 to 100.

    >>> step_rate(np.array([[0.0, 2000.0] + [2000.0] * 3599]), 1.0).item()
    1.0
    """
    change = np.diff(power_w, axis=-1)
    hours = np.isfinite(change).sum(axis=-1) * period_s / 3600
    return ratio((np.abs(change) >= _LEAST_W).sum(axis=-1).astype(np.float64), hours)


def machine_step(power_w: Floats) -> tuple[Floats, Floats]:
    """Give the commonest size of a step in W, and the share of the steps within 5 % of it; both (meters,).

    The size is the middle of the shortest interval that holds half of them. Miners of one model
    step by their nameplate (S19 Pro 3250 W, S21 3500 W), and the share is 0.6 to 1; a
    building's mix has 0.2. NaN under four steps.

    >>> size, share = machine_step(np.array([[0.0, 3500.0, 0.0, 3480.0, 6950.0, 0.0]]))
    >>> size.item(), share.item()
    (3500.0, 0.8)
    """
    sizes = np.abs(edges(power_w))
    count = np.isfinite(sizes).sum(axis=-1)
    low, high = shortest_half(sizes)
    size = np.where(count >= _MIN_STEPS, (low + high) / 2, np.nan)
    near = np.abs(sizes - size[:, None]) <= _NEAR * size[:, None]
    return size, np.where(count >= _MIN_STEPS, near.sum(axis=-1) / np.maximum(count, 1), np.nan)


def edge_power_factor(power_w: Floats, reactive_var: Floats) -> Floats:
    """Median over the steps of |ΔP| / √(ΔP² + ΔQ²), 0 to 1: the power factor of what is switched.

    Miners 0.98 and more, motors 0.7 to 0.9 (their start less). NaN without a step, or without Q.

    >>> edge_power_factor(np.array([[0.0, 3000.0]]), np.array([[0.0, 4000.0]])).item()
    0.6
    """
    return median(np.abs(cos_phi(edges(power_w), np.diff(reactive_var, axis=-1))))


def notches(power_w: Floats, period_s: float) -> tuple[Floats, Floats]:
    """Count the notches of each meter, and give their median length in s: the reboots of machines.

    A notch is a drop of 1 kW or more after a quiet minute that first comes back to within a
    quarter of its depth after 2 to 20 minutes. One machine of a fleet makes about 5 a week; servers and
    buildings hardly any, compressors more, and of lengths alike. The count is NaN where no two
    neighbours are known, the length where there is no notch.

    >>> hour = np.full((1, 3600), 35_000.0); hour[:, 600:1200] -= 3500.0
    >>> [value.item() for value in notches(hour, 1.0)]
    [1.0, 600.0]
    """
    lengths = [_notches_s(row, period_s) for row in power_w]
    seen = np.isfinite(np.diff(power_w, axis=-1)).any(axis=-1)
    count = np.where(seen, [float(len(length)) for length in lengths], np.nan)
    return count, np.array([np.median(length) if len(length) else np.nan for length in lengths])


def _notches_s(power_w: Floats, period_s: float) -> Floats:
    """Give the lengths of one meter's notches in s; (ticks,) in."""
    step = np.diff(power_w)
    at = np.flatnonzero(np.abs(step) >= _LEAST_W)
    is_quiet = np.diff(at, prepend=-np.inf) * period_s >= _QUIET_S
    drops = at[is_quiet & (step[at] < 0)]
    ahead = 1 + np.arange(round(_NOTCH_S[1] / period_s) + 1)
    later = drops[:, None] + ahead
    inside = later < len(power_w)
    level = power_w[drops][:, None] + _BACK * step[drops][:, None]
    back = inside & (power_w[np.minimum(later, len(power_w) - 1)] >= level)
    length = back.argmax(axis=-1) * period_s
    found: Floats = length[back.any(axis=-1) & (length >= _NOTCH_S[0])]
    return found


def fast_drop_share(power_w: Floats, period_s: float) -> Floats:
    """Share of the drops below a tenth of the median that took under ten minutes from nine tenths, 0 to 1.

    A farm that answers a price stops within minutes; a building that empties takes hours. NaN
    where the load never dropped so low from nine tenths, and for values over five minutes apart.

    >>> fast_drop_share(np.array([[100.0, 100.0, 100.0, 100.0, 5.0, 100.0]]), 60.0).item()
    1.0
    """
    if period_s > _DROP_S / 2:
        return np.full(len(power_w), np.nan)
    middle = median(power_w)[:, None]
    place = np.arange(power_w.shape[-1])
    last_high = np.maximum.accumulate(np.where(power_w >= 0.9 * middle, place, -1), axis=-1)
    low = np.where(power_w < 0.1 * middle, place, -1)
    lows_before = np.maximum.accumulate(np.pad(low, ((0, 0), (1, 0)), constant_values=-1), axis=-1)[:, :-1]
    arrives = (low >= 0) & (last_high > lows_before)  # the first low since it was high
    took_s = np.where(arrives, (place - last_high) * period_s, np.nan)
    return mean(np.where(np.isfinite(took_s), (took_s < _DROP_S).astype(np.float64), np.nan))
