"""Loads that the site registered: only a change without a declaration is worth an alarm."""

import numpy as np
import pytest

from agent.analyse.analyst import Day
from agent.records import Verdict
from tests.agent.analyse.stories import Floats, facts, farm, judged, moments, of, verdicts

DAYS = 60
RISE = 40  # the day of the story on which something comes
HALL: Floats = 30_000.0 * (1 + 0.01 * np.sin(np.arange(DAYS * 24)))


def days(load: Floats, **declared: object) -> list[Day]:
    """Judge one registered load."""
    return judged({"m": load}, meters=[facts("m", **declared)], power_factor=0.98)


def alarm_days(story: list[Day]) -> list[tuple[int, str]]:
    """Give on which days of the story an alarm was raised, updated or cleared."""
    return [(index, change.state) for index, day in enumerate(story) for change in day.changes]


def test_a_declared_load_within_its_declaration_raises_no_alarm() -> None:
    """However flat, and with the power factor of computers."""
    assert alarm_days(days(HALL, declared="data_hall", declared_w=30_000.0)) == []


def test_a_hall_that_draws_more_than_it_declared_raises_an_alarm_after_three_days() -> None:
    """Suspect, no mining claimed; the alarm is cleared when the hall has been back for ten days."""
    story = days(HALL + farm(DAYS, 6000.0, RISE, RISE + 10), declared="data_hall", declared_w=32_000.0)

    assert alarm_days(story) == [(RISE + 2, "raised"), (RISE + 19, "cleared")]
    assert set(verdicts(story, "m")) == {"declared", "suspect"}
    assert {judgement.mining_w for judgement in of(story, "m")} == {(0.0, 0.0, 0.0)}
    reason = of(story, "m")[RISE + 5].reasons[0]
    assert reason.evidence == "undeclared_change"
    assert reason.value == pytest.approx(4000, rel=0.1)


def test_two_days_above_the_declaration_are_a_test_run() -> None:
    """Nobody is called for a load test."""
    assert alarm_days(days(HALL + farm(DAYS, 9000.0, RISE, RISE + 2), declared="data_hall", declared_w=32_000.0)) == []


def test_a_hall_that_declared_no_power_is_held_against_its_own_past() -> None:
    """A step that nobody announced, above any week since it is watched."""
    story = days(HALL + farm(DAYS, 6000.0, RISE), declared="data_hall")

    assert alarm_days(story)[0] == (RISE + 2, "raised")


def test_a_process_without_a_limit_may_do_as_it_likes() -> None:
    """A furnace that is used more has changed, and that is its job."""
    assert alarm_days(days(HALL + farm(DAYS, 20_000.0, RISE), declared="process")) == []


def test_a_registered_miner_that_feeds_back_mines_nothing() -> None:
    """Its roof or its battery does: no energy is mined below zero."""
    fed_back = HALL.copy()
    fed_back[-48:] -= 60_000.0

    last = of(days(fed_back, declared="mining"), "m")[-1]

    assert last.mining_w == (0.0, 0.0, 0.0)


def test_lighting_that_burns_at_noon_is_no_lighting() -> None:
    """Declared from 16 to 4 h UTC; from one day on it draws the same all day long."""
    hour, _ = moments(DAYS)
    lamps = np.where((hour >= 16) | (hour < 4), HALL / 3, 200.0)
    story = days(
        lamps + (HALL / 3 - lamps) * (np.arange(DAYS * 24) >= RISE * 24),
        declared="lighting",
        declared_w=10_000.0,
        declared_hours=(16, 4),
    )

    assert alarm_days(story)[0] == (RISE + 2, "raised")
    assert "outside 16-4 h UTC" in of(story, "m")[RISE + 5].reasons[0].text


def test_a_registered_miner_above_its_quota_is_mining() -> None:
    """Within the quota all of it is reported and nobody is called; above, an alarm names the whole load."""
    story = days(HALL + farm(DAYS, 9000.0, RISE), declared="mining", declared_w=30_000.0)

    assert alarm_days(story)[0] == (RISE + 2, "raised")
    within, above = of(story, "m")[RISE - 1], of(story, "m")[-1]
    assert (within.verdict, above.verdict) == (Verdict.DECLARED, Verdict.MINING)
    assert (within.mining_w[1], above.mining_w[1]) == pytest.approx((30_000, 39_000), rel=0.02)
