"""Farms behind the steel works, the only real meter with 15 minutes in the data folder.

One meter is no sample of meters: this shows that the code holds at 15 minutes, and no more. Hourly
meters interpolated to 15 minutes would only look like more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.analyse.detect.evidence import Rules
from agent.analyse.site import without_facts
from bench.evaluate.cases import PLAIN, Case
from bench.evaluate.data import Floats, steel_works
from bench.evaluate.farms import MACHINE_W, farm
from bench.evaluate.table import table
from bench.evaluate.trial import Trace, replay

_BEFORE_DAYS = 120  # of history: a year has room for few farms with more
_AFTER_DAYS = 42
_ONSETS = 3  # of each share
NAME = ("steel works",)


@dataclass(frozen=True, slots=True)
class Works:
    """The works with a farm from day ``onset`` on; power of shape (days, 96)."""

    case: Case
    first_day: int
    onset: int
    power_w: Floats
    farm_w: Floats


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether and when a farm was found, and how far the estimate was off afterwards, in points of the total."""

    case: Case
    days: float  # NaN where it was not found
    error: float
    inside: float


def works(folder: Path, seed: int) -> Iterator[Works]:
    """Give the works with each plain farm from three random days."""
    rng = np.random.default_rng((seed, 3))
    first_day, power_w = steel_works(folder)
    for case in PLAIN:
        for onset in rng.integers(_BEFORE_DAYS, len(power_w) - _AFTER_DAYS, _ONSETS):
            part = power_w[onset - _BEFORE_DAYS : onset + _AFTER_DAYS]
            start = first_day + int(onset) - _BEFORE_DAYS
            weekend = (start + np.arange(len(part)) + 3) % 7 >= 5
            watts = case.share * float(part[:_BEFORE_DAYS].mean())
            added = np.zeros(part.shape)
            added[_BEFORE_DAYS:] = watts * farm(rng, case.kind, weekend[_BEFORE_DAYS:], 96, max(1.0, watts / MACHINE_W))
            yield Works(case, start, _BEFORE_DAYS, part + added, added.mean(axis=1))


def judge(each: Works, rules: Rules) -> Judged:
    """Replay the works at 15 minutes."""
    trace = replay(NAME, each.first_day, each.power_w[None], without_facts(NAME), rules)[0]
    return _compare(each, trace)


def report(judged: Sequence[Judged]) -> str:
    """Tell how many were found, and how good the estimate was."""
    rows = []
    for case in PLAIN:
        some = [each for each in judged if each.case.name == case.name]
        found = [each for each in some if np.isfinite(each.days)]
        error = f"{np.mean([each.error for each in found]):.1f}" if found else "–"
        inside = f"{np.mean([each.inside for each in found]):.2f}" if found else "–"
        days = f"{np.median([each.days for each in found]):.0f}" if found else "–"
        rows.append([case.name, str(len(some)), str(sum(each.days <= 28 for each in found)), days, error, inside])
    return table(["a farm of", "farms", "found within 28 days", "median days", "error, points", "in the band"], rows)


def _compare(each: Works, trace: Trace) -> Judged:
    raised = trace.told("raised")
    raised = raised[raised >= each.onset]
    if not len(raised):
        return Judged(each.case, *(float("nan"),) * 3)
    days = np.arange(raised[0], len(each.farm_w))
    low, middle, high = trace.mining_w[days].T
    true_w = each.farm_w[days]
    points = 100 * np.abs(middle - true_w) / each.power_w[days].mean(axis=1)
    inside = (low <= true_w) & (true_w <= high)
    return Judged(each.case, float(raised[0] - each.onset + 1), float(points.mean()), float(inside.mean()))
