"""Each piece of evidence of an onset: by a load of which it is known what it must be, and by a slow oracle."""

import math

import numpy as np
import pytest

from agent.analyse.detect.onset import TEXTS
from agent.analyse.features.robust import Floats
from tests import oracles
from tests.agent.analyse.detect.looks import SHIFT, looked, of_one, steady

DAYS, ONSET = 114, 100


def stepped(watts: float = 500.0, days: int = DAYS, onset: int = ONSET) -> Floats:
    """The workshop, with a constant load from the onset on."""
    load = steady(days)
    load[onset:] += watts
    return load


def test_a_constant_load_lifts_all_hours_alike_and_changes_nothing_else() -> None:
    """The very picture of a farm."""
    found = of_one(stepped(), ONSET)

    whole_step = ("sharpness", "separation", "least_lift", "lowest_hours", "above_quarter", "above_year")
    assert {name: found[name] for name in whole_step} == pytest.approx(dict.fromkeys(whole_step, 1.0))
    assert found["lift_spread"] == found["trend_before"] == found["trend_after"] == 0.0
    assert found["restlessness"] == 0.0
    assert found["shape_kept"] == pytest.approx(1.0)
    assert found["nights_above"] == 1.0
    assert found["lift_share"] == pytest.approx(math.log(500 / steady(28).mean()))


def test_a_load_that_grows_in_proportion_is_more_pronounced_and_lifts_the_days_more() -> None:
    """More of the same use: the shift rises by more than the nights."""
    load = steady(DAYS)
    load[ONSET:] *= 1.5

    found = of_one(load, ONSET)

    assert found["shape_kept"] == pytest.approx(1.5)
    assert found["least_lift"] == pytest.approx(1.0)
    assert of_one(stepped(), ONSET)["shape_kept"] < found["shape_kept"]


def test_a_second_shift_lifts_some_hours_only() -> None:
    """Work until midnight raises the evenings; the nights, and with them the least lifted hours, stay."""
    load = stepped(100.0)
    load[ONSET:, 18:] += 800.0

    found = of_one(load, ONSET)

    assert found["least_lift"] == pytest.approx(1.0)
    assert found["lift_spread"] > 5 * of_one(stepped(100.0), ONSET)["lift_spread"]


def test_a_shift_at_night_hides_the_nights() -> None:
    """The share of night hours above nearly all nights before falls where only some nights rise."""
    load = steady(DAYS)
    load[ONSET::2, :6] += 500.0

    assert of_one(load, ONSET)["nights_above"] == pytest.approx(0.5)


def test_restless_hours_are_seen() -> None:
    """Compressors switch: the hours' distance from their usual height grows, of a farm's it does not."""
    chance = np.random.default_rng(4)
    quiet = stepped() + chance.normal(0, 10, (DAYS, 24))
    loud = quiet.copy()
    loud[ONSET:] += chance.normal(0, 100, (DAYS - ONSET, 24))

    assert of_one(quiet, ONSET)["restlessness"] == pytest.approx(0.0, abs=0.3)
    assert of_one(loud, ONSET)["restlessness"] > 1.5


def test_a_creeping_season_shows_in_the_trends() -> None:
    """What rises by 10 W a day before and after has moved by 140 W in a fortnight, and no three days hold the step."""
    load = steady(DAYS) + 10.0 * np.arange(DAYS)[:, None]

    found = of_one(load, ONSET)

    assert found["trend_before"] == pytest.approx(found["trend_after"]) == pytest.approx(1.0)
    assert found["sharpness"] == pytest.approx(30 / 140)


def test_a_return_to_an_old_level_is_not_above_it() -> None:
    """After the break the load stands where it stood before: nothing above the year or the quarter."""
    load = steady(DAYS)
    load[ONSET - 30 : ONSET] -= 400.0

    found = of_one(load, ONSET)

    assert found["above_year"] == found["above_quarter"] == pytest.approx(0.0)


