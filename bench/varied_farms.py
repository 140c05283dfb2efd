"""Simulated farms with habits drawn at random, so that what is fitted to them does not lean on one simulator's.

Each farm draws its own noise (0.1 to 3 %, white or not), size, reboots, swing of day and weather, drift,
season, repairs, outages, and hours and depth of curtailment. All ranges are wider than the one farm of
``bench/evaluate/farms.py``, which follows the reference.
"""

import numpy as np
from numpy.typing import NDArray

from bench.evaluate.farms import Floats, Kind


def varied(rng: np.random.Generator, kind: Kind, weekend: NDArray[np.bool_], machines: float) -> Floats:
    """Simulate a farm of mean power near 1, shape (days, 24)."""
    days = len(weekend)
    power = 1.0 + _noise(rng, days * 24) - _reboots(rng, days * 24, machines)
    if kind.rough:
        power = _roughened(rng, power)
    daily = np.maximum(power, 0.0).reshape(days, 24)
    return daily * _curtailment(rng, weekend) if kind.curtailed else daily


def clockwork(rng: np.random.Generator, days: int) -> Floats:
    """Simulate an honest load that a clock switches at the same hours, on workdays only or on all days, in W."""
    profile = np.zeros(24)
    for _ in range(rng.integers(1, 4)):
        start, hours = rng.integers(24), rng.integers(3, 15)
        profile[(start + np.arange(hours)) % 24] += np.exp(rng.uniform(np.log(0.02), np.log(0.3)))
    workday = (np.arange(days) + rng.integers(7)) % 7 < rng.choice([5, 7])
    load = 1.0 + workday[:, None] * profile
    return np.asarray(30e3 * load * (1.0 + _noise(rng, days * 24).reshape(days, 24)))


def _noise(rng: np.random.Generator, n: int) -> Floats:
    deviation = np.exp(rng.uniform(np.log(0.001), np.log(0.03)))
    coloured = rng.choice([0.0, rng.random()])
    white, carried = rng.standard_normal(n), _carried(rng, n, rng.uniform(0.0, 0.95))
    return np.asarray(deviation * (np.sqrt(1 - coloured) * white + np.sqrt(coloured) * carried))


def _carried(rng: np.random.Generator, n: int, memory: float) -> Floats:
    """Give noise of variance 1 that carries over from value to value."""
    fresh = rng.standard_normal(n)
    value, values = fresh[0], np.empty(n)
    for at, chance in enumerate(fresh.tolist()):
        value = values[at] = memory * value + np.sqrt(1 - memory**2) * chance
    return values


def _reboots(rng: np.random.Generator, n: int, machines: float) -> Floats:
    a_week, hours = rng.uniform(0.5, 8.0), rng.uniform(0.1, 0.5)
    return np.asarray(rng.poisson(machines * a_week / 168, n) * hours / machines)


def _roughened(rng: np.random.Generator, power: Floats) -> Floats:
    n, days = np.arange(len(power)), len(power) // 24
    rough: Floats = power + rng.choice([-1, 1, 1]) * rng.uniform(0.0, 0.05) * _warmth(rng, days)
    rough += rng.uniform(0.0, 0.05) * np.sin(2 * np.pi * (n / 24 / rng.uniform(40, 150) + rng.random()))
    rough += rng.uniform(0.0, 0.06) * np.sin(2 * np.pi * (n / 24 / 365 + rng.random()))
    for _ in range(rng.poisson(days / rng.uniform(12, 60))):  # repairs
        start = rng.integers(len(n))
        rough[start : start + rng.integers(4, 96)] *= rng.uniform(0.85, 1.0)
    for _ in range(rng.poisson(days / rng.uniform(15, 90))):  # outages
        start = rng.integers(len(n))
        rough[start : start + rng.integers(1, 13)] *= rng.uniform(0.0, 0.05)
    return rough


def _warmth(rng: np.random.Generator, days: int) -> Floats:
    """Give the course of the temperature: a day's swing that differs by the day, and the weather's own."""
    hour, peak = np.arange(days * 24) % 24, rng.choice([rng.uniform(13, 17), rng.uniform(0, 24)])
    size = np.repeat(np.clip(rng.normal(1.0, 0.35, days), 0.1, 2.0), 24)
    weather = np.repeat(_carried(rng, days, 0.8), 24)
    angle = 2 * np.pi * (hour - peak) / 24
    return np.asarray(size * (np.cos(angle) + 0.15 * np.cos(2 * angle)) + 0.4 * weather)


def _curtailment(rng: np.random.Generator, weekend: NDArray[np.bool_]) -> Floats:
    """Give the share that is left of each hour: off at the same hours of some workdays, or of any day."""
    start, length = rng.uniform(13, 19), rng.uniform(2, 5.5)
    if rng.random() < 0.5:
        start, length = round(start), round(length)
    chosen = (~weekend | (rng.random() < 0.2)) & (rng.random(len(weekend)) < rng.uniform(0.2, 0.8))
    hour = np.arange(24)
    off = np.clip(np.minimum(hour + 1, start + length) - np.maximum(hour, start), 0, 1)
    return np.asarray(1 - (1 - rng.uniform(0.0, 0.1)) * chosen[:, None] * off)
