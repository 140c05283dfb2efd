"""What counts as found, as a false alarm, and as an error of the estimate."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bench.evaluate import hidden
from bench.evaluate.cases import PLAIN, REMOVED, Case
from bench.evaluate.trial import Outcome, Trace

DAYS = 365
ONSET = 100


def outcome(alarms: dict[int, str], case: Case | None = PLAIN[3], since: int = ONSET, watts: float = 0.0) -> Outcome:
    """Give a meter of 1000 W in which a farm of 500 W began on day 100, and what was told of it."""
    alarm = np.full(DAYS, "", dtype="U8")
    for day, state in alarms.items():
        alarm[day] = state
    trace = Trace(
        score=np.linspace(0, 1, DAYS),
        verdict=np.full(DAYS, "normal", dtype="U12"),
        mining_w=np.full((DAYS, 3), watts) + np.array([-100.0, 0.0, 100.0]),
        since=np.full(DAYS, since),
        alarm=alarm,
    )
    farm_w = np.where(np.arange(DAYS) >= ONSET, 500.0, 0.0)
    return Outcome(
        building="a",
        site="campus",
        usage="Office",
        first_day=17000,
        year=0,
        case=case,
        onset=-1 if case is None else ONSET,
        known=np.ones(DAYS, dtype=bool),
        load_w=np.full(DAYS, 1000.0),
        farm_w=farm_w,
        trace=trace,
        flatness=np.zeros(DAYS),
        step=np.zeros(DAYS),
    )


def test_a_farm_is_found_on_the_day_of_the_alarm() -> None:
    """An alarm at the end of the first day came after one day."""
    assert hidden.found_after(outcome({100: "raised"}), hidden.flatwatt) == 1
    assert hidden.found_after(outcome({106: "raised", 120: "raised"}), hidden.flatwatt) == 7


def test_an_alarm_from_before_the_farm_is_no_find() -> None:
    """It was about something else."""
    assert math.isnan(hidden.found_after(outcome({90: "raised"}), hidden.flatwatt))


@pytest.mark.parametrize(("since", "after"), [(98, 11.0), (60, math.nan)])
def test_an_open_alarm_counts_once_it_means_the_farm(since: int, after: float) -> None:
    """Updated, and dated near the onset."""
    farm = outcome({90: "raised", 110: "updated"}, since=since)

    assert hidden.found_after(farm, hidden.flatwatt) == pytest.approx(after, nan_ok=True)


def test_recall_counts_farms_found_in_time() -> None:
    """One after 7 days, one after 28, one never."""
    farms = [outcome({106: "raised"}), outcome({127: "raised"}), outcome({})]
    found = hidden.found(farms, [outcome({}, case=None)], hidden.flatwatt, hidden.score)

    assert [found.within_7.value, found.within_28.value, found.within_year.value] == pytest.approx(
        [1 / 3, 2 / 3, 2 / 3]
    )
    assert found.auc.value == 0.5


def test_false_alarms_are_counted_by_known_time_after_the_warm_up() -> None:
    """Three over a hundred known days; the first four weeks are no clean time, but a feeder accused in them was."""
    clean = outcome({5: "raised", 50: "raised", 200: "raised"}, case=None)
    clean = replace(clean, known=np.arange(DAYS) < 28 + 100)

    assert hidden.false_alarms([clean], hidden.flatwatt).value == pytest.approx(3 / (100 / 365.25))


def test_share_claimed_is_in_points_of_the_load() -> None:
    """100 W of 1000 W on every day."""
    assert hidden.share_claimed([outcome({}, case=None, watts=100.0)]).value == pytest.approx(10.0)


def test_an_estimate_is_compared_from_the_alarm_on() -> None:
    """550 W for 500 W of 1000 W, in a band of 200 W, dated two days late."""
    estimated = hidden.estimated([outcome({108: "raised"}, since=102, watts=550.0), outcome({})])

    assert (estimated.error.value, estimated.bias.value) == pytest.approx((5.0, 5.0))
    assert estimated.error.count == 1
    assert (estimated.coverage.value, estimated.onset_days.value, estimated.onset_near.value) == (1.0, 2.0, 1.0)


def test_a_truth_outside_the_band_is_not_covered() -> None:
    """700 W, at least 600 W, where 500 W are."""
    assert hidden.estimated([outcome({108: "raised"}, watts=700.0)]).coverage.value == 0.0


def test_an_alarm_ends_after_the_farm_has_gone() -> None:
    """Taken away after 70 days; cleared on the sixth day, or not yet."""
    gone = ONSET + 70

    assert hidden.closed_after(outcome({108: "raised", gone + 5: "cleared"}, case=REMOVED)) == 6
    assert hidden.closed_after(outcome({108: "raised"}, case=REMOVED)) == math.inf
    assert math.isnan(hidden.closed_after(outcome({}, case=REMOVED)))


def test_baselines_are_tuned_to_a_rate_on_clean_meters() -> None:
    """At one alarm a year the threshold lies where one of two spikes is left."""
    clean = outcome({}, case=None)
    step = np.zeros(DAYS)
    step[[100, 200]] = 3.0, 5.0
    years = (DAYS - hidden.WARM_UP_DAYS) / 365.25
    _, naive = hidden.tuned([replace(clean, step=step)], 1 / years)

    assert naive.threshold == 3.0
    assert naive(replace(clean, step=step)).tolist() == [200]
