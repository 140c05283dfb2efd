"""Each feature of single polls against its slow oracle: gaps, constants, machines at work and at rest."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.analyse.features import edges, electrical, of_ticks, voltage
from agent.analyse.features.inputs import Ticks
from agent.analyse.features.robust import Floats
from tests import oracles_of_ticks as oracles
from tests.agent.analyse.features.comparing import assert_equal

NAN = math.nan
bounded = settings(max_examples=25, derandomize=True, deadline=None)


SMALL = st.sampled_from([NAN, 0.0, -2.0, 95.0, 100.0])


@bounded
@given(st.lists(st.tuples(SMALL, SMALL, SMALL, SMALL), min_size=1, max_size=12))
def test_phases_and_factors_equal_their_oracles(ticks: list[tuple[float, float, float, float]]) -> None:
    """Unbalance, neutral current, distortion, and the spread of the power factor."""
    lists = [list(column) for column in zip(*ticks, strict=True)]
    a, b, c, d = (np.array([column]) for column in lists)

    assert_equal(electrical.unbalance([a, b, c]), [oracles.unbalance(*lists[:3])])
    assert_equal(electrical.neutral_share(d, [a, b, c]), [oracles.neutral_share(lists[3], *lists[:3])])
    assert_equal(electrical.distortion([a, b, c]), [oracles.distortion(*lists[:3])])
    assert_equal(electrical.power_factor_spread(a, b, c), [oracles.power_factor_spread(*lists[:3])])
    assert_equal(electrical.cos_phi(a, b)[0], [oracles.cos_phi(p, q) for p, q, *_ in ticks])


MACHINES = st.lists(
    st.tuples(st.sampled_from([NAN, 0.0, 900.0, 3500.0, 7000.0, 7020.0]), st.integers(1, 25)), min_size=1, max_size=9
).map(lambda runs: [watts for watts, ticks in runs for _ in range(ticks)])
ROUND = [7000.0] * 4


@bounded
@given(MACHINES, st.sampled_from([30.0, 60.0, 900.0]))
@example([NAN], 30.0)
@example([*ROUND, *[3500.0] * 10, *ROUND], 60.0)
@example([*ROUND, *[3500.0] * 21, *ROUND], 60.0)
@example([*ROUND, *[0.0] * 4, 3500.0, 0.0, *ROUND], 60.0)
def test_what_machines_do_equals_its_oracle(power: list[float], period_s: float) -> None:
    """Steps, their size, their power factor, notches and fast drops; machines at work, at rest, unknown."""
    row, reactive = np.array([power]), [0.3 * watts + 100 * (watts > 4000) for watts in power]
    lengths = oracles.notches(power, period_s)
    seen = any(math.isfinite(b - a) for a, b in pairwise(power))

    assert_equal(edges.step_rate(row, period_s), [oracles.step_rate(power, period_s)])
    assert_equal(np.array(edges.machine_step(row))[:, 0], oracles.machine_step(power))
    assert_equal(edges.edge_power_factor(row, np.array([reactive])), [oracles.edge_power_factor(power, reactive)])
    count, length = edges.notches(row, period_s)
    assert_equal(count, [len(lengths) if seen else NAN])
    assert_equal(length, [float(np.median(lengths)) if lengths else NAN])
    assert_equal(edges.fast_drop_share(row, period_s), [oracles.fast_drop_share(power, period_s)])


def taps(rng: np.random.Generator, ticks: int) -> Floats:
    """Voltage of a busbar, V: a tap changer that steps by 1 % every 40 s or so, and a flicker of 0.03 %."""
    steps = rng.choice([-1, 1], ticks // 40)
    level = np.clip(np.cumsum(steps), -4, 4).repeat(40)
    voltage: Floats = 230 * (1 + 0.01 * level) * (1 + rng.normal(0, 3e-4, ticks))
    return voltage


def test_the_voltage_exponent_of_electronics_motors_and_heaters_is_found_with_its_error() -> None:
    """With events from above, 0, 1 and 2 come out within three standard errors, as the oracle has them."""
    rng = np.random.default_rng(7)
    supply = taps(rng, 4000)
    volts = supply * (1 + rng.normal(0, 2e-4, (3, 4000)))
    truth = np.array([0.0, 1.0, 2.0])
    power = 5000 * (supply / 230) ** truth[:, None] * (1 + rng.normal(0, 5e-4, (3, 4000)))
    power[0, 100:110] = NAN

    exponent, error = voltage.voltage_exponent(power, volts, 1.0)

    assert np.all(np.abs(exponent - truth) < 3 * error), (exponent, error)
    assert np.all(error < 0.1)
    slow = [oracles.voltage_exponent(power.tolist(), volts.tolist(), row, 5) for row in range(3)]
    np.testing.assert_allclose(np.stack([exponent, error], axis=-1), slow, rtol=1e-7)


def test_a_load_that_pulls_its_voltage_down_has_no_voltage_exponent() -> None:
    """Its steps are causes, not answers: unknown, where a plain regression would give -20."""
    rng = np.random.default_rng(8)
    steps = np.cumsum(rng.choice([-1000.0, 1000.0], 100)).repeat(40)
    power = np.stack([40_000 + np.abs(steps), np.full(4000, 9000.0)])
    volts = 230 * (1 - 6e-6 * np.abs(steps)) * (1 + rng.normal(0, 2e-4, (2, 4000)))

    assert math.isnan(voltage.voltage_exponent(power, volts, 1.0)[0][0])


@pytest.mark.parametrize(("meters", "ticks", "period_s"), [(1, 4000, 1.0), (2, 700, 1.0), (2, 4000, 60.0), (2, 9, 1.0)])
def test_without_an_instrument_the_voltage_exponent_is_unknown(meters: int, ticks: int, period_s: float) -> None:
    """No sibling, too few events, or polls too far apart to see one."""
    supply = taps(np.random.default_rng(9), 4000)[:ticks]
    volts = np.tile(supply, (meters, 1))

    exponent, error = voltage.voltage_exponent(20 * volts, volts, period_s)

    assert np.isnan(exponent).all()
    assert np.isnan(error).all()


def test_every_feature_of_polls_stays_in_its_range_and_is_known_where_it_can_be() -> None:
    """A day of a small fleet whose machines reboot, behind a tap changer, polled every second."""
    rng = np.random.default_rng(10)
    ticks = 8000
    fleet = np.full((2, ticks), 21_000.0)
    for start in range(300, ticks - 600, 900):
        fleet[0, start : start + 240] -= 3500.0
    fleet[0, 7000:7100] = 0.0
    volts = np.tile(taps(rng, ticks), (2, 1))
    phases = {
        f"{name}_{phase}_{unit}": np.abs(rng.normal(10, 1, (2, ticks)))
        for name, unit in (
            ("active_power", "w"),
            ("current", "a"),
            ("thd_current", "percent"),
            ("thd_voltage", "percent"),
        )
        for phase in ("l1", "l2", "l3")
    }
    voltages = {f"voltage_l{phase}_v": volts for phase in (1, 2, 3)}
    whole = {
        "active_power_w": fleet + rng.normal(0, 20, fleet.shape),
        "reactive_power_var": 0.1 * fleet,
        "power_factor": np.full(fleet.shape, 0.99),
        "current_n_a": np.full(fleet.shape, 1.0),
    }

    values = of_ticks.features(Ticks({**phases, **voltages, **whole}, 1.0))

    table = {name: feature for part in of_ticks.TABLES.values() for name, feature in part.items()}
    for name, value in values.items():
        assert table[name].range.low <= value[0] <= table[name].range.high, (name, value[0])
    assert values["notches"][0] == 8
    assert values["notch_length_s"][0] == 240
    assert values["machine_step_w"][0] == pytest.approx(3500, rel=0.02)
    assert values["fast_drop_share"][0] == 1


def test_polls_a_minute_apart_say_nothing_of_machines() -> None:
    """A reboot is over between two polls."""
    values = of_ticks.features(Ticks({"active_power_w": np.array([[0.0, 9000.0] * 40])}, 60.0))

    machines = next(table for title, table in of_ticks.TABLES.items() if title.startswith("Machines"))
    assert all(math.isnan(values[name][0]) for name in machines)
