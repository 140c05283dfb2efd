"""Whether values agree with the mains and with each other."""

import math

import pytest

from agent.commission.diagnose.values import Mains, contradictions, judgement, looks_like_mains
from tests.agent.commission.electrics import meter_values


def test_a_sound_meter_contradicts_nothing() -> None:
    """P, S, PF, U and I of a load agree, in each phase and in all."""
    assert contradictions(meter_values()) == []


def test_rounding_of_small_loads_is_no_contradiction() -> None:
    """A meter that shows hundredths of a kilowatt and tenths of an ampere is not wrong at 100 W a phase."""
    values = {
        name: round(value, -1) if name.endswith(("_w", "_va")) else round(value, 1)
        for name, value in meter_values((104 + 20j, 96 + 10j, 101 + 5j)).items()
    }

    assert contradictions(values) == []


@pytest.mark.parametrize(
    ("changed", "value", "told"),
    [
        ("active_power_w", 2900.0, "active_power_w is 2900, the sum of its phases gives 8900"),
        ("active_power_l1_w", 9000.0, "active_power_l1_w is 9000, apparent_power_l1_va at most gives 3132"),
        ("power_factor", 0.5, "power_factor is 0.5, active_power_w / apparent_power_va gives 0.9"),
        ("apparent_power_l2_va", 291.0, "apparent_power_l2_va is 291, voltage_l2_v x current_l2_a gives 29"),
        ("voltage_ln_avg_v", 400.0, "voltage_ln_avg_v is 400, the mean of the phases gives 230"),
        ("voltage_ll_avg_v", 230.0, "voltage_ll_avg_v is 230, 1.73 x the mean of the phases gives 398"),
    ],
)
def test_two_ways_to_one_value_that_disagree(changed: str, value: float, told: str) -> None:
    """The contradiction says what was found and what the other values give."""
    found = contradictions(meter_values() | {changed: value})

    assert any(str(item).startswith(told) for item in found), [str(item) for item in found]


def test_what_is_not_known_contradicts_nothing() -> None:
    """A meter that has only some of the values is judged by those."""
    assert contradictions({"active_power_w": 5000.0, "voltage_l1_v": 230.0, "current_l1_a": math.nan}) == []


@pytest.mark.parametrize(
    ("values", "impossible", "mains"),
    [
        ({"voltage_l1_v": 231.0, "frequency_hz": 49.9}, set(), Mains.YES),
        ({"voltage_l12_v": 690.0, "frequency_hz": 60.0}, set(), Mains.YES),
        ({"voltage_l1_v": 11_547.0, "frequency_hz": 50.0}, set(), Mains.YES),  # medium voltage
        ({"voltage_l1_v": 231.0, "voltage_l2_v": 0.0, "frequency_hz": math.nan}, set(), Mains.YES),  # one phase is off
        ({"voltage_l1_v": 2.6e-23}, set(), Mains.NO),
        ({"voltage_l1_v": 231.0, "frequency_hz": math.nan}, {"frequency_hz"}, Mains.NO),
        ({"voltage_l1_v": 0.0, "frequency_hz": 0.0}, {"frequency_hz"}, Mains.NO),
        ({"voltage_l1_v": math.nan, "active_power_w": 3.0}, set(), Mains.UNKNOWN),
    ],
)
def test_what_the_mains_look_like(values: dict[str, float], impossible: set[str], mains: Mains) -> None:
    """Voltage and frequency tell a right register map from a wrong one."""
    assert looks_like_mains(values, impossible) is mains


@pytest.mark.parametrize(
    ("name", "value", "impossible", "said"),
    [
        ("voltage_l1_v", 230.0, False, "ok"),
        ("voltage_l1_v", 23.0, False, "unusual: mains have 80 to 420 V"),
        ("frequency_hz", math.nan, True, "impossible: outside 40 to 70 Hz"),
        ("current_n_a", math.nan, False, "not available"),
        ("active_power_w", 900.0, False, "contradicts: the sum of its phases gives 8900"),
    ],
)
def test_the_judgement_of_a_value(name: str, value: float, impossible: bool, said: str) -> None:
    """Each value of a reading is called ok, or what is wrong with it."""
    values = meter_values() | {name: value}

    assert judgement(name, values, {name} if impossible else set()) == said
