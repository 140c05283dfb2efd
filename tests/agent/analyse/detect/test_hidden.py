"""The questions to each day: what they use, how their answers add up, and that they never change."""

from dataclasses import replace

import numpy as np
import pytest

from agent.analyse.detect.evidence import Model
from agent.analyse.detect.hidden import AGES, Candidates, HiddenTest, LoadOf, candidates
from agent.analyse.detect.onset import TEXTS
from agent.analyse.features.robust import Floats
from agent.analyse.history_file import KEPT_DAYS
from tests.agent.analyse.detect.looks import looked
from tests.agent.analyse.stories import RULES, START_DAY, farm, office

DAYS, ONSET = 100, 70
FARM_W = 12_000.0  # 60 % of the office's mean


def site(days: int = DAYS, onsets: tuple[int, ...] = (ONSET,)) -> Floats:
    """Offices by their hours; those of the first ``onsets`` with a farm from that day on."""
    offices = [office(days, seed=seed) for seed in range(4)]
    for seed, onset in enumerate(onsets):
        offices[seed] = offices[seed] + farm(days, FARM_W, onset)
    return np.stack(offices).reshape(4, days, 24)


def held(hourly_w: Floats, through: int, kept_days: int = KEPT_DAYS) -> LoadOf:
    """Give the days up to that of the story, as the history does, which keeps so many."""
    kept = hourly_w[:, max(0, through + 1 - kept_days) : through + 1]
    return lambda days: kept if days is None else kept[:, -days:]


def asked(hourly_w: Floats, through: int) -> Candidates:
    """Ask the recorded days up to that of the story."""
    return candidates(hourly_w[:, : through + 1], START_DAY + through, RULES)


def test_a_farm_is_found_on_its_day_and_at_its_power() -> None:
    """25 days later at the latest; the offices beside it are far from it."""
    found = asked(site(), ONSET + AGES[-1] - 1)

    assert found.margin[0] > 0 > found.margin[1:].max()
    assert (found.age[0], found.height_w[0]) == (AGES[-1], pytest.approx(FARM_W, rel=0.1))


@pytest.mark.parametrize("gap", [slice(0, 0), slice(72, 75), slice(50, 58)])
def test_day_by_day_the_answers_are_those_of_the_record_cut_there(gap: slice) -> None:
    """Nothing later is used, nothing asked before is forgotten, with a gap or without."""
    hourly_w = site()
    hourly_w[:2, gap] = np.nan
    test = HiddenTest(RULES)

    for through in range(DAYS):
        found = test.day(held(hourly_w, through), START_DAY + through)
        if through % 3 == 0:
            alone = asked(hourly_w, through)
            for name in ("margin", "age", "height_w", "before_w", "spread_w"):
                np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))


def test_the_evidence_is_of_four_weeks_before_the_onset_and_of_the_days_since() -> None:
    """With the weekends where the calendar has them: the stories begin on a Monday."""
    found = asked(site(), ONSET + AGES[-1] - 1)

    expected, _ = looked(site(), ONSET, AGES[-1])
    np.testing.assert_equal(found.answers[-1][-1].values, expected)


def test_a_meter_of_more_than_a_year_is_asked_the_same_after_a_restart() -> None:
    """What is kept from day to day reaches back no further than what the history holds."""
    hourly_w = site(KEPT_DAYS + 30, (KEPT_DAYS,))
    test = HiddenTest(RULES)
    for through in range(KEPT_DAYS - 1, KEPT_DAYS + 30):
        found = test.day(held(hourly_w, through), START_DAY + through)

    restarted = HiddenTest(RULES).day(held(hourly_w, through), START_DAY + through)

    np.testing.assert_array_equal(found.margin, restarted.margin)
    for looks, again in zip(found.answers, restarted.answers, strict=True):
        np.testing.assert_equal([look.values for look in looks], [look.values for look in again])


def test_a_clock_that_leapt_asks_the_days_that_are_there_now() -> None:
    """A week that was never measured lies between two days."""
    hourly_w = site()
    test = HiddenTest(RULES)
    test.day(held(hourly_w, 80), START_DAY + 80)

    found = test.day(held(hourly_w, 95), START_DAY + 95)

    np.testing.assert_array_equal(found.margin, asked(hourly_w, 95).margin)


def test_the_mean_of_the_looks_so_far_is_held_against_the_threshold_of_the_age() -> None:
    """One, two and six at 7, 14 and 25 days: after the last, three."""
    models = tuple(Model(log_odds, {"clarity": np.array([[0.0], [0.0]])}) for log_odds in (1.0, 2.0, 6.0))
    rules = replace(RULES, hidden=models, hidden_mining=(0.5, 0.5, 0.5))
    hourly_w = site()[:1]

    through = ONSET + AGES[-1] - 1
    found = candidates(hourly_w[:, : through + 1], START_DAY + through, rules)

    assert (found.age[0], found.margin[0]) == (AGES[-1], 2.5)


def test_an_outage_in_the_first_week_refutes_nothing() -> None:
    """Three of its seven days are unknown, so that look answers nothing, and the later ones decide."""
    hourly_w = site()
    hourly_w[0, ONSET + 2 : ONSET + 5] = np.nan

    found = asked(hourly_w, ONSET + AGES[-1] - 1)

    first, *later = found.answers[-1]
    assert np.isnan(first.log_odds[0])
    assert np.isfinite([look.log_odds[0] for look in later]).all()
    assert found.margin[0] > 0
    assert {reason.evidence for reason in found.reasons(0)} <= set(TEXTS)


def test_where_the_load_fell_nothing_is_found() -> None:
    """A farm that left is a step too, and the wrong way round."""
    hourly_w = site(onsets=(0,))
    hourly_w[0, ONSET:] -= FARM_W

    assert asked(hourly_w, ONSET + AGES[-1] - 1).answers[-1][-1].log_odds[0] == -np.inf


@pytest.mark.parametrize(("days", "is_asked"), [(20, False), (21, True)])
def test_three_weeks_are_the_least_that_can_be_asked(days: int, is_asked: bool) -> None:
    """A fortnight before the onset and a week since."""
    hourly_w = site(onsets=(14,))

    assert np.isfinite(asked(hourly_w, days - 1).margin[0]) == is_asked


def test_a_rise_everywhere_is_less_likely_a_farm() -> None:
    """A term begins in all buildings, a farm in one."""
    through = ONSET + AGES[-1] - 1

    alone, all_at_once = asked(site(), through), asked(site(onsets=(ONSET,) * 4), through)

    assert all_at_once.margin[0] < alone.margin[0] - 1
    assert "siblings_moved" in {reason.evidence for reason in all_at_once.reasons(0)} | {
        reason.evidence for reason in alone.reasons(0)
    }


def test_the_reasons_are_the_strongest_and_weigh_what_all_looks_gave() -> None:
    """Sorted by weight; the value is that of the last look."""
    found = asked(site(), ONSET + AGES[-1] - 1)
    looks = found.answers[-1]

    reasons = found.reasons(0)

    weights = [abs(reason.weight) for reason in reasons]
    assert weights == sorted(weights, reverse=True)
    for reason in reasons:
        assert reason.value == looks[-1].values[reason.evidence][0]
        parts = [look.parts[reason.evidence][0] if reason.evidence in look.parts else 0.0 for look in looks]
        assert reason.weight == round(float(np.mean(parts)), 2)
