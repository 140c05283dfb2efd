"""How much power goes into mining, as the 10th, 50th and 90th percentile in W."""

import math
from dataclasses import replace

from agent.analyse.detect.evidence import Rules
from agent.records import Judgement

_P90 = 1.2816  # of the normal distribution, in standard deviations
_RESTS_DEEPER = 0.9  # of the earlier baseload: some hours of a building fall below the mean of its six lowest
Estimate = tuple[float, float, float]


def half_width(spread_w: float, load_w: float, rules: Rules) -> float:
    """Give half of the p10-p90 band of a baseload step, in W.

    Two independent errors: the median's share of the day-to-day spread, and the season's shift
    of the baseload as a share of the load, fitted in ``bench/fit_hidden.py``.
    """
    return _P90 * math.hypot(rules.estimate_noise * spread_w, rules.estimate_season * load_w)


def rest(before_w: float) -> float:
    """Give what the building draws at least beside a hidden load: nearly its earlier baseload."""
    return _RESTS_DEEPER * before_w


def hidden_load(height_w: float, half_width_w: float, ceiling_w: float) -> Estimate:
    """Give the estimate of a hidden load; never more than ``ceiling_w``, what the building leaves of the load.

    >>> hidden_load(5000.0, 1000.0, 20000.0)
    (4000.0, 5000.0, 6000.0)
    >>> hidden_load(5000.0, 1000.0, 4500.0)
    (4000.0, 4500.0, 4500.0)
    """
    return limited((height_w - half_width_w, height_w, height_w + half_width_w), ceiling_w)


def limited(mining_w: Estimate, ceiling_w: float) -> Estimate:
    """Bound an estimate between nothing and ``ceiling_w``."""
    low, middle, high = (min(max(0.0, watts), max(0.0, ceiling_w)) for watts in mining_w)
    return low, middle, high


def dedicated_feeder(load_w: float, rules: Rules) -> Estimate:
    """Give the estimate of a feeder that is a farm as a whole: all of it, less fans and lights at the low end."""
    load = max(0.0, load_w)
    return load * (1 - rules.dedicated_overhead), load * (1 - rules.dedicated_overhead / 2), load


def counted_machines(power_w: float, base_w: float) -> Estimate:
    """Give the estimate of machines that were counted by their reboots, never more than the baseload.

    How often a machine reboots is known within a factor of three, so their number is no better.

    >>> counted_machines(9000.0, 20000.0)
    (3000.0, 9000.0, 20000.0)
    """
    return limited((power_w / 3, power_w, 3 * power_w), base_w)


def within(judgement: Judgement, load_w: float, day_w: float, rest_w: float) -> Judgement:
    """Carry a day's judgement into a window that measured ``load_w``, the day having measured ``day_w``.

    What is a part of the load, a hidden farm or machines that were counted, draws what it drew, and no
    more than the building leaves, its rest being ``rest_w``; a feeder that is a farm as a whole draws
    what it draws now.
    """
    if judgement.mining_w[2] <= 0 or not math.isfinite(load_w) or day_w <= 0:
        return replace(judgement, mining_w=(0.0, 0.0, 0.0))
    if rest_w > 0 or judgement.mining_w[2] < day_w:
        return replace(judgement, mining_w=limited(judgement.mining_w, load_w - rest_w))
    low, middle, high = (watts * max(0.0, load_w) / day_w for watts in judgement.mining_w)
    return replace(judgement, mining_w=(low, middle, high))
