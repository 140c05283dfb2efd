"""What the checker says of a profile: each mistake at its line, in words that lead to the next step."""

from pathlib import Path

import pytest

from agent.acquire.profiles.profile import load_profile
from agent.errors import InputError
from tests.agent.acquire.profiles.test_profile import GOOD


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "voltage_l1_v",
            "voltage_l1",
            'registers.voltage_l1: no quantity of the vocabulary, did you mean "voltage_l1_v"?',
        ),
        ("voltage_factor = {", "frequency_hz = {", "parameters.frequency_hz: a quantity of the vocabulary"),
        ("address = 0x12", "address = 0x11", "registers.voltage_l1_v.address: 0x0011 overlaps active_power_w"),
        ("address = 0x12", "address = 0xFFFF", "registers.voltage_l1_v.address: i32 at 0xffff ends after 0xffff"),
        ("address = 0x12", "address = 70000", "registers.voltage_l1_v.address: 70000 is wrong"),
        ("address = 0x12", "addres = 0x12", 'registers.voltage_l1_v.addres: unknown key, did you mean "address"?'),
        ('order = "ABCD"', 'order = "AB"', 'registers.active_power_w.order: order "AB" has 2 bytes and i32 has 4'),
        ('order = "ABCD"', 'order = "ACBD"', 'defaults.order: "ACBD" is wrong, expected one of AB, BA, ABCD'),
        ('dtype = "i32"', 'dtype = "int32"', 'defaults.dtype: "int32" is wrong'),
        ("function = 4", "", "defaults.function: missing, here or in every entry; expected 3 (holding registers) or 4"),
        ("function = 4", "function = 6", "defaults.function: 6 is wrong, expected 3 (holding registers) or 4"),
        ("0x7FFFFFFF", "0x1_0000_0000", "registers.voltage_l1_v.absent: 0x100000000 does not fit i32"),
        ('"ct_ratio"]', '"ct_rato"]', 'registers.active_power_w.multiply_by: "ct_rato" is no entry'),
        ('"ct_ratio"]', '"voltage_l1_v"]', "registers.active_power_w.multiply_by: "),
        ('from = "voltage_factor"', 'from = "volt"', 'registers.voltage_l1_v.exponent_from: "volt" is no entry'),
        ("max_registers = 10", "max_registers = 1", "registers.active_power_w.dtype: takes 2 registers"),
        ('single = ["model_code"]', 'single = ["serial"]', 'limits.single: "serial" is no entry'),
        ("model_code = [7]", "serial_number = [7]", "identity.serial_number: unknown key"),
        ("model_code = [7]", 'model_code = ["x"]', "identity.model_code: "),
        ("phases = 3", "phases = 4", "meter.phases: 4 is wrong, expected one of 1, 2, 3"),
        ("address = 0x20,", "address = 0x20, scale = 0,", "registers.ct_ratio.scale: 0 is wrong"),
        ("active_power_w =", "active_power_kw =", "registers.active_power_kw: no quantity of the vocabulary, did you"),
        ("active_power_w =", "apparent_power_va =", "registers.active_power_w: missing, and a load is judged by it"),
        ('multiply_by = ["ct_ratio"]', 'tier = "slow"', 'registers.active_power_w.tier: "slow" is too seldom'),
        (
            "address = 0x12",
            'address = "0x12"',
            'registers.voltage_l1_v.address: "0x12" is wrong, expected a number from',
        ),
        (
            'dtype = "i32"',
            'dtype = "float32"',
            'defaults.dtype: "float32" is wrong, expected one of u16, i16, u32, i32',
        ),
        ('["Manual V1"]', "[]", "meter.sources: [] is wrong, expected a list of texts, at least one"),
        ('["ct_ratio"]', '["voltage_l1_v"]', 'registers.active_power_w.multiply_by: "voltage_l1_v" refers to other'),
        ('multiply_by = ["ct_ratio"]', 'plus = ["export"]', 'registers.active_power_w.plus: "export" is no entry'),
        (
            'multiply_by = ["ct_ratio"]',
            'minus = ["voltage_l1_v"]',
            'registers.active_power_w.minus: "voltage_l1_v" is ',
        ),
        (
            'multiply_by = ["ct_ratio"]',
            'plus = ["voltage_factor"]',
            'registers.active_power_w.plus: "voltage_factor" is',
        ),
        (
            'dtype = "i16"',
            'dtype = "i16", plus = ["ct_ratio"]',
            "parameters.voltage_factor: a sum that nothing can refer",
        ),
        ("[identity]", "[limits.x]\n[identity]", "limits.x: unknown key"),
        (
            "even_blocks = false",
            "forbidden = [[0x13, 0x13]]",
            "registers.voltage_l1_v.address: reading it touches 0x0013",
        ),
        (
            "even_blocks = false",
            "forbidden = [[9, 8]]",
            "limits.forbidden: [[9, 8]] is wrong, expected a list, each a pa",
        ),
        (
            "= 10\neven_blocks = false",
            "= 1\neven_blocks = true",
            "limits.max_registers: 1 allows no request of an even",
        ),
        (
            "[identity]",
            "[sunspec]\nmodels = [203]\n[identity]",
            "registers.active_power_w.function: 4, and SunSpec mode",
        ),
        ("model_code = [7]", "model_code = [1e16]", "identity.model_code: 1e+16 is outside 0 to 9.0072e+15"),
        ("address = 0x12,", 'address = 0x12, tier = "slwo",', 'registers.voltage_l1_v.tier: "slwo" is wrong'),
        ("function = 4", "function = 3.0", "defaults.function: 3.0 is wrong, expected 3 (holding registers) or 4"),
        (
            'multiply_by = ["ct_ratio"]',
            'plus = ["active_power_w"]',
            'registers.active_power_w.plus: "active_power_w" is this entry itself',
        ),
        (
            '"voltage_factor"',
            '["voltage_factor", 7]',
            'registers.voltage_l1_v.exponent_from: ["voltage_factor", 7] is wrong, expected a name',
        ),
        ("[registers]", "[[registers]]", "registers: [{ active_power_w = { address = 16, multiply_by ="),
        ("[parameters]", "[[parameters]]", "parameters: [{ voltage_factor = { address = 20,"),
        ('"Maker"', f'"Maker{chr(0x9B)}31m"', 'meter.maker: "Maker\N{REPLACEMENT CHARACTER}31m" is wrong'),
        ("ct_ratio = {", '"ct\\u001b[31m" = {', "registers.ct\N{REPLACEMENT CHARACTER}[31m: no quantity"),
        ('"ABCD"', f'"{"x" * 5000}"', f'defaults.order: "{"x" * 100}…" is wrong, expected one of AB, BA'),
    ],
)
def test_each_mistake_is_told_where_it_stands(tmp_path: Path, old: str, new: str, expected: str) -> None:
    """What is wrong, what was expected, and the nearest right word."""
    path = tmp_path / "maker_model.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))

    with pytest.raises(InputError) as caught:
        load_profile(path)

    found = [f"{complaint.key}: {complaint.text}" for complaint in caught.value.complaints]
    assert [text for text in found if text.startswith(expected)], found


