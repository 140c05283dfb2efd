"""Fit the evidence of dedicated feeders in ``configs/judgement.toml``, and say how good it is.

    python -m bench.fit_dedicated DATA_FOLDER

prints the section [dedicated] and the threshold, fitted on the training half of the buildings (the
split of ``bench/evaluate``) against farms that are simulated with varied habits, and then how the
other half fares. Loads that a clock switches, as in garages, are
simulated too, for few are recorded. Whatever is unlike a farm speaks against one; nothing speaks for one by being
smoother than the varied farms are. The threshold is taken from scores of training buildings that
their own fit has not seen (four folds), at the printed rate of false alarms.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from agent.analyse.detect import dedicated
from agent.analyse.detect.evidence import shipped_rules
from bench.evaluate import farms, metrics
from bench.evaluate.data import Floats, Meter, buildings, office, steel_works, stuck
from bench.varied_farms import clockwork, varied

SEED = 5
RATE = 0.01  # false alarms a meter-year of the training half; the whole judgement may have 0.10
CLOCKS = 150  # simulated loads that are switched by a clock: real garages of that kind are few here
FEEDERS = 240  # of each kind; half of them fit, the other half is reported
DAYS = 15  # after the start that are looked at
OLD_DAYS = (20, 30, 60, 110)  # ages of farms that are no longer new
WINDOW = dedicated.DAYS + dedicated.LIFE_DAYS
NAMES = tuple(name for name in dedicated.TEXTS if name != "power_factor")
KINDS = {"clean": farms.CLEAN, "rough": farms.ROUGH, "curtailed": farms.CURTAILED, "rough, curtailed": farms.HARD}
FOLDS = 4
HYSTERESIS = 2.0  # log-odds between mining and suspect
REMEMBERED_DAYS = 7  # by the judge
ROW_DAYS = 3  # that must agree, and after which an alarm ends

Curves = tuple[float, dict[str, Floats]]  # intercept, and points (value, log-odds) of each feature
Farm = Callable[[np.random.Generator, farms.Kind, NDArray[np.bool_], float], Floats]
Record = tuple[str, Floats]  # the building, and its evidence day by day


def main() -> None:
    """Fit and report."""
    warnings.simplefilter("ignore", RuntimeWarning)  # empty slices of gappy recordings
    data = Path(sys.argv[1])
    meters = buildings(data)
    halves = {half: [(m.building, look(m.hourly_w)) for m in meters if m.half == half] for half in ("train", "held")}
    print(f"seed {SEED}; {len(halves['train'])} records to fit, {len(halves['held'])} to report")
    rng = np.random.default_rng(SEED)
    new = {(name, kind): feeders(rng, farm, KINDS[kind]) for name, farm in FARMS.items() for kind in KINDS}
    old = [old_feeders(rng, KINDS[kind]) for kind in KINDS]
    examples = [*(looks[::2, 3:] for looks in new.values()), *(np.repeat(looks[::2], 8, axis=0) for looks in old)]
    clocks = [("clock", evidence(np.stack([clockwork(rng, WINDOW) for _ in range(CLOCKS)])))]
    farm_rows = known(np.concatenate([part.reshape(-1, len(NAMES)) for part in examples]))
    threshold = choose_threshold(halves["train"], clocks, farm_rows)
    curves = fit(honest_rows(halves["train"], clocks), farm_rows)
    print(toml(curves, threshold))
    report_farms(new, curves, threshold)
    report_alarms("held-out half", halves["held"], curves, threshold)
    bonus = shipped_rules().power_factor_weight
    report_alarms("held-out half, had all the power factor of computers", halves["held"], curves, threshold - bonus)
    report_hard(data, meters, curves, threshold)


def look(hourly_w: Floats) -> Floats:
    """Give the evidence at the end of each day of a record (days, 24), shape (days, features)."""
    padded = np.concatenate([np.full((WINDOW - 1, 24), np.nan), hourly_w])
    windows = sliding_window_view(padded, WINDOW, axis=0).transpose(0, 2, 1)
    return np.concatenate([evidence(windows[at : at + 100]) for at in range(0, len(windows), 100)])


def evidence(hourly_w: Floats) -> Floats:
    """Give the evidence of windows (n, days, 24) of at least 1.2 kW, shape (n, features)."""
    values = dedicated.features(hourly_w, np.full(hourly_w.shape[:2], np.nan))
    rows = np.stack([values[name] for name in NAMES], axis=-1)
    return np.where((np.nanmean(hourly_w[:, -14:], axis=(1, 2)) >= 1200.0)[:, None], rows, np.nan)


def standard(rng: np.random.Generator, kind: farms.Kind, weekend: NDArray[np.bool_], machines: float) -> Floats:
    """Simulate as the evaluation does."""
    return farms.farm(rng, kind, weekend, machines=machines)


FARMS: dict[str, Farm] = {"standard": standard, "varied": varied}


def feeder(rng: np.random.Generator, farm: Farm, kind: farms.Kind, days: int) -> Floats:
    """Give a feeder that was idle or unmeasured and then is a farm for some days, in W."""
    machines = float(np.exp(rng.uniform(np.log(3), np.log(300))))
    weekend = (np.arange(days) + rng.integers(7)) % 7 >= 5
    idle = rng.choice([np.nan, 0.0, 0.02, 0.05]) * (1 + 0.05 * rng.standard_normal((WINDOW, 24)))
    return machines * farms.MACHINE_W * np.concatenate([idle, farm(rng, kind, weekend, machines)])


def feeders(rng: np.random.Generator, farm: Farm, kind: farms.Kind) -> Floats:
    """Give the evidence at the end of each of the first days, shape (feeders, days, features)."""
    loads = np.stack([feeder(rng, farm, kind, DAYS) for _ in range(FEEDERS)])
    return np.stack([evidence(loads[:, day + 1 : day + 1 + WINDOW]) for day in range(DAYS)], axis=1)


def old_feeders(rng: np.random.Generator, kind: farms.Kind) -> Floats:
    """Give the evidence on varied farms that have run for some months, shape (feeders, features)."""
    return evidence(np.stack([feeder(rng, varied, kind, days)[-WINDOW:] for days in OLD_DAYS for _ in range(60)]))


def known(rows: Floats) -> Floats:
    """Leave out the rows on which nothing can be said."""
    return rows[np.isfinite(rows[:, 0])]


def fit(honest: Floats, farm: Floats) -> Curves:
    """Fit falling curves: flat up to the farms' first quartile, with bends at their 95 % and 99.9 %."""
    rows, label = np.concatenate([honest, farm]), np.r_[np.zeros(len(honest)), np.ones(len(farm))]
    low, middle, high = np.nanquantile(farm, [0.25, 0.95, 0.999], axis=0)
    spread = np.maximum(np.nanstd(rows, axis=0), 0.05)
    bends = np.stack([low, middle, high, high + 0.5 * spread, high + 2 * spread])
    known_rows = np.where(np.isfinite(rows), rows, low)
    segments = [(np.clip(known_rows, a, b) - a) / spread for a, b in pairwise(bends)]
    slopes = falling_logistic(np.concatenate(segments, axis=1), label)
    heights = slopes[1:].reshape(len(segments), -1) * np.diff(bends, axis=0) / spread
    values = np.concatenate([np.zeros((1, len(NAMES))), np.cumsum(heights, axis=0)])
    shift = [_middle(rows[:, i], bends[:, i], values[:, i]) for i in range(len(NAMES))]
    points = {name: np.stack([bends[:, i], values[:, i] - shift[i]], axis=1) for i, name in enumerate(NAMES)}
    return float(slopes[0] + np.sum(shift)), points


