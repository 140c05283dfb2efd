"""The meter's own quantities against each other."""

import numpy as np
import pytest

from tests.agent.analyse.metering import TICKS, inspected, load, metered


@pytest.mark.parametrize(
    ("quantity", "factor", "text"),
    [
        ("active_power_l2_w", 1000.0, "the total power is 20,"),
        ("active_power_l3_w", 0.1, "the phases add up to 14,"),
        ("apparent_power_va", 0.1, "the apparent power 2,1"),
        ("reactive_power_var", 10.0, "the reactive power is 65,"),
        ("current_l1_a", 0.001, "volts times amperes are 13,"),
        ("power_factor", 0.2, "the power factor is 0.19, but P / S 0.95"),
    ],
)
def test_a_register_or_scale_that_is_wrong_shows_within_the_hour(quantity: str, factor: float, text: str) -> None:
    """What no definition of the quantities allows; told once and cleared once, and not judged meanwhile."""
    series = metered(load(40))
    series[quantity][10 * TICKS : 30 * TICKS] *= factor

    told = inspected({"office": series})

    assert told.checks() == [(13, "arithmetic", "raised"), (32, "arithmetic", "cleared")]
    assert told.letters["office"] == "G" * 13 + "A" * 19 + "G" * 8
    assert text in told.texts[0]


def test_definitions_that_differ_are_no_fault() -> None:
    """S of harmonics and of phases one by one, Q of the fundamental, a displacement factor; all are in use."""
    distorted, one_way = metered(load(40)), metered(load(40))
    distorted["apparent_power_va"] = distorted["apparent_power_va"] * 1.6
    distorted["reactive_power_var"] = 0 * distorted["reactive_power_var"]
    one_way["apparent_power_va"] = one_way["active_power_w"] * 3
    wired_as_three = metered(load(40))
    for phase in (1, 2, 3):
        wired_as_three[f"active_power_l{phase}_w"] = np.zeros(40 * TICKS)
        wired_as_three[f"voltage_l{phase}_v"] = np.zeros(40 * TICKS)

    told = inspected({"distorted": distorted, "one-way": one_way, "three-wire": wired_as_three})

    assert told.texts == []


def test_a_block_that_does_not_answer_is_left_out_of_no_sum() -> None:
    """Two of three phases are not the total."""
    series = metered(load(40))
    series["active_power_l3_w"][10 * TICKS : 30 * TICKS] = np.nan

    assert inspected({"office": series}).texts == []


@pytest.mark.parametrize("little_w", [1200.0, 660.0])
def test_currents_in_whole_amperes_are_no_fault(little_w: float) -> None:
    """Of 1.8 A such a register shows 1, and of 0.95 A nothing: the power is nearly twice of what follows from it."""
    watts = load(60, 40_000.0)
    watts[10 * TICKS :] *= little_w / 40_000.0
    series = metered(watts)
    for phase in (1, 2, 3):
        series[f"current_l{phase}_a"] = np.floor(series[f"current_l{phase}_a"])

    assert inspected({"office": series}).texts == []
