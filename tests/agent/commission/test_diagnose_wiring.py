"""Current transformers that sit on the wrong phase, or the wrong way round."""

import cmath
import math
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commission.diagnose.wiring import Wiring, wiring_findings
from tests.agent.commission.electrics import meter_values, without

LOADS = {
    "heaters": (3000 + 0j, 2500 + 0j, 2800 + 0j),
    "motors": (3000 + 1500j, 2900 + 1400j, 3100 + 1600j),
    "computers": (3000 - 300j, 2400 - 500j, 3300 - 200j),
    "motors, with their active power from the roof": (90 + 2100j, -60 + 2000j, 40 + 2200j),
    "one motor and lamps": (3000 + 2400j, 900 + 50j, 1100 - 200j),
}


@pytest.mark.parametrize("loads", LOADS.values(), ids=LOADS)
def test_a_sound_wiring_is_not_complained_about(loads: tuple[complex, ...]) -> None:
    """Whatever the load: heaters, motors, computers, unlike phases."""
    assert wiring_findings(meter_values(loads)) == []


@pytest.mark.parametrize(
    ("wiring", "code", "cause"),
    [
        ({"turned": [1]}, "ct_reversed", "the current transformer at input 2 is turned round"),
        ({"turned": [0, 2]}, "ct_reversed", "the current transformer at input 1 and 3 is turned round"),
        ({"currents_of": (0, 2, 1)}, "ct_swapped", "the current transformers of phases 2 and 3 are swapped"),
        ({"currents_of": (1, 0, 2)}, "ct_swapped", "the current transformers of phases 1 and 2 are swapped"),
        ({"currents_of": (1, 2, 0)}, "ct_swapped", "sit one phase on (input 1 has the current of phase 2"),
        ({"currents_of": (0, 2, 1), "turned": [0]}, "ct_swapped", "swapped and the current transformer at input 1"),
    ],
)
@pytest.mark.parametrize("load", ["heaters", "motors", "computers"])
def test_each_wrong_wiring_is_named(load: str, wiring: dict[str, Any], code: str, cause: str) -> None:
    """By the phase angles that only this wiring gives, with the fewest transformers moved."""
    (found,) = wiring_findings(meter_values(LOADS[load], **wiring))

    assert found.code == code
    assert cause in found.cause


USUAL = [
    Wiring(phases, turned)
    for phases in [(0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 1, 0)]
    for turned in product((False, True), repeat=3)
    if sum(turned) <= (2 if phases == (0, 1, 2) else 1)
]


@pytest.mark.parametrize("wiring", USUAL, ids=str)
@given(
    sizes=st.tuples(*[st.floats(500, 4000)] * 3),
    degrees=st.tuples(*[st.floats(-30, 45)] * 3).filter(lambda three: max(three) - min(three) < 24),
)
def test_usual_mistakes_are_named_right_for_any_load(
    wiring: Wiring, sizes: tuple[float, ...], degrees: tuple[float, ...]
) -> None:
    """None, one or two turned, two swapped, two swapped and one turned: whatever phases of 500 VA and more draw."""
    loads = [cmath.rect(size, math.radians(angle)) for size, angle in zip(sizes, degrees, strict=True)]
    turned = [k for k in range(3) if wiring.turned[k]]

    found = wiring_findings(meter_values(loads, wiring.phases, turned))

    assert [finding.cause.partition(", or")[0] for finding in found] == ([str(wiring)] if wiring.changes else [])


@pytest.mark.parametrize("currents_of", list(permutations(range(3)))[1:])
def test_wrong_phases_are_seen_without_reactive_power_too(currents_of: tuple[int, ...]) -> None:
    """A meter that shows no reactive power of the phases leaves its sign open, and U x I gives its size."""
    values = without(meter_values(LOADS["heaters"], currents_of), "reactive", "apparent")

    assert [finding.code for finding in wiring_findings(values)] == ["ct_swapped"]


def test_a_site_that_generates_and_draws_reactive_power_is_given_the_benefit_of_the_doubt() -> None:
    """Its angles are those of transformers that all sit one phase on: a warning that names both."""
    (found,) = wiring_findings(meter_values((-1500 + 2600j, -1400 + 2500j, -1600 + 2700j)))

    assert found.severity == "warning"
    assert "sit one phase on" in found.cause
    assert "generates active power while it draws reactive power" in found.cause


def test_a_generator_is_not_miswired() -> None:
    """All phases export: a warning, unless gateway.toml calls the meter generation."""
    values = meter_values(LOADS["heaters"], turned=(0, 1, 2))

    assert [finding.code for finding in wiring_findings(values)] == ["exports"]
    assert wiring_findings(values, exports=True) == []


def test_a_turned_transformer_of_a_generator() -> None:
    """Two phases export and one imports: the one is turned."""
    (found,) = wiring_findings(meter_values(LOADS["heaters"], turned=(0, 2)), exports=True)

    assert "at input 2 is turned round" in found.cause


def test_a_single_phase_meter_that_exports() -> None:
    """Its only power is negative."""
    (found,) = wiring_findings({"active_power_w": -900.0, "voltage_l1_v": 230.0})

    assert found.code == "exports"


def test_a_phase_without_load_says_nothing_about_wiring() -> None:
    """The angle of a few volt-amperes is noise."""
    assert wiring_findings(meter_values((3000 + 0j, -10 + 0j, 2900 + 0j))) == []


def test_a_phase_without_voltage() -> None:
    """A blown fuse in the meter's voltage tap."""
    (found,) = wiring_findings(meter_values() | {"voltage_l2_v": 3.0})

    assert found.code == "phase_without_voltage"
    assert "phase 2 has 3 V" in found.seen