def complaints(tmp_path: Path, text: str) -> list[str]:
    """Give what is said of a profile, as ``key: text``."""
    path = tmp_path / "maker_model.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_profile(path)
    return [f"{complaint.key}: {complaint.text}" for complaint in caught.value.complaints]


def test_a_wrong_default_is_told_once(tmp_path: Path) -> None:
    """And not again as missing for every entry that relies on it."""
    found = complaints(tmp_path, GOOD.replace('order = "ABCD"', 'order = "big"'))

    (told,) = found
    assert told.startswith('defaults.order: "big" is wrong')
    assert told.endswith('did you mean "ABCD"?')


def test_defaults_that_are_no_table_are_told_once(tmp_path: Path) -> None:
    """And not again as missing, here or in every entry."""
    table = GOOD[GOOD.index("[defaults]") : GOOD.index("[registers]")]

    found = complaints(tmp_path, "defaults = 3\n" + GOOD.replace(table, ""))

    assert "defaults: 3 is wrong, expected a table, such as { key = value }" in found
    assert not [text for text in found if text.startswith("defaults.")]


def test_what_no_entry_says_is_told_once(tmp_path: Path) -> None:
    """A newcomer who forgets the byte order learns where to say it, and what it may be."""
    found = complaints(tmp_path, GOOD.replace('order = "ABCD"\n', "").replace(', order = "AB"', ""))

    assert found == [
        "defaults.order: missing, here or in every entry; expected one of AB, BA, ABCD, CDAB, BADC, DCBA, ABCDEFGH, "
        "GHEFCDAB, BADCFEHG, HGFEDCBA"
    ]


@pytest.mark.parametrize(("number", "address", "function"), [(400019, 18, 3), (300001, 0, 4)])
def test_a_six_digit_number_of_a_manual_is_translated(tmp_path: Path, number: int, address: int, function: int) -> None:
    """The manual counts from 400001 or 300001, the wire from 0."""
    (told,) = complaints(tmp_path, GOOD.replace("address = 0x12", f"address = {number}"))

    assert told.endswith(f"a manual's {number} is address {address} of function {function}")


def test_a_unit_with_a_prefix_leads_to_ours(tmp_path: Path) -> None:
    """Kilowatts are watts with a scale."""
    found = complaints(tmp_path, GOOD.replace("voltage_l1_v =", "reactive_power_kvar ="))

    assert found == [
        "registers.reactive_power_kvar: no quantity of the vocabulary, did you mean "
        '"reactive_power_var"? It is in var: multiply its scale by 1000'
    ]


def test_parts_of_a_sum_have_its_unit_and_its_tier(tmp_path: Path) -> None:
    """Volts are no watts, and what is read once an hour is no part of what is read each second."""
    plus = 'plus = ["voltage_l1_v", "ct_ratio"]'

    found = complaints(tmp_path, GOOD.replace('multiply_by = ["ct_ratio"]', plus))

    assert found == [
        'registers.active_power_w.plus: "voltage_l1_v" is in V and active_power_w in W',
        'registers.active_power_w.plus: "ct_ratio" is in no unit and active_power_w in W',
    ]


def test_two_values_at_one_address_are_a_mistake_unless_one_is_a_sum(tmp_path: Path) -> None:
    """An address that was copied with its line is the commonest mistake of all."""
    copied = GOOD.replace("address = 0x12", "address = 0x10")

    found = complaints(tmp_path, copied)

    assert found == ["registers.voltage_l1_v.address: 0x0010 overlaps active_power_w, which ends at 0x0011"]


def test_a_sunspec_entry_counts_from_its_model(tmp_path: Path) -> None:
    """40071 is where one device has it, 2 is where the model has it."""
    sunspec = GOOD.replace("function = 4", "function = 3").replace(
        "[identity]", "[sunspec]\nmodels = [203]\n[identity]"
    )

    found = complaints(tmp_path, sunspec.replace("address = 0x12", "address = 40071"))

    assert found == [
        "registers.voltage_l1_v.address: 40071 is absolute; with [sunspec] an address counts from the first register "
        "of the model, its ID at 0"
    ]
