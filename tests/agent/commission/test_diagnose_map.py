"""Register maps that do not fit the meter."""

import math

import pytest

from agent.acquire.profiles.profile import find_profile
from agent.commission.diagnose.map import (
    identity_findings,
    mains_part,
    map_finding,
    ratio_findings,
    scale_findings,
    variants,
)
from tests.agent.commission.electrics import meter_values, without

SDM630, EM340, ABB = find_profile("eastron_sdm630"), find_profile("carlo_gavazzi_em340"), find_profile("abb_b23")


def test_the_variants_are_the_mistakes_that_people_make() -> None:
    """Words, bytes or both swapped; one address off, either way; the other function."""
    found = [(variant.code, variant.text) for variant in variants(mains_part(EM340))]

    assert found == [
        ("word_order", 'with swapped words, order = "ABCD"'),
        ("word_order", 'with swapped bytes, order = "DCBA"'),
        ("word_order", 'with swapped words and bytes, order = "BADC"'),
        ("address", "with every address -1"),
        ("address", "with every address +1"),
        ("function", "with function 3"),
    ]


def test_a_variant_changes_every_register() -> None:
    """All addresses by one; at the ends of the address space there is nothing left to shift to."""
    part = mains_part(EM340)
    earlier, later = (v.profile for v in variants(part) if v.code == "address")

    assert [r.address for r in later.registers] == [r.address + 1 for r in part.registers]
    assert [r.address for r in earlier.registers] == [r.address - 1 for r in part.registers if r.address]


def test_a_fitting_variant_is_told_with_what_to_write() -> None:
    """The finding names the mistake and the order that makes the values those of mains."""
    fitting = next(iter(variants(mains_part(SDM630))))

    found = map_finding(SDM630, {"frequency_hz": math.nan, "voltage_l1_v": 2.6e-23}, [fitting])

    assert found.code == "word_order"
    assert 'order = "CDAB" they are' in found.seen


def test_a_map_that_fits_in_no_way() -> None:
    """Then the profile is the wrong one."""
    found = map_finding(SDM630, {"frequency_hz": 3000.0}, [])

    assert found.code == "not_mains"
    assert "flatwatt scan" in found.next_step


def test_a_meter_that_says_it_is_another_model() -> None:
    """The code differs from those of the profile."""
    (found,) = identity_findings(EM340, {"model_code": 102.0})

    assert found.code == "wrong_profile"
    assert "model_code is 102, a Carlo Gavazzi" in found.seen
    assert list(identity_findings(EM340, {"model_code": 341.0})) == []
    assert list(identity_findings(EM340, {"model_code": math.nan})) == []


def test_sound_values_have_a_sound_scale() -> None:
    """Nothing is said of a meter whose values agree."""
    assert scale_findings(meter_values()) == []


@pytest.mark.parametrize("factor", [0.001, 0.1, 10.0, 1000.0])
def test_powers_that_are_a_power_of_ten_off(factor: float) -> None:
    """As where kW is taken for W: U times I tells it."""
    values = {
        name: value * factor if name.startswith(("active", "apparent")) else value
        for name, value in meter_values().items()
    }

    (found,) = scale_findings(values)

    assert found.code == "scale"
    assert f"{factor:g} times" in found.seen


def test_the_scale_of_the_voltage_is_told_from_that_of_the_power() -> None:
    """Where 2300 V would be 230 V, it is the voltage."""
    values = meter_values() | {f"voltage_{phase}_v": 2300.0 for phase in ("l1", "l2", "l3")}

    (found,) = scale_findings(without(values, "voltage_ln", "voltage_ll"))

    assert "the scale of the voltages is wrong" in found.cause


def test_a_contradiction_that_is_no_scale() -> None:
    """It is told with both values."""
    (found,) = scale_findings(meter_values() | {"active_power_w": 3000.0, "power_factor": 0.32})

    assert found.code == "contradiction"
    assert "the sum of its phases gives 8900" in found.seen


@pytest.mark.parametrize(
    ("values", "ct_ratio", "max_power_w", "code"),
    [
        ({"ct_ratio": 40.0}, 40.0, None, "ct_ratio_twice"),
        ({"ct_primary_a": 100.0, "current_l1_a": 380.0}, 1.0, None, "ct_ratio"),
        ({"active_power_w": 9000.0}, 40.0, 50_000.0, "ct_ratio"),
    ],
)
def test_a_transformer_ratio_that_cannot_be(
    values: dict[str, float], ct_ratio: float, max_power_w: float | None, code: str
) -> None:
    """Counted twice, more current than the transformer carries, more power than the feeder carries."""
    assert [finding.code for finding in ratio_findings(values, ct_ratio, 1.0, max_power_w)] == [code]


@pytest.mark.parametrize(
    ("values", "ct_ratio", "max_power_w"),
    [
        ({"ct_ratio": 40.0}, 1.0, None),
        ({"ct_ratio": 1.0}, 40.0, None),
        ({"ct_primary_a": 100.0, "current_l1_a": 95.0}, 1.0, None),
        ({"ct_primary_a": 5.0, "current_l1_a": 95.0}, 1.0, None),  # not set
        ({"active_power_w": 1000.0}, 40.0, 50_000.0),
    ],
)
def test_a_ratio_that_can_be(values: dict[str, float], ct_ratio: float, max_power_w: float | None) -> None:
    """Nothing is said."""
    assert list(ratio_findings(values, ct_ratio, 1.0, max_power_w)) == []
