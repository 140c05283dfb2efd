"""How large a hidden load could have been and not be found: the certainty of "no mining seen".

Constant loads are added to the meter's own last weeks, from several days on, and the test for hidden
loads is asked about each. The least that it calls at every one of these onsets is the limit. It says
nothing of loads that ran since before the record began: those are in the baseload from its first day.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import Floats, mean

LOOKED_AT_DAYS = 240  # what the test for hidden loads looks at
_ONSETS_DAYS_AGO = (14, 21, 28, 35)  # the test needs a week to see a step, and looks back six
_SHARES = 0.025 * 2.0 ** (np.arange(13) / 2)  # of the mean load: 2.5 % to 160 %, each 1.4 times the one before

Odds = Callable[[Floats, NDArray[np.bool_]], Floats]  # (rows, days, 24) and (days,) -> log-odds (rows,)


def unseen_w(hourly_w: Floats, weekend: NDArray[np.bool_], odds: Odds, threshold: float, least_w: float) -> float:
    """Give the least load, W, that would have been found behind one meter; NaN where none would, or none is known.

    ``hourly_w`` (days, 24) is the meter's own load, ``threshold`` the log-odds at which mining begins
    and ``least_w`` the smallest load that is ever called mining.
    """
    level_w = float(mean(hourly_w[-28:].ravel()))
    days = len(hourly_w)
    if not level_w > 0 or days <= max(_ONSETS_DAYS_AGO):
        return float("nan")
    steps_w = level_w * _SHARES[_SHARES * level_w >= least_w]
    since = np.array([days - ago for ago in _ONSETS_DAYS_AGO])
    runs = np.arange(days) >= since[:, None]  # (onsets, days)
    rows = hourly_w + steps_w[:, None, None, None] * runs[None, :, :, None]
    called = odds(rows.reshape(-1, days, 24), weekend).reshape(len(steps_w), len(since)) >= threshold
    found = np.flatnonzero(called.all(axis=1))
    return float(steps_w[found[0]]) if len(found) else float("nan")
