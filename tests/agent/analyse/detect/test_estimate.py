"""How much is said to go into mining, and how surely."""

from dataclasses import replace

import numpy as np
import pytest

from agent.analyse.detect import estimate
from agent.records import Judgement, Verdict
from tests.agent.analyse.stories import RULES


def test_the_band_is_that_of_two_independent_errors() -> None:
    """The days' spread and the season add as squares; 80 of 100 normal errors lie inside."""
    rules = replace(RULES, estimate_noise=0.5, estimate_season=0.03)
    chance = np.random.default_rng(3)
    errors = chance.normal(0, 0.5 * 400.0, 20_000) + chance.normal(0, 0.03 * 20_000.0, 20_000)

    half = estimate.half_width(400.0, 20_000.0, rules)

    assert np.mean(np.abs(errors) <= half) == pytest.approx(0.8, abs=0.01)


def test_an_estimate_is_between_nothing_and_what_the_building_leaves() -> None:
    """A wide band does not promise negative mining, nor more than there is."""
    assert estimate.hidden_load(500.0, 900.0, 1000.0) == (0.0, 500.0, 1000.0)
    assert estimate.hidden_load(500.0, 900.0, -50.0) == (0.0, 0.0, 0.0)


def test_counted_machines_are_known_within_a_factor_of_three() -> None:
    """And draw no more than the baseload."""
    assert estimate.counted_machines(3000.0, 5000.0) == (1000.0, 3000.0, 5000.0)


def test_a_farm_as_a_whole_is_all_of_its_feeder_less_what_cools_it() -> None:
    """At the low end fans and lights are not mining; an exporting feeder mines nothing."""
    low, middle, high = estimate.dedicated_feeder(10_000.0, RULES)

    assert (low, high) == (10_000.0 * (1 - RULES.dedicated_overhead), 10_000.0)
    assert middle == pytest.approx((low + high) / 2)
    assert estimate.dedicated_feeder(-10.0, RULES) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("day_w", "load_w", "rest_w", "expected"),
    [
        (10_000.0, 20_000.0, 5000.0, (4000.0, 5000.0, 6000.0)),  # a hidden farm and room for it
        (10_000.0, 9000.0, 5000.0, (4000.0, 4000.0, 4000.0)),  # the building leaves less
        (10_000.0, 5500.0, 0.0, (4000.0, 5000.0, 5500.0)),  # counted machines in a building at rest
        (6000.0, 3000.0, 0.0, (2000.0, 2500.0, 3000.0)),  # a farm as a whole at half of its load
        (10_000.0, float("nan"), 5000.0, (0.0, 0.0, 0.0)),  # not measured
    ],
)
def test_a_window_mines_no_more_than_it_measured(
    day_w: float, load_w: float, rest_w: float, expected: tuple[float, float, float]
) -> None:
    """Yesterday's farm of 5 kW, carried into a window."""
    mining = Judgement(
        meter="m", verdict=Verdict.MINING, score=0.9, mining_w=(4000.0, 5000.0, 6000.0), since_s=0, reasons=()
    )

    assert estimate.within(mining, load_w, day_w, rest_w).mining_w == pytest.approx(expected)
