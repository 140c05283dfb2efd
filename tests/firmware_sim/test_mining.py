"""A farm of mining machines, second by second."""

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware_sim.chance import Chance, Floats
from firmware_sim.loads.mining import MinerFarm
from firmware_sim.loads.outages import restarts
from tests.firmware_sim.moments import DAY_S, MONDAY_S, WarmWeather, flow, moments


def notches(power_w: Floats, machine_w: float) -> NDArray[np.intp]:
    """Give the seconds at which the power falls by about one machine within 5 s."""
    fall_w = power_w[:-5] - power_w[5:]
    falling = fall_w > 0.8 * machine_w
    return np.flatnonzero(falling & ~np.concatenate(([False], falling[:-1])))


def test_a_machine_trips_within_seconds_and_starts_over_minutes() -> None:
    """It falls to its controller, is out of reach for a while, boots, and ramps up to where it was."""
    at = moments(3)
    power_w = flow(MinerFarm(machines=1, reboots_per_week=10), at, seed=4).active_w
    (begin, *_) = notches(power_w, 3250)
    before_w = power_w[begin - 60 : begin].mean()

    down = int(np.flatnonzero(power_w[begin + 5 :] > 0.1 * before_w)[0]) + 5
    back = int(np.flatnonzero(power_w[begin + 5 :] > 0.98 * before_w)[0]) + 5

    assert power_w[begin + 5] < 0.05 * before_w
    assert down < back
    assert 180 < back < 15 * 60 + 120
    assert power_w[begin + back + 60 : begin + back + 120].mean() == pytest.approx(before_w, rel=0.02)


@pytest.mark.parametrize("machines", [7, 60])
def test_the_notch_of_one_machine_stands_out_of_a_fleet(machines: int) -> None:
    """Also of sixty: each restart is a fall of one machine's power, far above the flicker of a second."""
    at, farm = moments(0.5), MinerFarm(machines=machines, reboots_per_week=10)
    power_w = flow(farm, at).active_w
    happened = restarts(Chance(1, "load"), at, machines, 10)

    found = at.time_s[notches(power_w, 3250)]

    expected = np.sort(happened.begins_s[(happened.begins_s > at.time_s[0]) & (happened.begins_s < at.time_s[-9])])
    assert len(expected) >= machines / 4
    assert np.abs(found[:, None] - expected).min(axis=0).max() < 6
    assert np.diff(power_w).std() < 3250 / 10


@pytest.mark.parametrize("machines", [20, 400])
def test_fleets_restart_as_often_as_their_machines(machines: int) -> None:
    """A fleet's restarts are the sum of its machines', and no machine restarts while it is down."""
    at = moments(56, step_s=60)

    found = restarts(Chance(3, "load"), at, machines, 5)

    inside = (found.begins_s >= at.time_s[0]) & (found.begins_s < at.time_s[-1])
    assert inside.sum() / machines / 8 == pytest.approx(5, rel=0.25)  # brown-outs depend on the weeks
    for machine in range(min(machines, 20)):
        own = np.sort(found.begins_s[found.machine == machine])
        assert np.diff(own).min() > 180


def test_brown_outs_gather_where_the_mains_are_low() -> None:
    """In late afternoons, and in hours of low voltage whatever the hour."""
    at = moments(56, step_s=60)
    found = restarts(Chance(3, "load"), at, 200, 5)
    brown_outs = found.begins_s[found.idle == 0]

    hour = brown_outs % DAY_S / 3600
    low = at.mains.deviation(brown_outs, 60.0)

    assert np.sum((hour > 16) & (hour < 21)) > 2 * np.sum((hour > 4) & (hour < 9))
    assert np.median(low) < np.quantile(at.mains.deviation(at.time_s, 60.0), 0.3)


def test_supplies_lead_by_what_hangs_on_the_mains_and_not_by_what_it_draws() -> None:
    """Asleep the reactive power stays and the power factor falls; behind an open contactor both are gone."""
    noon, evening = (int(hour * 3600) for hour in (12, 18))
    at = moments(1)
    asleep, off = (
        flow(MinerFarm(machines=40, reboots_per_week=0, curtail=(16, 20), curtail_by=by), at)
        for by in ("sleep", "contactor")
    )

    for power in (asleep, off):
        assert power.active_w[noon] / np.hypot(power.active_w[noon], power.reactive_var[noon]) > 0.99
        assert power.reactive_var[noon] == pytest.approx(-0.1 * 40 * 3250, rel=0.03)
        assert 3 < power.thd_percent[noon] < 5
    assert asleep.reactive_var[evening] == pytest.approx(asleep.reactive_var[noon])
    assert 0.02 < asleep.active_w[evening] / asleep.active_w[noon] < 0.05
    assert off.active_w[evening] == off.reactive_var[evening] == 0


