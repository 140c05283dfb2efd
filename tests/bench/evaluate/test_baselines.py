"""The two simple detectors do what their formulas say, from nothing later than the day."""

import numpy as np
import pytest

from bench.evaluate import baselines
from bench.evaluate.data import Floats

DAYS = 100


def load(seed: int = 3) -> Floats:
    """Give a hundred days of some building with a gap."""
    rng = np.random.default_rng(seed)
    hourly_w = 1000 + 300 * np.sin(np.arange(24) / 24 * 2 * np.pi) + 50 * rng.standard_normal((DAYS, 24))
    hourly_w[20, :5] = np.nan
    return hourly_w


def test_flatness_is_the_limit_that_a_day_just_passes() -> None:
    """The larger of 1 - LF and 2 CV over eight weeks."""
    hourly_w = load()
    weeks = hourly_w[80 - 55 : 81].ravel()
    load_factor = np.nanmean(weeks) / np.nanquantile(weeks, 0.995)
    limit = max(1 - load_factor, 2 * np.nanstd(weeks) / np.nanmean(weeks))

    assert baselines.flatness(hourly_w)[80] == pytest.approx(-limit)


def test_step_is_the_rise_over_the_usual_change_of_a_day() -> None:
    """Medians of two fortnights, over 1.4826 times the median change and half a percent."""
    hourly_w = load()
    hourly_w[60:] += 100
    base_w = np.nanquantile(hourly_w[73 - 27 : 74], 0.05, axis=1)
    spread_w = 1.4826 * np.median(np.abs(np.diff(base_w))) + 0.005 * base_w.mean()

    expected = (np.median(base_w[14:]) - np.median(base_w[:14])) / spread_w
    assert baselines.step(hourly_w)[73] == pytest.approx(expected)


@pytest.mark.parametrize("score", [baselines.flatness, baselines.step])
def test_a_score_knows_nothing_of_later_days(score: baselines.Score) -> None:
    """What comes after day 70 changes no score up to it."""
    past, other = load(), load()
    other[71:] *= 5

    assert score(past)[:71].tolist() == score(other)[:71].tolist()
    assert score(past)[71:].tolist() != score(other)[71:].tolist()


def test_an_alarm_is_raised_again_only_after_four_quiet_weeks() -> None:
    """A score that flickers is one alarm."""
    score = np.zeros(100)
    score[[10, 12, 39, 68]] = 1.0

    assert baselines.raised(score, 0.5).tolist() == [10, 68]


def test_the_threshold_is_the_lowest_that_keeps_to_the_number_of_alarms() -> None:
    """At any lower score of the records there would be one more."""
    scores = [np.random.default_rng(seed).standard_normal(400) for seed in range(20)]
    threshold = baselines.threshold(scores, 5)
    lower = max(value for value in np.concatenate(scores) if value < threshold)

    assert sum(len(baselines.raised(score, threshold)) for score in scores) == 5
    assert sum(len(baselines.raised(score, lower)) for score in scores) > 5