def _middle(value: Floats, bends: Floats, log_odds: Floats) -> float:
    """Give what a curve says on average, so that typical values say nothing; what may be unknown stays as it is."""
    if np.isnan(value).any():
        return 0.0
    return float(np.interp(value, bends, log_odds).mean())


def falling_logistic(x: Floats, y: Floats, ridge: float = 3.0) -> Floats:
    """Fit a ridge logistic regression whose weights are not positive; gives the intercept, then the weights."""
    keep = np.ones(x.shape[1], dtype=bool)
    while True:
        beta = logistic(x[:, keep], y, ridge)
        wrong = beta[1:] > 0
        if not wrong.any():
            break
        keep[np.flatnonzero(keep)[wrong]] = False
    weights = np.zeros(x.shape[1])
    weights[keep] = beta[1:]
    result: Floats = np.r_[beta[0], weights]
    return result


def logistic(x: Floats, y: Floats, ridge: float) -> Floats:
    """Fit by Newton's method with halved steps, for farms and buildings are all but separable."""
    design = np.column_stack([np.ones(len(x)), x])
    penalty = np.r_[1e-6, np.full(x.shape[1], ridge)]
    beta = np.zeros(design.shape[1])

    def loss(b: Floats) -> float:
        z = design @ b
        return float((np.logaddexp(0, z) - y * z).sum() + 0.5 * (penalty * b * b).sum())

    before = loss(beta)
    for _ in range(60):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -40, 40)))
        hessian = (design.T * (p * (1 - p) + 1e-9)) @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, design.T @ (y - p) - penalty * beta)
        while loss(beta + step) > before + 1e-9:
            step = step / 2
        beta, last, before = beta + step, before, loss(beta + step)
        if last - before < 1e-3:
            break
    return beta


def weigh(rows: Floats, curves: Curves) -> Floats:
    """Give the log-odds of rows (..., features); -inf where nothing is known."""
    intercept, points = curves
    parts = [np.nan_to_num(np.interp(rows[..., i], *points[name].T)) for i, name in enumerate(NAMES)]
    return np.where(np.isfinite(rows[..., 0]), intercept + np.sum(parts, axis=0), -np.inf)


