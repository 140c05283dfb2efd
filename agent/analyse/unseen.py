"""How large a hidden load could have been and not be found: the certainty of "no mining seen".

Constant loads are added to the meter's own last weeks and the test for hidden loads is asked about
the day on which they begin, as it would have been asked when they were three and a half weeks old:
today, and a week and two weeks ago. The least load that it calls each time is the limit. It says
nothing of loads that ran since before the record began: those are in the baseload from its first day.
"""

import numpy as np

from agent.analyse.detect.evidence import Rules
from agent.analyse.detect.hidden import AGES, candidates
from agent.analyse.features.robust import Floats, mean

_WEEKS_AGO = (0, 1, 2)
_SHARES = 0.025 * 2.0 ** (np.arange(13) / 2)  # of the mean load: 2.5 % to 160 %, each 1.4 times the one before


def unseen_w(hourly_w: Floats, last_day: int, rules: Rules) -> float:
    """Give the least load, W, that would have been found behind one meter; NaN where none would, or none is known.

    ``hourly_w`` (days, 24) is the meter's own load up to the day with the number ``last_day``.
    """
    level_w = float(mean(hourly_w[-28:].ravel()))
    if not level_w > 0:
        return float("nan")
    steps_w = [float(watts) for watts in level_w * _SHARES if watts >= rules.least_rise_w]
    low, high = 0, len(steps_w)  # the test finds what is larger, so halving the ladder suffices
    while low < high:
        middle = (low + high) // 2
        if all(_is_found(hourly_w, steps_w[middle], last_day, 7 * weeks, rules) for weeks in _WEEKS_AGO):
            high = middle
        else:
            low = middle + 1
    return steps_w[low] if low < len(steps_w) else float("nan")


def _is_found(hourly_w: Floats, watts: float, last_day: int, ago: int, rules: Rules) -> bool:
    """Tell whether a load that began ``AGES[-1]`` days before ``ago`` days ago would have been called mining then."""
    known = hourly_w[: len(hourly_w) - ago]
    if len(known) <= AGES[-1]:
        return False
    raised = known + watts * (np.arange(len(known)) >= len(known) - AGES[-1])[:, None]
    return bool(candidates(raised[None], last_day - ago, rules).margin[0] >= 0)
