"""The fit of the hidden-load test: curves that physics allows, thresholds that keep to their budget."""

from pathlib import Path

import numpy as np
import pytest

from agent.analyse.detect.evidence import shipped_rules
from agent.analyse.detect.hidden import AGES
from agent.analyse.detect.onset import TEXTS
from agent.analyse.features.robust import Floats

pytest.importorskip("lightgbm", reason="the fit alone needs it: pip install 'flatwatt[fit]'")

from bench import fit_hidden
from bench.onset_looks import Looks

RULES = shipped_rules()


@pytest.mark.parametrize("age", range(len(AGES)), ids=[f"{age} days" for age in AGES])
def test_the_shipped_curves_are_curves_and_go_the_way_that_physics_allows(age: int) -> None:
    """Sorted values, finite weights; what can only speak for a farm never falls, what only against never rises."""
    curves = RULES.hidden[age].curves

    assert set(curves) <= set(TEXTS)
    for name, (values, weights) in curves.items():
        assert np.isfinite([values, weights]).all(), name
        assert (np.diff(values) >= 0).all(), name  # equal where the curve steps
        assert (np.diff(weights) * fit_hidden.MONOTONE.get(name, 0) >= 0).all(), name


def test_there_is_a_model_and_a_threshold_for_each_age() -> None:
    """Suspicion begins below them."""
    assert len(RULES.hidden) == len(RULES.hidden_mining) == len(AGES)
    assert RULES.hidden_suspect < 0


def looks(onsets: list[int], record: list[int], is_farm: list[bool]) -> Looks:
    """Give looks at these onsets."""
    nothing = np.zeros(len(onsets))
    return Looks(
        values=np.zeros((len(onsets), len(TEXTS))),
        meter=np.array(["a"] * len(onsets)),
        record=np.array(record),
        onset=np.array(onsets),
        is_farm=np.array(is_farm),
        height_w=nothing + 100.0,
        spread_w=nothing,
        load_w=nothing + 1000.0,
        true_w=nothing + 100.0,
    )


def test_onsets_of_one_rise_are_one_false_alarm() -> None:
    """Of a clean meter within sixty days; another meter is another alarm, and a farm is none."""
    seen = looks([10, 12, 60, 200, 10, 11], [1, 1, 1, 1, 2, 3], [False] * 5 + [True])
    years = 5 / 365.25

    assert fit_hidden.alarms_a_year(seen, np.ones(6)) == pytest.approx(3 / years)
    assert fit_hidden.alarms_a_year(seen, -np.ones(6)) == 0.0


def test_the_thresholds_keep_the_alarms_within_each_budget() -> None:
    """Of four thousand clean onsets with noisy log-odds; each is the least that does, to a fiftieth."""
    chance = np.random.default_rng(2)
    count = 4000
    seen = looks(list(range(0, 100 * count, 100)), list(range(count)), [False] * count)
    odds: Floats = chance.normal(0, 1.5, (len(AGES), count))

    least = fit_hidden.thresholds(seen, odds)

    margin = np.full(count, -np.inf)
    for row, threshold, budget in zip(odds, least, fit_hidden.FALSE_ALARMS, strict=True):
        lower = np.maximum(margin, row - (threshold - 0.02))
        margin = np.maximum(margin, row - threshold)
        assert fit_hidden.alarms_a_year(seen, margin) <= budget < fit_hidden.alarms_a_year(seen, lower)


def test_a_fit_finds_what_speaks_for_a_farm_and_nothing_in_the_rest() -> None:
    """Two thousand looks in which a clear step is a farm's: its curve rises, unknown values weigh nothing."""
    chance = np.random.default_rng(1)
    values = chance.normal(0, 1, (4000, len(TEXTS)))
    column = list(TEXTS).index("clarity")
    is_farm = values[:, column] + chance.normal(0, 0.5, 4000) > 0
    values[::10, 3] = np.nan

    model = fit_hidden.fit_model(values, is_farm)

    heights = {name: np.ptp(weights) for name, (_, weights) in model.curves.items()}
    assert (np.diff(model.curves["clarity"][1]) >= 0).all()
    assert heights.pop("clarity") > 4 * max(heights.values())
    log_odds, _ = model.weigh({name: np.array([np.nan, 2.0, -2.0]) for name in TEXTS})
    assert log_odds[1] > log_odds[0] > log_odds[2]


def test_what_is_written_is_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All above the mark stays; the shipped curves written again are the shipped file."""
    path = tmp_path / "judgement.toml"
    path.write_text(fit_hidden.JUDGEMENT.read_text())
    monkeypatch.setattr(fit_hidden, "JUDGEMENT", path)
    numbers: dict[str, object] = {
        "hidden_mining": list(RULES.hidden_mining),
        "hidden_suspect": RULES.hidden_suspect,
        "estimate_season": RULES.estimate_season,
    }
    shipped = path.read_text()

    fit_hidden.write(numbers, dict(zip(AGES, RULES.hidden, strict=True)))

    assert path.read_text() == shipped


def test_a_building_is_always_in_the_same_fold() -> None:
    """By its name, not by chance or order; all folds are used."""
    folds = [fit_hidden.fold(f"building-{number}") for number in range(40)]

    assert folds == [fit_hidden.fold(f"building-{number}") for number in range(40)]
    assert set(folds) == set(range(fit_hidden.FOLDS))
