"""Loads that a farm is taken for, or hides behind, second by second."""

from typing import Any

import numpy as np
import pytest

from firmware_sim.chance import Floats
from firmware_sim.loads import KINDS, Load
from tests.firmware_sim.moments import WarmWeather, flow, moments

HOUR_S = 3600


def made(kind: str, **keys: Any) -> Load:
    """Make a load of a kind."""
    return KINDS[kind](**keys)


def factor(active_w: Floats, reactive_var: Floats) -> Floats:
    """Give the displacement power factor."""
    share: Floats = active_w / np.hypot(active_w, reactive_var)
    return share


def by_hour(power_w: Floats, days: int) -> Floats:
    """Give the mean of each hour of the day."""
    hourly: Floats = power_w.reshape(days, 24, -1).mean(axis=(0, 2))
    return hourly


def test_a_server_goes_from_idle_to_full_in_two_seconds_and_idles_at_a_lower_power_factor() -> None:
    """Its reactive power is that of its supply, whatever it computes."""
    power = flow(made("servers", servers=1), moments(1))
    watts = power.active_w
    idle, busy = watts < 0.5 * 800, watts > 0.9 * 800

    between = np.flatnonzero(~idle & ~busy)

    assert len(between) > 0
    assert np.diff(between)[1::2].min() > 60  # two readings on the way, no more
    assert factor(watts, power.reactive_var)[idle].mean() == pytest.approx(0.92, abs=0.01)
    assert factor(watts, power.reactive_var)[busy].mean() == pytest.approx(0.989, abs=0.002)
    assert power.thd_percent[idle].mean() > power.thd_percent[busy].mean()


def test_a_base_station_is_quieter_at_night() -> None:
    """The mean of 923 stations: 0.72 from night to day."""
    hourly = by_hour(flow(made("base_station", power_w=4000), moments(28, step_s=60)).active_w, 28)

    assert hourly[0:5].mean() / hourly[9:17].mean() == pytest.approx(0.72, abs=0.03)


def test_a_compressor_starts_with_a_surge_that_is_mostly_reactive() -> None:
    """For a second it takes some three times its current; running, it has the power factor of its plate."""
    power = flow(made("cold_store", mean_w=10_000, compressors=1), moments(2))
    rise_w = np.diff(power.active_w)
    starts = np.flatnonzero(rise_w > 5_000) + 1
    compressor_w = power.active_w[starts + 5] - power.active_w[starts - 1]
    surge_var = power.reactive_var[starts] - power.reactive_var[starts - 1]

    minutes_apart = np.diff(starts) / 60

    assert 60 < len(starts) < 200
    assert 5 < np.median(minutes_apart) < 30
    assert np.median(surge_var / compressor_w) == pytest.approx(2.75, rel=0.05)
    assert np.median(factor(power.active_w, power.reactive_var)[starts + 5]) == pytest.approx(0.84, abs=0.01)


def test_a_start_costs_no_more_energy_when_steps_are_longer() -> None:
    """A surge of a second is spread over a step of a minute."""
    store = made("cold_store", mean_w=10_000, compressors=1)
    fine, coarse = (flow(store, moments(2, step_s=step_s)) for step_s in (1, 60))

    assert coarse.reactive_var.max() < 0.4 * fine.reactive_var.max()
    assert coarse.reactive_var.mean() == pytest.approx(fine.reactive_var.mean(), rel=0.03)


def test_a_pump_follows_the_water_or_the_tariff() -> None:
    """Morning and evening by itself; with cheap hours mostly in these."""
    at = moments(28, step_s=60)
    plain = by_hour(flow(made("pump", power_w=10_000), at).active_w, 28)
    shifted = by_hour(flow(made("pump", power_w=10_000, cheap_hours=(0.0, 6.0)), at).active_w, 28)

    assert plain[6:9].mean() > 2 * plain[1:5].mean()
    assert shifted[0:6].mean() > 3 * shifted[6:24].mean()


def test_a_motor_at_part_load_has_a_lower_power_factor() -> None:
    """The magnetising current stays: a process that empties a batch still turns its drives."""
    power = flow(made("process", power_w=60_000), moments(7, step_s=60))
    level = power.active_w / 60_000
    pf = factor(power.active_w, power.reactive_var)

    assert pf[level > 0.9].mean() == pytest.approx(0.88, abs=0.01)
    assert pf[level < 0.3].mean() < 0.65
    assert 3 * 7 < np.sum(np.abs(np.diff(level)) > 0.2) < 3 * 8 * 7


def test_lights_are_switched_block_by_block_at_dusk_and_dawn() -> None:
    """Steps of one block, all of which are on at midnight and off at noon."""
    power_w = flow(made("lighting", power_w=6_000, burns="dark", blocks=6), moments(1, step_s=60)).active_w
    steps_w = np.abs(np.diff(power_w))

    switched = steps_w[steps_w > 500]

    assert len(switched) == 12
    np.testing.assert_allclose(switched, 1_000, rtol=0.06)
    assert (power_w[0] > 5_700, power_w[720]) == (True, 0.0)


def test_office_lights_burn_on_workdays() -> None:
    """Nobody switches them on at the weekend."""
    power_w = flow(made("lighting", power_w=6_000, burns="workdays", blocks=6), moments(7, step_s=60)).active_w

    daily = power_w.reshape(7, -1).max(axis=1)

    assert daily[:5].min() > 5_500
    assert daily[5:].max() == 0


def test_lifts_move_in_short_bursts_and_give_energy_back() -> None:
    """No trip is longer than a minute, and an empty car that goes up feeds the mains."""
    power_w = flow(made("lift", power_w=12_000, lifts=1), moments(1)).active_w
    moving = np.abs(power_w - 360) > 1
    edges = np.flatnonzero(np.diff(moving.astype(int)))
    lasts_s = np.diff(edges)[::2] if moving[edges[0] + 1] else np.diff(edges)[1::2]

    assert 100 < len(lasts_s) < 700
    assert lasts_s.min() >= 9
    assert np.quantile(lasts_s, 0.9) <= 60
    assert power_w.min() < -2_000
    assert by_hour(power_w, 1)[9] > 3 * by_hour(power_w, 1)[2]


def test_a_resistance_takes_power_by_the_square_of_the_voltage() -> None:
    """One that is always on draws what the mains let it, with no reactive power; warm air switches it off."""
    cold = moments(1, weather=WarmWeather(-20))
    power = flow(made("heater", power_w=9_000), cold)

    np.testing.assert_allclose(power.active_w, 9_000 * (1 + cold.mains.deviation(cold.time_s, 1.0)) ** 2)
    assert np.ptp(power.active_w) > 200
    assert not power.reactive_var.any()
    assert flow(made("heater", power_w=9_000), moments(1, weather=WarmWeather(30))).active_w.max() == 0


def test_cooling_lags_and_supplies_lead_in_a_data_hall() -> None:
    """Its reactive power is the sum of what its parts draw, so more cooling means less of it."""
    little, much = (
        flow(made("data_hall", it_w=70_000, cooling_share=share), moments(0.1)).reactive_var.mean()
        for share in (0.0, 0.6)
    )

    assert little == pytest.approx(-0.15 * 1.5 * 70_000, rel=0.02)
    assert much > 0.5 * little
