"""How much power goes into mining, as the 10th, 50th and 90th percentile in W."""

import math
from dataclasses import replace

from agent.analyse.detect.evidence import Rules
from agent.records import Judgement

_P90 = 1.2816  # of the normal distribution, in standard deviations
Estimate = tuple[float, float, float]


def half_width(spread_w: float, load_w: float, rules: Rules) -> float:
    """Give half of the p10-p90 band of a baseload step, in W.

    Two independent errors: the median's share of the day-to-day spread, and the season's shift
    of the baseload as a share of the load; both fitted in ``bench/fit_judgement.py``.
    """
    return _P90 * math.hypot(rules.estimate_noise * spread_w, rules.estimate_season * load_w)


def hidden_load(height_w: float, half_width_w: float, load_w: float) -> Estimate:
    """Give the estimate of a hidden load; never more than what the meter sees.

    >>> hidden_load(5000.0, 1000.0, 20000.0)
    (4000.0, 5000.0, 6000.0)
    >>> hidden_load(5000.0, 1000.0, 4500.0)
    (4000.0, 4500.0, 4500.0)
    """
    low, middle, high = (max(0.0, height_w + offset) for offset in (-half_width_w, 0.0, half_width_w))
    ceiling = max(0.0, load_w)
    return min(low, ceiling), min(middle, ceiling), min(high, ceiling)


def dedicated_feeder(load_w: float, rules: Rules) -> Estimate:
    """Give the estimate of a feeder that is a farm as a whole: all of it, less fans and lights at the low end."""
    load = max(0.0, load_w)
    return load * (1 - rules.dedicated_overhead), load * (1 - rules.dedicated_overhead / 2), load


def within(judgement: Judgement, load_w: float, of_w: float) -> Judgement:
    """Carry a day's judgement into a window that measured ``load_w``, the day having measured ``of_w``.

    A farm cannot draw more than its meter sees, and a dedicated feeder draws what it draws now.
    """
    low, middle, high = judgement.mining_w
    if high <= 0:
        return judgement
    if not math.isfinite(load_w):
        return replace(judgement, mining_w=(0.0, 0.0, 0.0))
    ceiling = max(0.0, load_w)
    if high >= of_w:  # the estimate was all of the load
        share = ceiling / of_w if of_w > 0 else 0.0
        return replace(judgement, mining_w=(low * share, middle * share, high * share))
    return replace(judgement, mining_w=(min(low, ceiling), min(middle, ceiling), min(high, ceiling)))
