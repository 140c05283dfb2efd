"""Slow, plain-Python versions of the features of single polls: one number after the other, as a textbook has it.

A series is a list of floats in which NaN means unknown.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from tests.oracles import NAN, changes, mean, median, quantile, ratio


def power_factor_spread(power: Sequence[float], apparent: Sequence[float], reported: Sequence[float]) -> float:
    """Third quartile less first, of the meter's own factor where it has one, else P over S."""
    factors = [
        abs(own) if math.isfinite(own) else abs(p / s) if s > 0 else NAN
        for p, s, own in zip(power, apparent, reported, strict=True)
    ]
    return quantile(factors, 0.75) - quantile(factors, 0.25)


def cos_phi(active: float, reactive: float) -> float:
    """P over the length of (P, Q)."""
    return ratio(active, math.hypot(active, reactive))


def unbalance(*phases: Sequence[float]) -> float:
    """Median of the farthest phase from the mean, over it."""
    shares = []
    for ticks in zip(*phases, strict=True):
        sizes = [abs(a) for a in ticks]
        middle = math.fsum(sizes) / 3
        shares.append(ratio(max(abs(a - middle) for a in sizes), middle) if all(map(math.isfinite, sizes)) else NAN)
    return median(shares)


def neutral_share(neutral: Sequence[float], *phases: Sequence[float]) -> float:
    """Median of the neutral over the mean of the phases."""
    return median(ratio(abs(n), sum(map(abs, ticks)) / 3) for n, *ticks in zip(neutral, *phases, strict=True))


def distortion(*phases: Sequence[float]) -> float:
    """Median of the mean of the known phases."""
    return median(mean(ticks) for ticks in zip(*phases, strict=True))


def steps(power: Sequence[float]) -> list[float]:
    """Changes of 1 kW or more, signed."""
    return [b - a for a, b in pairwise(power) if abs(b - a) >= 1000]


def step_rate(power: Sequence[float], period_s: float) -> float:
    """Steps over the hours in which one could be seen."""
    return ratio(len(steps(power)), len(changes(power)) * period_s / 3600)


def machine_step(power: Sequence[float]) -> tuple[float, float]:
    """Middle of the shortest half of four or more steps, and how many are within 5 % of it."""
    sizes = sorted(map(abs, steps(power)))
    if len(sizes) < 4:
        return NAN, NAN
    half = len(sizes) // 2
    width, first = min((sizes[i + half - 1] - sizes[i], i) for i in range(len(sizes) - half + 1))
    size = sizes[first] + width / 2
    return size, sum(abs(s - size) <= 0.05 * size for s in sizes) / len(sizes)


def edge_power_factor(power: Sequence[float], reactive: Sequence[float]) -> float:
    """Median power factor of the steps."""
    both = zip(pairwise(power), pairwise(reactive), strict=True)
    return median(abs(cos_phi(b - a, d - c)) for (a, b), (c, d) in both if abs(b - a) >= 1000)


def notches(power: Sequence[float], period_s: float) -> list[float]:
    """Lengths in s of the drops that first come back after 2 to 20 minutes."""
    found, last_step = [], -math.inf
    for i, (before, after) in enumerate(pairwise(power)):
        if not abs(after - before) >= 1000:
            continue
        is_quiet, last_step = (i - last_step) * period_s >= 60, i
        if after > before or not is_quiet:
            continue
        level = before + 0.25 * (after - before)
        length = next((j - i - 1 for j in range(i + 1, len(power)) if power[j] >= level), math.inf) * period_s
        if 120 <= length <= 1200:
            found.append(length)
    return found


def fast_drop_share(power: Sequence[float], period_s: float) -> float:
    """Walk through the load: when it was last high, and whether it has been low since."""
    middle, last_high, is_down, took = median(power), None, False, list[float]()
    for i, value in enumerate(power):
        if value >= 0.9 * middle:
            last_high, is_down = i, False
        if value < 0.1 * middle:
            if not is_down and last_high is not None:
                took.append((i - last_high) * period_s)
            is_down = True
    return ratio(sum(t < 600 for t in took), len(took)) if period_s <= 300 else NAN


def voltage_exponent(
    power: Sequence[Sequence[float]], voltage: Sequence[Sequence[float]], row: int, length: int
) -> tuple[float, float]:
    """Gather the usable events of one meter, one block after the other, and divide."""

    def blocks(series: Sequence[float]) -> list[float]:
        parts = [series[i : i + length] for i in range(0, len(series) - length + 1, length)]
        return [math.log(math.fsum(part) / length) if all(v > 0 for v in part) else NAN for part in parts]

    log_p, log_v = blocks(power[row]), [blocks(series) for series in voltage]
    n = len(log_p) - 2
    change = [[series[i + 2] - series[i] for i in range(n)] for series in log_v]
    drive = [median(change[other][i] for other in range(len(change)) if other != row) for i in range(n)]
    size = [0.0, *(abs(z) if math.isfinite(z) else 0.0 for z in drive), 0.0]
    usable, events = [], 0
    for i, z in enumerate(drive):
        v, p = change[row][i], log_p[i + 2] - log_p[i]
        before = log_p[i] - log_p[i - 1] if i else NAN
        is_peak = size[i + 1] >= 0.005 and size[i + 1] >= size[i] and size[i + 1] > size[i + 2]
        if not is_peak or not all(map(math.isfinite, (v, p, before))):
            continue
        events += 1
        if v * z > 0 and abs(v) <= 1.25 * abs(z) and abs(before) <= 0.005 and -1 <= p / z <= 3:
            usable.append((p, v, z))
    if len(usable) < 20 or len(usable) < events / 2:
        return NAN, NAN
    strength = math.fsum(v * z for _, v, z in usable)
    slope = math.fsum(p * z for p, _, z in usable) / strength
    variance = math.fsum((p - slope * v) ** 2 for p, v, _ in usable) / (len(usable) - 1)
    return slope, math.sqrt(variance * math.fsum(z * z for *_, z in usable)) / abs(strength)
