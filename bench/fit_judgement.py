"""Fit the weights of ``configs/judgement.toml`` on real recordings with injected farms, and say how good they are.

    python bench/fit_judgement.py DATA_FOLDER

Half of the buildings (drawn with the printed seed) fit the weights; every figure is printed for
the other half. Farms are simulated, because no recording of a real one is public; the buildings
are real (see the manifest of the data folder). This sets the weights; it is no blind evaluation.
"""

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from agent.analyse.detect import dedicated, hidden
from agent.analyse.features.robust import Floats
from agent.analyse.meter_day import REACHED

SEED = 7
STEP_DAYS = 5  # the meters are judged every fifth day, to keep a run at two minutes
SHARES = (0.10, 0.25, 0.50, 1.00)
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Meter:
    """Two years of one building, (days, 24) in kW, and which days are weekends."""

    name: str
    hourly: Floats
    weekend: NDArray[np.bool_]


def meters(data: Path) -> Iterator[Meter]:
    """Read the buildings; zeros are gaps there, and records with many gaps are left out."""
    for file, starts in (("bdg2_hourly_2016_2017", (0,)), ("cambridge_hourly_2015_2019", (0, 730, 1095))):
        table = parquet.read_table(data / f"{file}.parquet")
        clock = next(name for name in table.column_names if name.startswith("timestamp"))
        first = table[clock][0].as_py().date().toordinal()
        for name in table.column_names:
            if name == clock or name.startswith("_"):
                continue
            values = table[name].to_numpy().astype(float)
            hourly = np.where(values > 0, values, np.nan)[: len(values) // 24 * 24].reshape(-1, 24)
            for start in starts:
                part = hourly[start : start + 730]
                known = np.isfinite(part).sum(axis=1) >= 18
                if len(part) == 730 and known[365:].mean() >= 0.9 and known.mean() >= 0.75:
                    weekday = (first + start + np.arange(730) - 1) % 7
                    yield Meter(f"{name}#{start}", part, weekday >= 5)


def farm(rng: np.random.Generator, days: int, *, rough: bool, curtailed: bool) -> Floats:
    """Simulate a farm of mean power 1, (days, 24); rough adds day swing, drift, repairs and outages."""
    n = np.arange(days * 24)
    power = 1 + 0.01 * rng.standard_normal(len(n))
    if rough:
        power += 0.03 * np.cos(2 * np.pi * (n % 24 - 15) / 24)
        power += 0.04 * np.sin(2 * np.pi * (n / 24 / rng.uniform(60, 120) + rng.random()))
        for _ in range(rng.poisson(days / 30)):
            start = rng.integers(len(n))
            power[start : start + rng.integers(6, 72)] *= rng.uniform(0.9, 1.0)
        for _ in range(rng.poisson(days / 45)):
            start = rng.integers(len(n))
            power[start : start + rng.integers(1, 8)] *= 0.02
    hourly: Floats = power.reshape(days, 24)
    if curtailed:
        hourly[(np.arange(days) % 7 < 5) & (rng.random(days) < 0.5), 16:20] *= 0.03
    return hourly


@dataclass(frozen=True)
class Trial:
    """One look at one meter on one day."""

    meter: str
    case: str
    day: int
    onset: int  # -1 on clean meters
    true_w: float
    load_w: float
    height_w: float
    spread_w: float
    returned: bool  # the baseload has stood so high before: the rules make a suspect of it at most
    values: tuple[float, ...]


def trials(buildings: list[Meter], rng: np.random.Generator) -> list[Trial]:
    """Look at each building through its second year: clean, and with a farm from a random day."""
    result = []
    for building in buildings:
        result += _looks(building, building.hourly, "clean", -1, 0.0, range(420, 728, STEP_DAYS))
        for share, rough in [(share, False) for share in SHARES] + [(0.5, True)]:
            onset = int(rng.integers(430, 690))
            watts = share * float(np.nanmean(building.hourly[onset - 56 : onset]))
            hourly = building.hourly.copy()
            hourly[onset:] += watts * farm(rng, 730, rough=rough, curtailed=rough)[onset:]
            days = range(onset + 4, min(onset + 57, 728), STEP_DAYS)
            case = f"{share:.0%}" + (" rough, curtailed" if rough else "")
            result += _looks(building, hourly, case, onset, watts, days)
    return result


def _looks(building: Meter, hourly: Floats, case: str, onset: int, watts: float, days: range) -> list[Trial]:
    result = []
    for day in days:
        first = max(0, day - 400)
        values, step = hidden.features(hourly[None, first:day], building.weekend[first:day])
        row = tuple(float(value[0]) for value in values.values())
        load = float(np.nanmean(hourly[day - 28 : day]))
        height, spread = float(step.height_w[0]), float(step.spread_w[0])
        returned = bool(step.earlier_w[0] >= step.before_w[0] + REACHED * height)
        result.append(Trial(building.name, case, day, onset, watts, load, height, spread, returned, row))
    return result


def logistic(x: Floats, y: Floats, ridge: float) -> Floats:
    """Fit a ridge logistic regression by Newton's method; gives the intercept, then the weights."""
    design = np.column_stack([np.ones(len(x)), x])
    beta = np.zeros(design.shape[1])
    penalty = np.r_[0.0, np.full(len(beta) - 1, ridge)]
    for _ in range(30):
        p = 1 / (1 + np.exp(-design @ beta))
        gradient = design.T @ (y - p) - penalty * beta
        hessian = (design.T * (p * (1 - p))) @ design + np.diag(penalty + 1e-9)
        beta = beta + np.linalg.solve(hessian, gradient)
    return beta


def fit(x: Floats, y: Floats, names: list[str], ridge: float) -> tuple[str, Floats]:
    """Give a model as TOML lines, and its log-odds for all rows of ``x``; unknown values count as typical."""
    typical, scale = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    beta = logistic(np.nan_to_num((x - typical) / scale), y, ridge)
    lines = [f"intercept = {beta[0]:.3f}", "[{section}.terms] # feature = [log-odds a scale, typical value, scale]"]
    lines += [
        f"{name} = [{w:.3f}, {t:.3f}, {s:.3f}]" for name, w, t, s in zip(names, beta[1:], typical, scale, strict=True)
    ]
    return "\n".join(lines), np.r_[beta[0], beta[1:] / scale, typical]


def log_odds(x: Floats, packed: Floats) -> Floats:
    """Apply what :func:`fit` gave."""
    n = x.shape[1]
    score: Floats = packed[0] + np.nan_to_num(x - packed[1 + n :]) @ packed[1 : 1 + n]
    return score


def main() -> None:
    """Fit, report, write."""
    data = Path(sys.argv[1])
    warnings.simplefilter("ignore", RuntimeWarning)  # empty slices of gappy recordings
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    buildings = list(meters(data))
    names = sorted({building.name.split("#")[0] for building in buildings})
    train = set(rng.permutation(names)[: len(names) // 2])
    hidden_toml, hidden_rules = fit_hidden(trials(buildings, rng), train)
    dedicated_toml = fit_dedicated(buildings, train, rng)
    text = (ROOT / "bench" / "judgement.template.toml").read_text()
    filled = text.format(hidden=hidden_toml, dedicated=dedicated_toml, **hidden_rules)
    (ROOT / "configs" / "judgement.toml").write_text(filled)
    print("wrote configs/judgement.toml")


def fit_hidden(looks: list[Trial], train: set[str]) -> tuple[str, dict[str, float]]:
    """Fit the hidden-load evidence, choose the thresholds on the training half, report on the other."""
    x = np.array([look.values for look in looks])
    case = np.array([look.case for look in looks])
    age = np.array([look.day - look.onset for look in looks])
    trained = np.array([look.meter.split("#")[0] in train for look in looks])
    use = trained & ((case == "clean") | ((age >= 9) & (age <= 45)))
    feature_names = list(hidden.TEXTS)
    toml, packed = fit(x[use], (case[use] != "clean").astype(float), feature_names, 3.0)
    score = log_odds(x, packed)
    alarming = np.where([look.returned for look in looks], -np.inf, score)
    thresholds = {}
    for name, per_year, seen in (("hidden_mining", 0.08, alarming), ("hidden_suspect", 0.5, score)):
        runs = _runs(looks, seen)
        worst = np.array(
            [max(low) for (meter, c), (low, _) in runs.items() if c == "clean" and meter.split("#")[0] in train]
        )
        thresholds[name] = float(np.quantile(worst, 1 - per_year * 308 / 365))
        _report(name, thresholds[name], runs, train)
    thresholds |= _fit_interval(looks, alarming, trained, thresholds["hidden_mining"])
    return toml.format(section="hidden"), thresholds


def _runs(looks: list[Trial], score: Floats) -> dict[tuple[str, str], tuple[list[float], list[int]]]:
    """Give, per meter and case, the lower of each two consecutive scores (persistence) and the days since onset."""
    runs: dict[tuple[str, str], tuple[list[float], list[int]]] = {}
    for i in range(1, len(looks)):
        now, before = looks[i], looks[i - 1]
        if (now.meter, now.case) == (before.meter, before.case):
            low, days = runs.setdefault((now.meter, now.case), ([], []))
            low.append(float(min(score[i], score[i - 1])))
            days.append(now.day - now.onset)
    return runs


def _report(
    name: str, threshold: float, runs: dict[tuple[str, str], tuple[list[float], list[int]]], train: set[str]
) -> None:
    held = {key: run for key, run in runs.items() if key[0].split("#")[0] not in train}
    clean = [max(low) > threshold for (_, c), (low, _) in held.items() if c == "clean"]
    rate = np.mean(clean) * 365 / 308
    print(f"{name} {threshold:.2f}: {rate:.2f} false alarms a clean meter-year ({len(clean)} records)")
    for c in sorted({case for _, case in held if case != "clean"}):
        hits = [
            any(s > threshold for s, age in zip(low, days, strict=True) if 0 < age <= 28)
            for (_, other), (low, days) in held.items()
            if other == c
        ]
        print(f"  found within 28 days at {c} of the mean: {np.mean(hits):.2f}")


def _fit_interval(looks: list[Trial], score: Floats, trained: NDArray[np.bool_], threshold: float) -> dict[str, float]:
    """Choose the seasonal part of the estimate's width so that 80 % of the training farms lie inside."""
    farms = np.array([look.onset >= 0 and 9 <= look.day - look.onset <= 42 for look in looks]) & (score > threshold)
    error = np.array([look.height_w - look.true_w for look in looks])
    spread = np.array([look.spread_w for look in looks])
    load = np.array([look.load_w for look in looks])
    fits = farms & trained
    grid = np.linspace(0.005, 0.2, 400)
    covered = [np.mean(np.abs(error[fits]) <= 1.2816 * np.hypot(0.5 * spread[fits], g * load[fits])) for g in grid]
    season = float(grid[int(np.argmin(np.abs(np.array(covered) - 0.8)))])
    held = farms & ~trained
    inside = np.mean(np.abs(error[held]) <= 1.2816 * np.hypot(0.5 * spread[held], season * load[held]))
    points = 100 * np.mean(np.abs(error[held]) / load[held])
    bias = 100 * np.mean(error[held] / load[held])
    print(
        f"estimate, once found: error {points:.1f} points of the total, bias {bias:+.1f}; 80 % band holds {inside:.2f}"
    )
    return {"estimate_season": season}


def fit_dedicated(buildings: list[Meter], train: set[str], rng: np.random.Generator) -> str:
    """Fit the flatness evidence of dedicated feeders against whole buildings."""
    rows: list[list[float]] = []
    label, trained, case = [], [], []
    no_factor = np.full((1, dedicated.DAYS), np.nan)

    def look(hourly: Floats, kind: str, is_train: bool) -> None:
        values = dedicated.features(hourly[None], no_factor)
        row = [float(values[name][0]) for name in values if name != "power_factor"]
        if np.isfinite(row).all():
            rows.append(row)
            label.append(kind != "building")
            trained.append(is_train)
            case.append(kind)

    for building in buildings:
        for day in range(370, 716, 28):
            part = slice(day, day + dedicated.DAYS)
            look(building.hourly[part], "building", building.name.split("#")[0] in train)
    for i in range(400):
        for kind, rough, curtailed in (
            ("clean", False, False),
            ("rough", True, False),
            ("curtailed", False, True),
            ("rough, curtailed", True, True),
        ):
            hourly = farm(rng, 104, rough=rough, curtailed=curtailed)[-dedicated.DAYS :]
            look(hourly, kind, i % 2 == 0)
    x, y, is_trained = np.array(rows), np.array(label, dtype=float), np.array(trained)
    names = [name for name in dedicated.TEXTS if name != "power_factor"]
    toml, packed = fit(x[is_trained], y[is_trained], names, 5.0)
    score = log_odds(x, packed)
    for kind in dict.fromkeys(case):
        held = score[(np.array(case) == kind) & ~is_trained]
        low, middle, high = np.quantile(held, [0.01, 0.5, 0.99])
        print(f"flatness of a {kind} feeder: log-odds 1 %, 50 %, 99 %: {low:.1f} {middle:.1f} {high:.1f}")
    return toml.format(section="dedicated")


if __name__ == "__main__":
    main()
