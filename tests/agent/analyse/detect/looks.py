"""Loads with a step, and the look at it."""

import numpy as np

from agent.analyse.detect.onset import BEFORE_DAYS, Look, Step, evidence
from agent.analyse.detect.sketch import Sketch
from agent.analyse.features.robust import Floats

HOUR = np.arange(24)
SHIFT = (HOUR >= 8) & (HOUR < 18)


def steady(days: int, base_w: float = 1000.0, busy_w: float = 800.0) -> Floats:
    """A workshop without chance, (days, 24), from a Monday on: a shift on workdays, the same nights every day."""
    workday = np.arange(days) % 7 < 5
    load: Floats = (base_w + busy_w * (workday[:, None] & SHIFT)).astype(np.float64)
    return load


def looked(hourly_w: Floats, onset: int, age: int = 14) -> tuple[dict[str, Floats], Step]:
    """Give the evidence of an onset of (meters, days, 24); day 0 is a Monday."""
    held = hourly_w[:, : onset + age]
    first = max(0, onset - BEFORE_DAYS)
    weekend = np.arange(first, onset + age) % 7 >= 5
    return evidence(Look(held[:, first:onset], held[:, onset:], weekend, Sketch.of(held), onset))


def of_one(hourly_w: Floats, onset: int, age: int = 14) -> dict[str, float]:
    """Give the evidence of an onset of one meter, (days, 24)."""
    values, _ = looked(hourly_w[None], onset, age)
    return {name: float(value[0]) for name, value in values.items()}
