"""Virtual meters: stretches of real sites in which a third of the meters, at random, gets a simulated farm.

The meters of a site are replayed together, so that a detector may compare siblings, and each
building stands in a replay once. One year of each stretch is judged; it begins on a random day, after
all that the record holds before, 56 days at least. The farm begins at a random hour of that year, not in
its last eight weeks. Meters with and without a farm come from the same stretches: they cannot be told
by the age of their record or by the calendar.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.evaluate.data import Floats, Meter
from bench.evaluate.farms import CLEAN, CURTAILED, GROWING, HARD, MACHINE_W, ROUGH, Kind, farm

YEAR = 365
BEFORE_DAYS = 56  # their mean load is what a farm's share is of
AFTER_DAYS = 56  # of the year, that a farm is there at least
_FARM_SHARE = 1 / 3  # of a site's meters: siblings are mostly clean
_DRAWS = 50  # of an onset with data around it; then the meter stays clean


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of farm, and its power as a share of the meter's mean load of the eight weeks before."""

    name: str
    share: float
    kind: Kind


SHARES = (0.05, 0.10, 0.25, 0.50, 1.00)
HARDEST = Case("50 % rough, curtailed", 0.5, HARD)
REMOVED = Case("50 % removed", 0.5, Kind(removed_after=70))
PLAIN = tuple(Case(f"{share:.0%}".replace("%", " %"), share, CLEAN) for share in SHARES)
VARIANTS = tuple(
    Case(f"{plain.name} {name}", plain.share, kind)
    for name, kind in (("rough", ROUGH), ("curtailed", CURTAILED), ("growing", GROWING))
    for plain in PLAIN
)
CASES = (*PLAIN, HARDEST, REMOVED, *VARIANTS)


@dataclass(frozen=True, slots=True)
class Virtual:
    """One meter of a stretch. Arrays begin on ``first_day``; ``onset`` and ``year`` index days."""

    building: str
    usage: str
    hourly_w: Floats  # (days, 24), the farm included
    farm_w: Floats  # (days,), mean of the farm over the known hours of each day
    case: Case | None
    onset: int  # -1 without a farm


@dataclass(frozen=True, slots=True)
class Stretch:
    """The meters of one site over the same days; from ``year`` on, an index of days, they are judged."""

    site: str
    first_day: int
    year: int
    virtuals: tuple[Virtual, ...]


def stretches(meters: Sequence[Meter], pairs: Sequence[tuple[str, Case]], seed: Sequence[int]) -> Iterator[Stretch]:
    """Give stretches of one site until each pair of a building and a case was in one."""
    rng = np.random.default_rng(seed)
    queue = [pairs[index] for index in rng.permutation(len(pairs))]
    most = -(-len(meters) // round(1 / _FARM_SHARE))
    while queue:
        chosen: dict[str, Case] = {}
        for building, case in list(queue):
            if len(chosen) < most and building not in chosen:
                chosen[building] = case
                queue.remove((building, case))
        yield stretch(meters, chosen, rng)


def stretch(meters: Sequence[Meter], chosen: dict[str, Case], rng: np.random.Generator) -> Stretch:
    """Cut a random stretch of a site and put the chosen farms in."""
    known = np.mean([meter.known for meter in meters], axis=0)
    first = int(np.argmax(known >= 0.5))  # a campus that was not metered yet has no record
    year = int(rng.integers(first + BEFORE_DAYS, len(known) - YEAR + 1))
    days = slice(first, year + YEAR)
    virtuals = tuple(_virtual(meter, days, year - first, chosen.get(meter.building), rng) for meter in meters)
    return Stretch(meters[0].site, meters[0].first_day + first, year - first, virtuals)


def _virtual(meter: Meter, days: slice, year: int, case: Case | None, rng: np.random.Generator) -> Virtual:
    hourly_w, known, weekend = meter.hourly_w[days], meter.known[days], meter.weekend[days]
    onset = -1 if case is None else _onset(known, year, rng)
    if case is None or onset < 0:
        nothing = np.zeros(len(hourly_w))
        return Virtual(meter.building, meter.usage, hourly_w, nothing, None, -1)
    watts = case.share * float(np.nanmean(hourly_w[onset - BEFORE_DAYS : onset]))
    added = np.zeros(hourly_w.shape)
    added[onset:] = watts * farm(rng, case.kind, weekend[onset:], machines=max(1.0, watts / MACHINE_W))
    added[onset, : rng.integers(24)] = 0.0
    return Virtual(meter.building, meter.usage, hourly_w + added, _known_mean(added, hourly_w), case, onset)


def _onset(known: np.ndarray[tuple[int], np.dtype[np.bool_]], year: int, rng: np.random.Generator) -> int:
    """Draw a day of the year with data in the eight weeks before and after; -1 where there seems to be none."""
    for onset in rng.integers(year, year + YEAR - AFTER_DAYS, _DRAWS):
        if known[onset - BEFORE_DAYS : onset].mean() >= 0.75 and known[onset : onset + AFTER_DAYS].mean() >= 0.9:
            return int(onset)
    return -1


def _known_mean(added: Floats, hourly_w: Floats) -> Floats:
    """Give the daily mean of what was added, over the hours that the meter knows; 0 where it knows none."""
    known = np.isfinite(hourly_w)
    mean: Floats = np.where(known, added, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return mean
