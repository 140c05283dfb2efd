"""Fit the curves of the hidden-load test on real buildings with injected farms, and choose its thresholds.

    python -m bench.fit_hidden DATA

Only the training half of the buildings is seen (``bench/evaluate/data.py``), by weights and
thresholds alike; ``make evaluate`` reports on the other half. Farms are simulated, because no
recording of a real one is public. Writes what stands below the line "fitted" in ``configs/judgement.toml``.

The curves are boosted stumps (LightGBM): sums of one step each in one feature, monotone where
physics says so, hence a table per feature. A threshold is chosen on scores of buildings that the
curves had not seen (four folds).
"""

import hashlib
import sys
import warnings
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from agent.analyse.detect.evidence import Model
from agent.analyse.detect.hidden import AGES
from agent.analyse.detect.onset import TEXTS
from agent.analyse.features.robust import Floats
from bench.evaluate.data import buildings
from bench.onset_looks import Looks, all_looks

SEED = 11
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
    return runs / (float(asked.sum()) / 365.25)


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
