"""Simulated farms are what their names say."""

import numpy as np
import pytest

from bench.evaluate.farms import CLEAN, CURTAILED, GROWING, HARD, ROUGH, Kind, farm

WEEKEND = np.arange(364) % 7 >= 5


@pytest.mark.parametrize("steps", [24, 96])
def test_a_farm_draws_one_less_its_reboots(steps: int) -> None:
    """Five reboots a week of twelve minutes each cost 0.6 %."""
    power = farm(np.random.default_rng(1), CLEAN, WEEKEND, steps)

    assert power.shape == (364, steps)
    assert power.mean() == pytest.approx(1 - 5 * 0.2 / 168, abs=0.001)


def test_a_few_machines_show_their_reboots_and_many_do_not() -> None:
    """One of two machines away for twelve minutes costs a tenth of an hour's mean."""
    few, many = (farm(np.random.default_rng(1), CLEAN, WEEKEND, machines=count) for count in (2, 300))

    assert few.min() < 0.92 < many.min()


def test_a_curtailed_farm_rests_at_the_peak_of_half_the_workdays() -> None:
    """Four hours, and never at weekends."""
    resting = farm(np.random.default_rng(1), CURTAILED, WEEKEND) < 0.1

    assert resting[~WEEKEND, 16:20].mean() == pytest.approx(0.5, abs=0.1)
    assert not resting[WEEKEND].any()
    assert not resting[:, :16].any()


def test_a_rough_farm_has_outages_and_swings() -> None:
    """It is away at times, and its daily means wander by several percent."""
    power = farm(np.random.default_rng(1), ROUGH, WEEKEND)

    assert (power < 0.1).any()
    assert np.quantile(power.mean(axis=1), 0.9) - np.quantile(power.mean(axis=1), 0.1) > 0.04


def test_a_growing_farm_never_shrinks_and_ends_whole() -> None:
    """It begins with a part and is complete within four months."""
    daily = farm(np.random.default_rng(1), GROWING, WEEKEND, machines=1e6).mean(axis=1)

    assert daily[0] < 0.5
    assert np.diff(daily).min() > -0.02
    assert daily[120:].min() > 0.97


def test_a_farm_that_is_removed_draws_nothing() -> None:
    """From that day on."""
    power = farm(np.random.default_rng(1), Kind(removed_after=70), WEEKEND)

    assert power[:70].min() > 0.8
    assert power[70:].max() == 0.0


def test_no_farm_feeds_power_back() -> None:
    """However rough and however few machines."""
    assert farm(np.random.default_rng(1), HARD, WEEKEND, machines=1).min() >= 0.0