def is_farm(score: Floats, threshold: float) -> NDArray[np.bool_]:
    """Tell on which days the rule speaks: after three strong days in a row, and since then none below suspect."""
    days = np.zeros(len(score), dtype=bool)
    for day in np.flatnonzero(score >= threshold - HYSTERESIS):
        week = score[max(0, day + 1 - REMEMBERED_DAYS) : day + 1]
        low = np.flatnonzero(week < threshold - HYSTERESIS)
        row = (week >= threshold)[low[-1] + 1 if len(low) else 0 :]
        days[day] = any(row[at : at + ROW_DAYS].all() for at in range(len(row) - ROW_DAYS + 1))
    return days


def alarms(score: Floats, threshold: float) -> int:
    """Count alarms: one ends after three days without the verdict."""
    days = np.flatnonzero(is_farm(score, threshold))
    return 0 if not len(days) else 1 + int((np.diff(days) > ROW_DAYS).sum())


def honest_rows(records: Sequence[Record], clocks: Sequence[Record]) -> Floats:
    """Give every third day of the records, and the simulated clocks."""
    return known(np.concatenate([*(values[::3] for _, values in records), *(values for _, values in clocks)]))


def choose_threshold(records: Sequence[Record], clocks: Sequence[Record], farm: Floats) -> float:
    """Give the lowest threshold that keeps the rate on buildings that the fit has not seen."""
    names = np.random.default_rng(SEED).permutation(sorted({name for name, _ in records}))
    fold = {str(name): number % FOLDS for number, name in enumerate(names)}
    scores: list[Floats] = []
    for number in range(FOLDS):
        curves = fit(honest_rows([record for record in records if fold[record[0]] != number], clocks), farm)
        scores += [weigh(values, curves) for name, values in records if fold[name] == number]
    most = RATE * sum(years(values) for _, values in records)
    threshold = next(t for t in np.arange(0.0, 20.0, 0.25) if sum(alarms(score, t) for score in scores) <= most)
    return float(threshold)


def years(values: Floats) -> float:
    """Give the meter-years in which something could be said."""
    return float(np.isfinite(values[:, 0]).sum()) / 365


def toml(curves: Curves, threshold: float) -> str:
    """Give what belongs into configs/judgement.toml."""
    intercept, points = curves
    lines = [f"dedicated_mining = {threshold}", "[dedicated]", f"intercept = {intercept:.2f}", "[dedicated.points]"]
    lines += [f"{name} = {[[round(float(n), 2) for n in point] for point in table]}" for name, table in points.items()]
    return "\n".join(lines)


def report_farms(simulated: dict[tuple[str, str], Floats], curves: Curves, threshold: float) -> None:
    """Print the share of the other half of the farms that is found in time."""
    for (name, kind), looks in simulated.items():
        found = np.array([is_farm(score, threshold) for score in weigh(looks[1::2], curves)])
        week, fortnight = found[:, :7].any(axis=1).mean(), found[:, :14].any(axis=1).mean()
        print(f"{name} farm, {kind}: found within 7 days {week:.3f}, 14 days {fortnight:.3f}")


def report_alarms(label: str, records: Sequence[Record], curves: Curves, threshold: float) -> None:
    """Print the false alarms a clean meter-year with a 90 % interval, and who had them."""
    counts = [alarms(weigh(values, curves), threshold) for _, values in records]
    spans = [years(values) for _, values in records]
    figure = metrics.proportion(counts, spans, [name for name, _ in records])
    named = ", ".join(f"{name} {count}" for (name, _), count in zip(records, counts, strict=True) if count)
    print(f"{label}: {figure.text(3)} false alarms a clean meter-year ({sum(spans):.0f} years); {named or 'none'}")
    scores = np.concatenate([weigh(values, curves) for _, values in records])
    said = scores[np.isfinite(scores)]
    print(f"  share of days at flat or more {np.mean(said >= 0):.3f}, suspect {np.mean(said >= threshold - 2):.4f}")


def report_hard(data: Path, meters: Sequence[Meter], curves: Curves, threshold: float) -> None:
    """Print what is made of loads that are nearly flat, whichever half they belong to."""
    hard = {f"{m.building} ({m.half})": m.hourly_w for m in meters if "_parking_" in m.building}
    hard |= {f"{m.building} (not declared)": m.hourly_w for m in office(data) if "data_center" in m.building}
    hard |= {"stuck meter": stuck(data).hourly_w, "steel works": steel_works(data)[1].reshape(-1, 24, 4).mean(axis=2)}
    for name, hourly_w in hard.items():
        score = weigh(look(hourly_w), curves)
        print(f"  {name}: highest log-odds {score.max():.1f}, alarms {alarms(score, threshold)}")


if __name__ == "__main__":
    main()
