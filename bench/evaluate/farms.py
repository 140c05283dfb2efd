"""Simulated mining farms, because no recording of a real one is public.

A farm draws 1 on average while it runs as planned; multiply by watts. What is simulated follows
the reference: supplies at constant load with 1 % of noise, machines of 3.4 kW that reboot about five times a week
for 12 minutes each, and, in each :class:`Kind`, what makes real farms less ideal than that.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MACHINE_W = 3400.0  # S19 Pro to S21: 3,250 to 3,500 W
_NOISE = 0.01  # of the hourly mean; servers at constant load: median 0.5 % at 1 s
_REBOOTS_A_WEEK = 5.0  # of each machine
_REBOOT_H = 0.2
_BATCHES = (3, 9)  # how many, the second number excluded
_GROWTH_DAYS = (30, 120)


@dataclass(frozen=True, slots=True)
class Kind:
    """How a farm runs.

    ``rough``: warmth, drift, repairs, outages; ``curtailed``: off at the peak hours of half the
    workdays; ``growing``: in batches over one to four months; ``removed_after`` days it is taken away.
    """

    rough: bool = False
    curtailed: bool = False
    growing: bool = False
    removed_after: int | None = None


CLEAN = Kind()
ROUGH = Kind(rough=True)
CURTAILED = Kind(curtailed=True)
GROWING = Kind(growing=True)
HARD = Kind(rough=True, curtailed=True)


def farm(
    rng: np.random.Generator, kind: Kind, weekend: NDArray[np.bool_], steps: int = 24, machines: float = 30.0
) -> Floats:
    """Simulate a farm of mean power 1 from its first day on, shape (days, steps a day).

    ``weekend`` (days,) says which days are weekends, for there is no peak then. A growing farm
    reaches 1 with its last batch.

    >>> calm = farm(np.random.default_rng(1), CLEAN, np.zeros(28, dtype=bool))
    >>> calm.shape, round(float(calm.mean()), 2), round(float(calm.std()), 2)
    ((28, 24), 0.99, 0.01)
    """
    days = len(weekend)
    power = 1.0 + _NOISE * rng.standard_normal(days * steps)
    power -= _reboots(rng, days * steps, steps, machines)
    if kind.rough:
        power = _roughened(rng, power, steps)
    daily = np.maximum(power, 0.0).reshape(days, steps)
    if kind.growing:
        daily = daily * _growth(rng, days)[:, None]
    if kind.curtailed:
        off = ~weekend & (rng.random(days) < 0.5)
        daily[off, 16 * steps // 24 : 20 * steps // 24] *= 0.03  # controllers and fans stay on
    if kind.removed_after is not None:
        daily[kind.removed_after :] = 0.0
    return daily


def _reboots(rng: np.random.Generator, n: int, steps: int, machines: float) -> Floats:
    """Give the share of the power that reboots take from each of ``n`` steps."""
    step_h = 24 / steps
    count = rng.poisson(machines * _REBOOTS_A_WEEK * step_h / 168, n)
    return np.asarray(count * min(1.0, _REBOOT_H / step_h) / machines, dtype=float)


def _roughened(rng: np.random.Generator, power: Floats, steps: int) -> Floats:
    """Add what summer, neglect and bad luck do: a 3 % day swing, 4 % of drift, repairs, outages."""
    n = np.arange(len(power))
    hour_per_step, days = 24 / steps, len(power) / steps
    rough = power + 0.03 * np.cos(2 * np.pi * (n % steps * hour_per_step - 15) / 24)
    rough += 0.04 * np.sin(2 * np.pi * (n / steps / rng.uniform(60, 120) + rng.random()))
    for _ in range(rng.poisson(days / 30)):  # some machines are away for hours to days
        start, hours = rng.integers(len(n)), rng.integers(6, 72)
        rough[start : start + int(hours / hour_per_step)] *= rng.uniform(0.9, 1.0)
    for _ in range(rng.poisson(days / 45)):  # all of it is down for hours
        start, hours = rng.integers(len(n)), rng.integers(1, 8)
        rough[start : start + int(hours / hour_per_step)] *= 0.02
    return rough


def _growth(rng: np.random.Generator, days: int) -> Floats:
    """Give the share of the farm that is there on each day: equal batches, the first on day 0, the last makes it 1."""
    batches = int(rng.integers(*_BATCHES))
    length = int(rng.integers(*_GROWTH_DAYS))
    later = np.sort(rng.integers(1, length, batches - 2))
    starts = np.concatenate([[0], later, [length]])
    present: Floats = (np.arange(days)[:, None] >= starts).sum(axis=1) / batches
    return present