def test_a_curtailed_farm_sleeps_within_minutes_and_wakes_within_minutes() -> None:
    """On so many workdays as its contract says."""
    at = moments(28, step_s=30)
    power_w = flow(MinerFarm(machines=40, curtail=(16, 20), curtail_days=0.5), at).active_w.reshape(28, -1)

    def sleeping(hour: float) -> NDArray[np.bool_]:
        return power_w[:, int(hour * 120)] < 0.06 * 40 * 3250

    asleep = sleeping(18)
    assert 5 <= asleep.sum() <= 15
    assert not asleep[[5, 6, 12, 13]].any()
    np.testing.assert_array_equal(sleeping(16.1), asleep)
    np.testing.assert_array_equal(sleeping(19.9), asleep)
    assert power_w[asleep, int(20.2 * 120)].min() > 0.85 * 40 * 3250


def test_a_farm_is_switched_on_machine_by_machine_and_ends_at_once() -> None:
    """Nothing before its date; then steps of one machine; nothing after its end."""
    at = moments(2, step_s=1)
    farm = MinerFarm(machines=10, reboots_per_week=0, switch_on_min=60, starts=MONDAY_S + 3600, ends=MONDAY_S + DAY_S)
    power = flow(farm, at)
    since_s = at.time_s - farm.starts

    running = [power.active_w[np.searchsorted(since_s, minutes * 60)] for minutes in (5, 30, 50, 80)]

    assert power.active_w[since_s < 0].max() == 0
    assert power.reactive_var[since_s < 0].max() == 0
    assert running == sorted(running)
    assert running[0] < 0.12 * 32_500
    assert running[-1] == pytest.approx(32_500, rel=0.08)
    assert np.unique(power.reactive_var[since_s > 0].round(6)).size == 10 + 1
    assert power.active_w[at.time_s > farm.ends].max() == 0


@pytest.mark.parametrize(
    ("model", "outdoor_c", "share"),
    [("s19_pro", 10, 1.0), ("s19_pro", 35, 1.05), ("s21", 27, 0.995), ("s21", 36, 0.0), ("s21_plus_hydro", 35, 1.0)],
)
def test_heat_changes_what_a_machine_draws(model: str, outdoor_c: float, share: float) -> None:
    """An S19 draws more; an S21 slows down above 40 degrees at its intake and stops above 47."""
    at = moments(0.1, step_s=60, weather=WarmWeather(outdoor_c))
    farm = MinerFarm(machines=400, model=model, reboots_per_week=0)

    mean_w = flow(farm, at).active_w.mean()

    assert mean_w / farm.nameplate_w / 400 == pytest.approx(share, abs=0.015)


def test_no_two_machines_draw_the_same_and_targets_change() -> None:
    """Within 5 % of the nameplate, and in steps of 100 to 300 W now and then."""
    at = moments(60, step_s=600, weather=WarmWeather(10))
    single = [flow(MinerFarm(machines=1, reboots_per_week=0), at, seed=seed).active_w for seed in range(12)]

    levels = [np.median(power_w) for power_w in single]
    steps_w = np.concatenate([np.abs(np.diff(power_w)) for power_w in single])

    assert 50 < np.std(levels) < 250
    assert 12 < np.sum(steps_w > 90) < 12 * 6 * 1.2
    assert np.abs(np.array(levels) / 3250 - 1).max() < 0.16


def test_a_large_fleet_draws_what_its_machines_draw() -> None:
    """Its mean is that of small ones, and its fluctuation shrinks with the root of its size."""
    at = moments(14, step_s=60, weather=WarmWeather(10))
    small = [flow(MinerFarm(machines=10), at, seed=seed).active_w / 10 for seed in range(8)]
    large = flow(MinerFarm(machines=1000), at, seed=99).active_w / 1000

    assert large.mean() == pytest.approx(np.mean(small), rel=0.01)
    assert large.std() < 0.35 * np.mean([power_w.std() for power_w in small])
