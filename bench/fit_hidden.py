"""Fit the curves of the hidden-load test on real buildings with injected farms, and choose its thresholds.

    python -m bench.fit_hidden DATA

Only the training half of the buildings is seen (``bench/evaluate/data.py``), by weights and
thresholds alike; ``make evaluate`` reports on the other half. Farms are simulated, because no
recording of a real one is public. Writes what stands below the line "fitted" in ``configs/judgement.toml``.

The curves are boosted stumps (LightGBM): sums of one step each in one
feature, monotone where physics says so, hence a table per feature. The onsets of clean meters are all
days of their record; those of farms are drawn from the same days, so that neither the season
nor the age of a record tells them apart. A threshold is chosen on scores of buildings that the
curves had not seen (four folds).
"""

import hashlib
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from agent.analyse.detect.evidence import Model
from agent.analyse.detect.hidden import AGES
from agent.analyse.detect.onset import BEFORE_DAYS, TEXTS, Look, Step, evidence
from agent.analyse.detect.sketch import Sketch
from agent.analyse.features.robust import Floats
from bench.evaluate.data import Meter, buildings
from bench.evaluate.farms import CLEAN, HARD, Kind, farm

SEED = 11
FARMS = 3  # of each kind, injected into each record on different days
KINDS: tuple[tuple[float, Kind], ...] = ((0.1, CLEAN), (0.25, CLEAN), (0.5, CLEAN), (1.0, CLEAN), (0.5, HARD))
FIRST_DAY = 28  # of the record, of onsets of clean meters and of farms alike
STRIDE = 1  # days between the onsets of clean meters: as often as the judge asks
FOLDS = 4
FALSE_ALARMS = (0.015, 0.04, 0.075)  # a clean meter-year, of the looks so far: 0.10 is the aim, with flat feeders
SUSPICIONS = 0.5  # a clean meter-year
MONOTONE = {  # +1: more of it can only speak for a farm
    **dict.fromkeys(("clarity", "separation", "least_lift", "nights_above", "past_largest", "past_usual"), 1),
    **dict.fromkeys(("above_quarter", "above_year", "above_last_year"), 1),
    **dict.fromkeys(("lift_spread", "season_twin", "siblings_moved"), -1),
}
PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.06,
    "max_depth": 1,
    "num_leaves": 2,
    "max_bin": 15,
    "min_data_in_leaf": 500,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "feature_fraction": 0.5,
    "lambda_l2": 10.0,
    "monotone_constraints": [MONOTONE.get(name, 0) for name in TEXTS],
    "num_threads": 1,
    "seed": SEED,
    "deterministic": True,
    "verbose": -1,
}
ROUNDS = 400
MARK = "# Fitted, by `python -m bench.fit_hidden DATA`: do not edit below this line."
JUDGEMENT = Path(__file__).resolve().parent.parent / "configs" / "judgement.toml"


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
        is_clean = (onsets < 0) & (onset % STRIDE == 0)
        picked = np.flatnonzero(is_clean | ((onsets >= 0) & (np.abs(onset - onsets) <= 1)))
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


def fit_model(values: Floats, is_farm: NDArray[np.bool_]) -> Model:
    """Boost stumps, and add up those of one feature.

    Each curve is moved so that its mean likelihood ratio over clean meters is one: then an unknown
    value, which weighs nothing, is as good as not asked.
    """
    typical = np.nanmedian(values, axis=0)
    known = np.where(np.isnan(values), typical, values)
    model = lightgbm.train(PARAMETERS, lightgbm.Dataset(known, is_farm.astype(int)), num_boost_round=ROUNDS)
    trees = [tree["tree_structure"] for tree in model.dump_model()["tree_info"]]
    intercept, curves = sum(tree["leaf_value"] for tree in trees if "split_feature" not in tree), {}
    for index, name in enumerate(TEXTS):
        stumps = [tree for tree in trees if tree.get("split_feature") == index]
        if stumps:
            points = _points(stumps)
            clean = values[~is_farm & np.isfinite(values[:, index]), index]
            neutral = float(np.log(np.mean(np.exp(np.interp(clean, *points)))))
            intercept += neutral
            curves[name] = np.array([points[0], np.round(points[1] - neutral, 3)])
    return Model(round(float(intercept), 3), curves)


def _points(stumps: list[dict[str, Any]]) -> Floats:
    """Add the stumps up: two points at each edge, the level up to it and the level beyond.

    Straight lines from the middle of one level to that of the next look better, and found a tenth
    less: what tells a farm is whether a piece of evidence is beyond an edge.
    """
    edges = np.unique([float(f"{stump['threshold']:.3g}") for stump in stumps])
    levels = np.zeros(len(edges) + 1)
    for stump in stumps:
        at = int(np.searchsorted(edges, float(f"{stump['threshold']:.3g}"))) + 1
        levels[:at] += stump["left_child"]["leaf_value"]
        levels[at:] += stump["right_child"]["leaf_value"]
    return np.array([np.repeat(edges, 2), np.repeat(levels, 2)[1:-1]])


def fitted(at: dict[int, Looks], use: NDArray[np.bool_]) -> dict[int, Model]:
    """Fit the curves of each age on the looks of ``use``; all ages have the same looks in the same order."""
    result = {}
    for age, look in at.items():
        chosen = use & look.rises
        result[age] = fit_model(look.values[chosen], look.is_farm[chosen])
    return result


