"""Electrical consistency: the identities hold whatever flows."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.chance import Chance, Floats
from firmware_sim.electrical import Power, Supply, measure, phase_shares, share_out, supply

TIMES_S = 1.7e9 + np.arange(16.0)
WATTS = st.floats(-1e6, 1e6).filter(lambda w: w == 0 or abs(w) > 1e-3)


def shown(power: Power, grid: Supply, shares: Floats, rated_w: float) -> dict[str, Floats]:
    """Give what a meter shows."""
    return measure(share_out(power, grid, shares, rated_w), power.thd_percent, grid)


def assert_equal(one: Floats | int, other: Floats) -> None:
    """Hold two series equal but for rounding."""
    np.testing.assert_allclose(np.asarray(one), other, rtol=1e-9, atol=1e-6)


@given(active=WATTS, tan_phi=st.floats(-3, 3), phases=st.sampled_from([1, 3]), seed=st.integers(0, 99))
def test_phases_sum_and_triangles_close(active: float, tan_phi: float, phases: int, seed: int) -> None:
    """P is the sum of the phases, S² = P² + Q², I = S / U and PF = P / S, in total and by phase."""
    p = np.full_like(TIMES_S, active)
    power = Power(p, p * tan_phi, np.zeros_like(p))

    v = shown(power, supply(seed, TIMES_S, 1.0), phase_shares(Chance(seed), TIMES_S, phases), 1e6)

    parts = ("l1", "l2", "l3")
    assert_equal(sum(v[f"active_power_{n}_w"] for n in parts), v["active_power_w"])
    assert_equal(sum(v[f"reactive_power_{n}_var"] for n in parts), v["reactive_power_var"])
    assert_equal(np.hypot(v["active_power_w"], v["reactive_power_var"]), v["apparent_power_va"])
    assert_equal(v["power_factor"] * v["apparent_power_va"], v["active_power_w"])
    assert_equal(sum(v[f"current_{n}_a"] for n in parts), v["current_sum_a"])
    for n in parts:
        assert_equal(v[f"current_{n}_a"] * v[f"voltage_{n}_v"], v[f"apparent_power_{n}_va"])
    assert np.all(np.abs(v["power_factor"]) <= 1 + 1e-12)
    assert np.all(v["voltage_l12_v"] < v["voltage_l1_v"] + v["voltage_l2_v"])


def test_a_flat_load_still_flickers() -> None:
    """Behind an exactly constant load, voltage, current and frequency move every second."""
    times_s = 1.7e9 + np.arange(600.0)
    p = np.full_like(times_s, 1e4)

    v = shown(Power(p, 0 * p, 0 * p), supply(1, times_s, 1.0), phase_shares(Chance(1), times_s, 3), 2e4)

    for name in ("voltage_l1_v", "current_l1_a", "frequency_hz"):
        assert len(np.unique(np.float32(v[name]))) > 500


def test_a_load_makes_its_own_voltage_sag() -> None:
    """The more flows, the lower the voltage, by motors more than by lamps; generation lifts it."""
    grid, shares = supply(1, TIMES_S, 1.0), phase_shares(Chance(1), TIMES_S, 3)

    def volts(watts: float, var: float = 0.0) -> float:
        p = np.full_like(TIMES_S, watts)
        q = np.full_like(TIMES_S, var)
        return float(shown(Power(p, q, 0 * p), grid, shares, 1e4)["voltage_l1_v"].mean())

    assert volts(-1e4) > volts(0) > volts(5e3) > volts(1e4)
    assert volts(0) - volts(1e4) < 4
    assert volts(5e3, -5e3) > volts(5e3) > volts(5e3, 5e3)


def test_a_balanced_load_has_a_small_neutral_current() -> None:
    """Equal phases cancel in the neutral; one phase alone flows back through it."""
    p = np.full_like(TIMES_S, 9e3)
    power, grid = Power(p, 0 * p, 0 * p), supply(1, TIMES_S, 1.0)

    balanced = shown(power, grid, phase_shares(Chance(1), TIMES_S, 3), 1e4)
    lone = shown(power, grid, phase_shares(Chance(1), TIMES_S, 1), 1e4)

    assert np.all(balanced["current_n_a"] < 0.1 * balanced["current_l1_a"])
    np.testing.assert_allclose(lone["current_n_a"], lone["current_l1_a"])


def test_distortion_of_a_mix_lies_between_its_parts() -> None:
    """Two equal loads of 10 % and 0 % THD make one of 5 %."""
    p = np.full_like(TIMES_S, 1e3)
    both = Power(p, 0 * p, 0.1 * p) + Power(p, 0 * p, 0 * p)

    v = shown(both, supply(1, TIMES_S, 1.0), phase_shares(Chance(1), TIMES_S, 3), 1e4)

    assert math.isclose(v["thd_current_l1_percent"][0], 5.0)
