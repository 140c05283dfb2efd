"""What the hidden-load test sees of real meters, clean and with simulated farms: the examples it is fitted on.

The onsets of clean meters are all days of their record; those of farms are drawn from the same days,
so that neither the season nor the age of a record tells them apart.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agent.analyse.detect.hidden import AGES
from agent.analyse.detect.onset import BEFORE_DAYS, TEXTS, Look, Step, evidence
from agent.analyse.detect.sketch import Sketch
from agent.analyse.features.robust import Floats
from bench.evaluate.data import Meter
from bench.evaluate.farms import CLEAN, HARD, Kind, farm

FARMS = 3  # of each kind, injected into each record on different days
KINDS: tuple[tuple[float, Kind], ...] = ((0.1, CLEAN), (0.25, CLEAN), (0.5, CLEAN), (1.0, CLEAN), (0.5, HARD))
FIRST_DAY = 28  # of the record, of onsets of clean meters and of farms alike


@dataclass(frozen=True)
class Looks:
    """All looks at one age, a row each: at a clean meter, or at a farm's true onset and the days beside it."""

    values: Floats  # (looks, features)
    meter: NDArray[np.str_]
    record: NDArray[np.intp]  # of a clean meter or of one farm
    onset: NDArray[np.intp]
    is_farm: NDArray[np.bool_]
    height_w: Floats
    spread_w: Floats
    load_w: Floats
    true_w: Floats

    @property
    def rises(self) -> NDArray[np.bool_]:
        """Where there is a step at all."""
        return self.height_w > 0


@dataclass(frozen=True)
class Record:
    """One virtual meter: a building's record, with a farm from ``onset`` on or without (-1)."""

    meter: int
    onset: int
    watts: float
    hourly_w: Floats


def records(meters: list[Meter], rng: np.random.Generator) -> list[Record]:
    """Give each record once clean and with farms from random days on; the first day begins at a random hour."""
    result = []
    for index, meter in enumerate(meters):
        result.append(Record(index, -1, 0.0, meter.hourly_w))
        for share, kind in KINDS * FARMS:
            days = [day for day in range(FIRST_DAY, len(meter.hourly_w) - BEFORE_DAYS) if _is_known(meter, day)]
            onset = int(rng.choice(days))
            watts = share * float(np.nanmean(meter.hourly_w[max(0, onset - 56) : onset]))
            added = watts * farm(rng, kind, meter.weekend[onset:])
            added[0, : rng.integers(24)] = 0.0
            hourly_w = meter.hourly_w.copy()
            hourly_w[onset:] += added
            result.append(Record(index, onset, watts, hourly_w))
    return result


def _is_known(meter: Meter, day: int) -> bool:
    return bool(meter.known[day - BEFORE_DAYS : day + BEFORE_DAYS].mean() > 0.8)


def looks(meters: list[Meter], rng: np.random.Generator) -> dict[int, Looks]:
    """Look at all virtual meters of one site and stretch of time, at each age."""
    rows = records(meters, rng)
    hourly_w = np.stack([row.hourly_w for row in rows])
    sketch = Sketch.of(hourly_w)
    onsets = np.array([row.onset for row in rows])
    meter_of = np.array([row.meter for row in rows])
    found: dict[int, list[tuple[NDArray[np.intp], int, Floats, Step]]] = {age: [] for age in AGES}
    for onset in range(FIRST_DAY, hourly_w.shape[1] - BEFORE_DAYS):
        picked = np.flatnonzero((onsets < 0) | ((onsets >= 0) & (np.abs(onset - onsets) <= 1)))
        others = np.flatnonzero(onsets < 0)
        for age in AGES if len(picked) else ():
            both = np.union1d(picked, others)
            weekend = meters[0].weekend[onset - BEFORE_DAYS : onset + age]
            look = Look(
                hourly_w[both, onset - BEFORE_DAYS : onset], hourly_w[both, onset : onset + age], weekend,
                _part(sketch, both), onset,
            )  # fmt: skip
            values, step = evidence(look)
            values["siblings_moved"] = _siblings(both, step, meter_of, onsets)
            at = np.searchsorted(both, picked)
            kept = Step(*(getattr(step, name)[at] for name in Step.__slots__))
            found[age].append((picked, onset, np.stack([values[name] for name in TEXTS], axis=1)[at], kept))
    return {age: _joined(found[age], rows, meters) for age in AGES}


class _Part:
    """The sketch of some of the meters."""

    def __init__(self, sketch: Sketch, rows: NDArray[np.intp]) -> None:
        self.base_w, self.week_w, self.step_w = sketch.base_w[rows], sketch.week_w[rows], sketch.step_w[rows]


def _part(sketch: Sketch, rows: NDArray[np.intp]) -> Sketch:
    return _Part(sketch, rows)  # type: ignore[return-value]


def _siblings(both: NDArray[np.intp], step: Step, meter_of: NDArray[np.intp], onsets: NDArray[np.intp]) -> Floats:
    """Compare each virtual meter with the clean other meters of its site."""
    share = step.height_w / step.load_w
    clean = np.flatnonzero(onsets[both] < 0)
    known = np.isfinite(share[clean])[None, :] & (meter_of[both][:, None] != meter_of[both][clean][None, :])
    moved = ((share[clean][None, :] >= 0.5 * share[:, None]) & known).sum(axis=1)
    others = known.sum(axis=1)
    return np.where((others >= 3) & np.isfinite(share), moved / np.maximum(others, 1), np.nan)


def _joined(found: list[tuple[NDArray[np.intp], int, Floats, Step]], rows: list[Record], meters: list[Meter]) -> Looks:
    at = np.concatenate([picked for picked, *_ in found])
    return Looks(
        values=np.concatenate([values for _, _, values, _ in found]),
        meter=np.array([meters[row.meter].building for row in rows])[at],
        record=at,
        onset=np.concatenate([np.full(len(picked), onset) for picked, onset, *_ in found]),
        is_farm=np.array([row.onset >= 0 for row in rows])[at],
        height_w=np.concatenate([step.height_w for *_, step in found]),
        spread_w=np.concatenate([step.spread_w for *_, step in found]),
        load_w=np.concatenate([step.load_w for *_, step in found]),
        true_w=np.array([row.watts for row in rows])[at],
    )


def all_looks(meters: list[Meter], rng: np.random.Generator) -> dict[int, Looks]:
    """Look at all sites; records of different sites get different numbers."""
    sites: dict[tuple[str, int], list[Meter]] = {}
    for meter in meters:
        sites.setdefault((meter.site, meter.first_day), []).append(meter)
    parts = []
    for number, site in enumerate(sites.values()):
        parts += [(age, replace(part, record=part.record + 100_000 * number)) for age, part in looks(site, rng).items()]
        print(f"  looked at {site[0].site}: {len(site)} records", flush=True)
    return {age: _concatenated([part for a, part in parts if a == age]) for age in AGES}


def _concatenated(parts: list[Looks]) -> Looks:
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Looks.__dataclass_fields__}
    return Looks(**columns)
