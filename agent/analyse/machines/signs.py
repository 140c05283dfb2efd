"""A week of one meter in numbers: what its sudden drops say of machines."""

from collections.abc import Sequence

import numpy as np

from agent.analyse.machines.drop import Drop
from agent.analyse.machines.quantum import best

DAYS = 7  # looked back: a machine reboots about five times in them
REBOOTS_PER_WEEK = 5.0  # of a machine; fleets differ by a factor of three either way
NAMES = (
    "evidence",  # log-likelihood gained by taking some drops for reboots of machines of one size; 0 and up
    "notches_per_week",  # how many those are
    "slow_return_share",  # of all sudden drops
    "quantum_w",  # the machine's power
    "quantum_spread",  # its relative spread, the noise taken off
    "notch_tan_phi",  # reactive over active power of those drops, negative: capacitive; NaN where unknown
    "rhythm",  # share of the intervals between drops of this size that are near the median: 0.17 by chance
    "reboots_per_machine",  # in a week, at least: if all of the load were machines
    "machines",  # how many there are at REBOOTS_PER_WEEK each: within a factor of three
    "known_days",  # how much of the seven days was measured
)
_LIKELY = 0.5  # a drop that is a reboot rather than not
_ALIKE = 0.12  # of the size: drops of one machine, whether they came back slowly or not
_FEWEST_INTERVALS = 8  # below, a rhythm is chance
_NEAR = 0.25  # of the median: 17 % of random intervals, nearly all of a thermostat's


def of_meter(drops: Sequence[Drop], clearly_none: float, known_days: float, mean_w: float) -> dict[str, float]:
    """Give the signs; NaN where nothing can be said."""
    found = best(drops, clearly_none)
    weekly = float(found.member.sum()) * DAYS / known_days if known_days > 0 else np.nan
    reboots = [drop for drop, member in zip(drops, found.member, strict=True) if member >= _LIKELY]
    return {
        "evidence": found.evidence if known_days > 0 else np.nan,
        "notches_per_week": weekly,
        "slow_return_share": float(found.member.sum()) / max(len(drops) + clearly_none, 1.0),
        "quantum_w": found.size_w,
        "quantum_spread": _spread(reboots),
        "notch_tan_phi": _tan_phi(reboots),
        "rhythm": rhythm(
            [d.time_s for d in drops if abs(d.drop_w - found.size_w) <= _ALIKE * found.size_w + d.noise_w]
        ),
        "reboots_per_machine": weekly * found.size_w / mean_w if mean_w > 0 else np.nan,
        "machines": weekly / REBOOTS_PER_WEEK,
        "known_days": known_days,
    }


def _spread(reboots: Sequence[Drop]) -> float:
    if len(reboots) < 2:
        return np.nan
    sizes = np.array([drop.drop_w for drop in reboots])
    noise = np.array([drop.noise_w for drop in reboots])
    return float(np.sqrt(max(sizes.var(ddof=1) - (noise**2).mean(), 0.0)) / sizes.mean())


def _tan_phi(reboots: Sequence[Drop]) -> float:
    known = [drop.tan_phi for drop in reboots if np.isfinite(drop.tan_phi)]
    return float(np.median(known)) if known else np.nan


def rhythm(times_s: Sequence[float]) -> float:
    """Give the share of intervals within a quarter of their median; NaN under eight.

    >>> rhythm([900.0 * n for n in range(9)])
    1.0
    """
    if len(times_s) <= _FEWEST_INTERVALS:
        return np.nan
    intervals = np.diff(np.sort(times_s))
    usual = np.median(intervals)
    return float((np.abs(intervals - usual) <= _NEAR * usual).mean())
