"""Figures are exact where an oracle exists, and their intervals count buildings, not meters."""

import math

import numpy as np
import pytest

from bench.evaluate import metrics
from bench.evaluate.table import table

HOMES = [f"building {number}" for number in range(12)]


@pytest.mark.parametrize("seed", range(5))
def test_auc_counts_pairs_and_half_of_the_ties(seed: int) -> None:
    """Small whole numbers tie often; scores that are not known are below all."""
    rng = np.random.default_rng(seed)
    positive, negative = (rng.integers(0, 6, size).astype(float) for size in (17, 23))
    negative[0] = -np.inf
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]

    assert metrics.auc(positive, negative) == pytest.approx(np.mean(pairs))


def test_auc_of_nothing_is_unknown() -> None:
    """Without a positive nothing can be ranked."""
    assert math.isnan(metrics.auc(np.array([]), np.array([1.0])))


def test_a_rate_is_the_sum_of_events_over_the_sum_of_time() -> None:
    """Two alarms in a long record and none in a short one are not the mean of two rates."""
    figure = metrics.proportion([2.0, 0.0], [4.0, 1.0], ["a", "b"])

    assert figure.value == pytest.approx(0.4)
    assert figure.count == 2


def test_what_is_not_known_is_left_out() -> None:
    """A farm that was not found has no error."""
    figure = metrics.mean([1.0, math.nan, 3.0], ["a", "b", "c"])

    assert (figure.value, figure.count) == (2.0, 2)


def test_seeing_a_building_often_does_not_narrow_the_interval() -> None:
    """Ten replays of the same twelve buildings are twelve witnesses."""
    values = [float(number % 3 == 0) for number in range(12)]
    once, often = metrics.mean(values, HOMES), metrics.mean(values * 10, HOMES * 10)

    assert (once.low, once.high) == pytest.approx((often.low, often.high))
    assert once.low < once.value < once.high


def test_the_interval_is_about_that_of_the_binomial() -> None:
    """With one value a building, the bootstrap knows what theory knows: a tenth of 400, within 1.645 sigma."""
    homes = [str(number) for number in range(400)]
    figure = metrics.mean([float(number % 10 == 0) for number in range(400)], homes)

    sigma = math.sqrt(0.1 * 0.9 / 400)
    assert (figure.low, figure.high) == pytest.approx((0.1 - 1.645 * sigma, 0.1 + 1.645 * sigma), abs=0.005)


def test_ranking_has_an_interval_around_the_auc() -> None:
    """Buildings are drawn on both sides at once."""
    rng = np.random.default_rng(1)
    positive, negative = (rng.normal(1, 1, 12).tolist(), rng.normal(0, 1, 12).tolist())
    figure = metrics.ranked((positive, HOMES), (negative, HOMES))

    assert figure.low < figure.value < figure.high
    assert figure.value == metrics.auc(np.array(positive), np.array(negative))


def test_the_median_ignores_what_is_not_known() -> None:
    """Farms that were never found have no day."""
    figure = metrics.middle([1.0, math.nan, 5.0, 3.0], ["a", "b", "c", "d"])

    assert (figure.value, figure.count) == (3.0, 3)


def test_two_buildings_have_no_interval() -> None:
    """They say nothing of how others differ."""
    assert metrics.mean([0.0, 1.0] * 5, ["a", "b"] * 5).text() == "0.50"


def test_a_figure_of_nothing_is_a_dash() -> None:
    """Not a zero, and not nan."""
    assert metrics.mean([], []).text() == "–"
    assert metrics.middle([math.nan], ["a"]).text() == "–"


def test_a_table_needs_no_rows() -> None:
    """A short run may have no farm of a kind."""
    assert table(["farm", "found"], []).splitlines() == ["| farm | found |", "|------|------:|"]
