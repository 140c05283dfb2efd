"""Questions about a profile that is sound: what is allowed, and yet often a mistake."""

from pathlib import Path

import pytest

from agent.acquire.profiles.notes import profile_notes
from agent.acquire.profiles.profile import load_profile
from agent.toml_source import read_toml

METER = """
[meter]
maker = "Maker"
model = "Model"
phases = 1
sources = ["Manual V1"]

[defaults]
function = 3
dtype = "i32"
order = "ABCD"
verified = "1 source"

"""
POWER = "active_power_w = { address = 0 }\n"


def notes(tmp_path: Path, registers: str) -> list[str]:
    """Give what is asked about the meter with these registers, as ``line: key: text``."""
    path = tmp_path / "maker_model.toml"
    path.write_text(f"{METER}[registers]\n{registers}")
    return [f"{note.line}: {note.key}: {note.text}" for note in profile_notes(load_profile(path), read_toml(path))]


def test_a_usual_profile_raises_no_question(tmp_path: Path) -> None:
    """Silence means something only if it is the rule."""
    assert notes(tmp_path, POWER + 'active_energy_import_wh = { address = 2, scale = 100, tier = "slow" }') == []


@pytest.mark.parametrize(
    ("registers", "expected"),
    [
        (
            POWER + 'active_energy_import_wh = { address = 2, scale = 0.1, tier = "slow" }',
            "16: registers.active_energy_import_wh: counts in steps of 0.1 Wh and to 215 MWh and no further: is",
        ),
        (
            POWER + 'active_energy_import_wh = { address = 2, dtype = "f32", tier = "slow" }',
            "16: registers.active_energy_import_wh: counts exactly to 16.8 MWh and no further: is the regi",
        ),
        (
            POWER + "active_energy_import_wh = { address = 2, scale = 1000 }",
            "16: registers.active_energy_import_wh: a counter at every poll costs bus time for nothing",
        ),
        (
            POWER + "serial_number = { address = 2 }",
            '16: registers.serial_number: it changes with the meter only: tier = "identity"',
        ),
        (
            POWER + 'voltage_l1_v = { address = 2, tier = "identity" }',
            "16: registers.voltage_l1_v: read once an hour, as what stands on the nameplate: does",
        ),
        (
            'active_power_w = { address = 0, dtype = "u32" }',
            "15: registers.active_power_w.dtype: unsigned, so it cannot fall below zero at export: does the manual",
        ),
        (
            POWER + 'serial_number = { address = 2, dtype = "u64", order = "ABCDEFGH", tier = "identity" }',
            "16: registers.serial_number.dtype: above 2^53 it is unknown",
        ),
        (POWER + "voltage_l2_v = { address = 2 }", "16: registers.voltage_l2_v: of a second or third phase"),
        (POWER + "[parameters]\nx = { address = 2 }", "17: parameters.x: no entry refers to it"),
        (
            "active_power_w = { address = 40013 }\nvoltage_l1_v = { address = 40001 }",
            "14: registers: all addresses of function 3 lie from 40001 to 49999",
        ),
        (
            "active_power_w = { address = 3 }\nvoltage_l1_v = { address = 1 }",
            "14: registers: the first address is 1: if the manual counts from 1, each is one less on the wire",
        ),
    ],
)
def test_a_likely_mistake_is_asked_about_where_it_stands(tmp_path: Path, registers: str, expected: str) -> None:
    """Each question says why it is asked, and what to look for in the manual."""
    (note,) = notes(tmp_path, registers)

    assert note.startswith(expected)


def test_what_an_import_less_an_export_is_made_of_may_be_unsigned(tmp_path: Path) -> None:
    """Two registers that never fall below zero say together which way the power flows."""
    power = 'active_power_w = { address = 0, dtype = "u32", minus = ["export_w"] }\n'

    assert notes(tmp_path, power + "[parameters]\nexport_w = { address = 2 }") == []