def test_the_same_season_a_year_ago_is_a_twin() -> None:
    """What rose by as much a year before, and stood as high then, rises with the season."""
    load = stepped(days=414, onset=400)
    with_twin = load.copy()
    with_twin[36:60] += 500.0

    assert (of_one(load, 400)["season_twin"], of_one(load, 400)["above_last_year"]) == pytest.approx((0.0, 1.0))
    assert (of_one(with_twin, 400)["season_twin"], of_one(with_twin, 400)["above_last_year"]) == pytest.approx((1, 0))


def test_a_step_is_measured_against_the_largest_of_the_past() -> None:
    """Twice as high as the one of two months ago."""
    load = stepped(1000.0)
    load[40:] += 500.0

    found = of_one(load, ONSET)

    assert found["past_largest"] == pytest.approx(math.log(2), abs=0.02)
    assert math.isnan(of_one(stepped(), 40)["past_largest"])  # twelve steps of the past are too few


@pytest.mark.parametrize(("others", "moved"), [((0.0, 0.0, 0.0), 0.0), ((500.0, 0.0, 0.0), 1 / 3), ((300.0,) * 3, 1.0)])
def test_a_rise_everywhere_is_told(others: tuple[float, ...], moved: float) -> None:
    """A sibling moved that rose at least half as much for its size; three others are needed."""
    site = np.stack([stepped(watts) for watts in (500.0, *others)])

    values, _ = looked(site, ONSET)

    assert values["siblings_moved"][0] == pytest.approx(moved)
    assert np.isnan(looked(site[:3], ONSET)[0]["siblings_moved"]).all()


def textbook(hourly_w: Floats, age: int) -> dict[str, float]:
    """What the baseload tells, one number after the other."""
    base = oracles.baseload(hourly_w.tolist())
    before, after = base[ONSET - 28 : ONSET], base[ONSET : ONSET + age]
    low, high = oracles.median(before[-14:]), oracles.median(after)
    load = oracles.mean(hourly_w[ONSET - 28 : ONSET].ravel().tolist())
    height = high - low
    spread = oracles.mean([abs(day - low) for day in before[-14:]] + [abs(day - high) for day in after])
    usual = oracles.median(before)
    return {
        "clarity": math.log(height / (spread + 0.003 * load)),
        "sharpness": (oracles.mean(after[:3]) - oracles.mean(before[-3:])) / height,
        "separation": (oracles.quantile(after, 0.1) - oracles.quantile(before[-14:], 0.9)) / height,
        "wander": math.log(oracles.median([abs(day - usual) for day in before]) / load + 1e-3),
        "above_year": (high - oracles.quantile(base[: ONSET - 7], 0.9)) / height,
        "lift_share": math.log(height / load),
    }


@pytest.mark.parametrize("age", [7, 14])
@pytest.mark.parametrize("lost", [0.0, 0.1])
def test_the_baseload_is_weighed_as_a_textbook_would(age: int, lost: float) -> None:
    """Restless days and lost hours change nothing of the definitions."""
    chance = np.random.default_rng(6)
    load = stepped() + chance.normal(0, 40, (DAYS, 1)) + chance.normal(0, 20, (DAYS, 24))
    load[chance.random((DAYS, 24)) < lost] = np.nan

    found = of_one(load, ONSET, age)

    expected = textbook(load, age)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    "load", [np.zeros((DAYS, 24)), np.full((DAYS, 24), np.nan), -1.0 * SHIFT * np.ones((DAYS, 24))]
)
def test_a_load_without_a_level_gives_no_nonsense(load: Floats) -> None:
    """Idle, unknown, exporting: no number is infinite, and nobody is warned."""
    assert not any(math.isinf(value) for value in of_one(load, ONSET).values())


def test_each_piece_of_evidence_is_told_in_words() -> None:
    """The text holds a number where there is one to say, and every piece has one."""
    found = of_one(stepped(), ONSET)

    assert set(TEXTS) == set(found)
    assert all(any(letter.isdigit() for letter in text(0.5)) for text in TEXTS.values())