def log_odds(at: dict[int, Looks], models: dict[int, Model]) -> Floats:
    """Give the mean log-odds of the looks so far, (ages, looks)."""
    single = [
        np.where(look.rises, models[age].weigh(dict(zip(TEXTS, look.values.T, strict=True)))[0], -np.inf)
        for age, look in at.items()
    ]
    return np.array([np.mean(single[: n + 1], axis=0) for n in range(len(AGES))])


def fold(meter: str) -> int:
    """Give the fold of a building, by a digest of its name."""
    return hashlib.sha256(meter.encode()).digest()[1] % FOLDS


def alarms_a_year(look: Looks, margin: Floats) -> float:
    """Count the runs of onsets of clean meters that are above the threshold; onsets within 60 days are one alarm."""
    above = ~look.is_farm & (margin >= 0)
    order = np.lexsort((look.onset[above], look.record[above]))
    record, onset = look.record[above][order], look.onset[above][order]
    runs = int(len(record) > 0) + int(((np.diff(record) != 0) | (np.diff(onset) > 60)).sum())
    asked = ~look.is_farm & np.isfinite(look.height_w)
    return runs / (float(asked.sum()) * STRIDE / 365.25)


def thresholds(look: Looks, odds: Floats) -> tuple[float, ...]:
    """Choose, age after age, the least log-odds with which alarms so far stay within the budget."""
    chosen: list[float] = []
    margin = np.full(odds.shape[1], -np.inf)
    for row, budget in zip(odds, FALSE_ALARMS, strict=True):
        grid = np.arange(-3.0, 8.0, 0.02)
        least = next(t for t in grid if alarms_a_year(look, np.maximum(margin, row - t)) <= budget)
        chosen.append(round(float(least), 2))
        margin = np.maximum(margin, row - chosen[-1])
    return tuple(chosen)


def suspicion(look: Looks, margin: Floats) -> float:
    """Choose the margin below the thresholds from which on there is suspicion."""
    return round(float(next(t for t in np.arange(-6.0, 0.0, 0.02) if alarms_a_year(look, margin - t) <= SUSPICIONS)), 2)


def season(look: Looks, found: NDArray[np.bool_]) -> float:
    """Choose the season's part of the band's width so that 80 % of the farms found lie inside."""
    error = np.abs(look.height_w - look.true_w)[found]
    spread, load = look.spread_w[found], look.load_w[found] + look.true_w[found]
    grid = np.linspace(0.001, 0.2, 400)
    inside = [np.mean(error <= 1.2816 * np.hypot(0.5 * spread, part * load)) for part in grid]
    points = 100 * error / load
    print(f"  estimate of farms found: error {points.mean():.1f} points of the total")
    return round(float(grid[int(np.argmin(np.abs(np.array(inside) - 0.8)))]), 4)


def main() -> None:
    """Fit, choose, write."""
    warnings.simplefilter("ignore", RuntimeWarning)  # empty slices of gappy recordings
    meters = [meter for meter in buildings(Path(sys.argv[1])) if meter.half == "train"]
    print(f"seed {SEED}; {len({meter.building for meter in meters})} buildings of the training half")
    at = all_looks(meters, np.random.default_rng(SEED))
    first = at[AGES[0]]
    folds = np.array([fold(meter) for meter in first.meter])
    unseen = np.zeros((len(AGES), len(folds)))
    for number in range(FOLDS):
        unseen[:, folds == number] = log_odds(at, fitted(at, folds != number))[:, folds == number]
    least = thresholds(first, unseen)
    margin = np.max(unseen - np.array(least)[:, None], axis=0)
    print(f"  thresholds {least}: {alarms_a_year(first, margin):.3f} false alarms a clean meter-year")
    for share in (0.1, 0.25, 0.5, 1.0):
        print(f"  found at {share:.0%}: {_recall(first, margin, share):.2f}")
    numbers = {
        "hidden_mining": list(least),
        "hidden_suspect": suspicion(first, margin),
        "estimate_season": season(at[AGES[1]], first.is_farm & (margin >= 0)),
    }
    write(numbers, fitted(at, np.ones(len(folds), dtype=bool)))


def _recall(look: Looks, margin: Floats, share: float) -> float:
    farms = look.is_farm & (np.abs(look.true_w / look.load_w - share) < 0.2 * share)
    return float(
        np.mean([np.max(margin[farms & (look.record == record)]) >= 0 for record in np.unique(look.record[farms])])
    )


def write(numbers: dict[str, object], models: dict[int, Model]) -> None:
    """Replace what stands below the mark."""
    lines = [MARK, "", "[fitted]", *(f"{name} = {value}" for name, value in numbers.items())]
    for age, model in models.items():
        lines += ["", f"[hidden.{age}]", f"intercept = {model.intercept}", f"[hidden.{age}.points]"]
        lines += [f"{name} = {curve.T.tolist()}" for name, curve in model.curves.items()]
    text = JUDGEMENT.read_text().split(MARK)[0]
    JUDGEMENT.write_text(text + "\n".join(lines) + "\n")
    print(f"wrote {JUDGEMENT.name}")


if __name__ == "__main__":
    main()
