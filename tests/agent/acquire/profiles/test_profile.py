"""What a meter profile may say."""

from pathlib import Path

import pytest

from agent.acquire.profiles.profile import find_profile, load_profile, profile_names
from agent.errors import InputError
from agent.quantities import QUANTITIES
from agent.records import Tier

GOOD = """
[meter]
maker = "Maker"
model = "Model"
phases = 3
sources = ["Manual V1"]

[limits]
max_registers = 10
even_blocks = false
single = ["model_code"]

[identity]
model_code = [7]

[defaults]
function = 4
dtype = "i32"
order = "ABCD"
verified = "1 source"

[registers]
active_power_w = { address = 0x10, multiply_by = ["ct_ratio"] }
voltage_l1_v = { address = 0x12, exponent_from = "voltage_factor", absent = [0x7FFFFFFF] }
model_code = { address = 0x10, dtype = "u16", order = "AB", tier = "identity" }
ct_ratio = { address = 0x20, dtype = "u16", order = "AB", tier = "identity" }

[parameters]
voltage_factor = { address = 0x14, dtype = "i16", order = "AB", tier = "identity" }
"""


@pytest.mark.parametrize("name", profile_names())
def test_each_shipped_profile_is_sound(name: str) -> None:
    """It passes its checker, speaks the vocabulary, names its sources and reads active power at every poll."""
    profile = find_profile(name)

    assert set(profile.quantities) <= set(QUANTITIES)
    assert profile.sources
    assert [register.tier for register in profile.registers if register.name == "active_power_w"] == [Tier.FAST]
    assert len(profile.digest) == 16


@pytest.mark.parametrize("name", profile_names())
def test_a_shipped_profile_reads_each_quantity_as_often_as_it_changes(name: str) -> None:
    """Counters by the minute, nameplates by the hour; only what costs a request of its own is rarer than the power."""
    profile = find_profile(name)

    tiers = {register.name: register.tier for register in profile.registers if not register.parameter}
    assert [quantity for quantity, tier in tiers.items() if tier not in expected_tiers(quantity)] == []


def expected_tiers(quantity: str) -> tuple[Tier, ...]:
    """Give the tiers that a quantity may be of."""
    if QUANTITIES[quantity].counter or quantity.startswith(("thd_", "demand_")):
        return (Tier.SLOW,)
    if quantity.startswith(("serial_", "model_", "ct_", "vt_")):
        return (Tier.IDENTITY,)
    rarer = ("current_n_", "voltage_ll_", "voltage_l12_", "voltage_l23_", "voltage_l31_")
    return (Tier.FAST, Tier.SLOW) if quantity.startswith(rarer) else (Tier.FAST,)


@pytest.mark.parametrize("name", profile_names())
def test_a_shipped_profile_marks_absence_alike_in_all_values_of_a_type(name: str) -> None:
    """A meter has one pattern for "not available" a type; what is read alone is no such value."""
    profile = find_profile(name)

    patterns = {(r.dtype, r.absent) for r in profile.registers if r.name not in profile.single}
    assert len(patterns) == len({dtype for dtype, _ in patterns})


@pytest.mark.parametrize("name", profile_names())
def test_a_shipped_profile_has_as_many_phases_as_it_says(name: str) -> None:
    """Values of a second phase make more than one, values of the first alone make one."""
    profile = find_profile(name)

    first, second = (any(f"_{phase}_" in f"{q}_" for q in profile.quantities) for phase in ("l1", "l2"))
    assert second == (profile.phases > 1) or not first


def test_the_ten_profiles_of_the_first_release_are_there() -> None:
    """Gateways name them in their configuration."""
    assert set(profile_names()) >= {
        "abb_b23",
        "carlo_gavazzi_em340",
        "chint_dtsu666",
        "eastron_sdm120",
        "eastron_sdm230",
        "eastron_sdm630",
        "eastron_sdm72d_m",
        "schneider_iem3155",
        "schneider_pm5110",
        "sunspec_203",
    }


def test_entries_take_the_defaults_and_keep_the_order_of_the_file(tmp_path: Path) -> None:
    """A parameter is read but is no quantity of the meter."""
    path = tmp_path / "maker_model.toml"
    path.write_text(GOOD)

    profile = load_profile(path)

    assert profile.name == "maker_model"
    assert profile.quantities == ("active_power_w", "voltage_l1_v", "model_code", "ct_ratio")
    assert [(r.name, r.function, r.dtype, r.count, r.tier, r.scale) for r in profile.registers[:2]] == [
        ("active_power_w", 4, "i32", 2, Tier.FAST, 1.0),
        ("voltage_l1_v", 4, "i32", 2, Tier.FAST, 1.0),
    ]
    assert profile.registers[-1].parameter
    assert profile.identity == {"model_code": (7.0,)}


def test_a_value_at_an_odd_address_breaks_even_blocks(tmp_path: Path) -> None:
    """Such a meter answers a request from an odd address with an exception."""
    path = tmp_path / "maker_model.toml"
    path.write_text(
        GOOD.replace("even_blocks = false", "even_blocks = true").replace("address = 0x12", "address = 0x15")
    )

    with pytest.raises(InputError, match="0x0015 is odd, and even_blocks is set"):
        load_profile(path)


def test_a_sum_of_phases_may_stand_on_the_register_of_its_first_one(tmp_path: Path) -> None:
    """The power of a meter without a total is phase 1 plus the others, and phase 1 is reported too."""
    path = tmp_path / "maker_model.toml"
    phases = [f"active_power_l{phase}_w = {{ address = {0x30 + 2 * phase} }}" for phase in (1, 2, 3)]
    total = 'active_power_w = { address = 0x32, plus = ["active_power_l2_w", "active_power_l3_w"] }'
    path.write_text(
        GOOD.replace(
            'active_power_w = { address = 0x10, multiply_by = ["ct_ratio"] }', total + "\n" + "\n".join(phases)
        )
    )

    profile = load_profile(path)

    assert [register.address for register in profile.registers[:2]] == [0x32, 0x32]


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    """A typing mistake costs no search."""
    with pytest.raises(InputError, match='unknown profile "eastron_sdm30", did you mean "eastron_sdm630"'):
        find_profile("eastron_sdm30")
