"""The sketch of a meter's life: kept from day to day, it is that of all days at once."""

import numpy as np
import pytest

from agent.analyse.detect.sketch import Sketch
from agent.analyse.features.robust import Floats
from agent.analyse.history_file import KEPT_DAYS
from tests import oracles

DAYS = 150
METERS = 4


@pytest.fixture(scope="module")
def load_w() -> Floats:
    """Four meters: one whole, one with lost hours and days, one that is silent for a month, one never heard."""
    chance = np.random.default_rng(5)
    hourly_w = chance.uniform(1e3, 2e3, (METERS, DAYS, 24))
    hourly_w[1][chance.random((DAYS, 24)) < 0.2] = np.nan
    hourly_w[1, chance.random(DAYS) < 0.15] = np.nan
    hourly_w[2, 60:90] = np.nan
    hourly_w[3] = np.nan
    return hourly_w


def series(sketch: Sketch) -> Floats:
    """Give all three series of a sketch."""
    return np.stack([sketch.base_w, sketch.week_w, sketch.step_w])


@pytest.mark.parametrize("kept_days", [400, 40])
def test_kept_from_day_to_day_it_is_that_of_all_days(load_w: Floats, kept_days: int) -> None:
    """At every prefix, with gaps, and after the old days were forgotten, the days that are held are the same."""
    kept = Sketch(METERS, kept_days)
    for day in range(DAYS):
        kept.add(load_w[:, day])
        whole = series(Sketch.of(load_w[:, : day + 1]))

        np.testing.assert_array_equal(series(kept), whole[:, :, -kept.days :])
    assert (kept.days < DAYS) == (kept_days < DAYS)


def test_a_sketch_of_the_past_goes_on_day_by_day(load_w: Floats) -> None:
    """After a restart it is read from the history and then grows."""
    sketch = Sketch.of(load_w[:, :70])
    for day in range(70, DAYS):
        sketch.add(load_w[:, day])

    np.testing.assert_array_equal(series(sketch), series(Sketch.of(load_w)))


def test_it_holds_all_days_that_the_history_holds() -> None:
    """Or a long-running gateway would know less of the past than one that was restarted."""
    sketch = Sketch(1)
    for _ in range(KEPT_DAYS + 200):
        sketch.add(np.zeros((1, 24)))

    assert KEPT_DAYS <= sketch.days < KEPT_DAYS + 200


def test_weeks_and_steps_are_the_medians_that_a_textbook_takes(load_w: Floats) -> None:
    """Five days of a week and nine of the fortnight before must be known."""
    hourly_w = load_w[1]
    base = oracles.baseload(hourly_w.tolist())

    def middle(days: list[float], least: int) -> float:
        return oracles.median(days) if len(oracles.known(days)) >= least else oracles.NAN

    weeks = [middle(base[day : day + 7], 5) if day + 7 <= DAYS else oracles.NAN for day in range(DAYS)]
    before = [middle(base[day - 14 : day], 9) if day >= 14 else oracles.NAN for day in range(DAYS)]
    sketch = Sketch.of(load_w)

    assert 0.2 < np.isfinite(weeks).mean() < 0.9
    np.testing.assert_allclose(sketch.base_w[1], base)
    np.testing.assert_allclose(sketch.week_w[1], weeks)
    np.testing.assert_allclose(sketch.step_w[1], np.array(weeks) - np.array(before))
