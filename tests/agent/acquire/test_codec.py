"""Words become quantities: the words of each model as its manual encodes them."""

import math

import pytest

from agent.acquire.codec import Decoded, decode, referred
from agent.acquire.profiles.profile import find_profile
from tests.agent.acquire.words import request, word


def reply(profile: str, function: int, address: int, words: str, parameters: dict[str, float] | None = None) -> Decoded:
    """Decode the words of a reply, in hex as on the wire, by the registers that lie within them."""
    read = [int(word, 16) for word in words.split()]
    covered = tuple(
        register
        for register in find_profile(profile).registers
        if register.function == function
        and address <= register.address
        and register.address + register.count <= address + len(read)
    )
    return decode(request(covered, address, len(read)), read, parameters or {})


GOLDEN = [
    # SDM120 Modbus protocol V2.4, 2.1: the reply 01 04 04 43 66 33 34 1B 38 is 230.2 V
    ("eastron_sdm120", 4, 0x0000, "4366 3334", {"voltage_l1_v": 230.2}),
    ("eastron_sdm120", 3, 0xFC00, "00BC 614E 0020 0001", {"serial_number": 12345678.0, "model_code": 32.0}),
    # SDM230 V1.1 has the same example; 1500.5 W; 123.456 kWh
    ("eastron_sdm230", 4, 0x0000, "4366 3334", {"voltage_l1_v": 230.2}),
    ("eastron_sdm230", 4, 0x000C, "44BB 9000", {"active_power_w": 1500.5}),
    ("eastron_sdm230", 4, 0x0048, "42F6 E979", {"active_energy_import_wh": 123456.0}),
    # SDM630: -1234.5 W, exported; 50 Hz
    ("eastron_sdm630", 4, 0x0034, "C49A 5000", {"active_power_w": -1234.5}),
    ("eastron_sdm630", 4, 0x0046, "4248 0000 42F6 E979", {"frequency_hz": 50.0, "active_energy_import_wh": 123456.0}),
    ("eastron_sdm72d_m", 4, 0x0034, "C49A 5000", {"active_power_w": -1234.5}),
    ("eastron_sdm72d_m", 4, 0x0156, "42F6 E979", {"active_energy_total_wh": 123456.0}),
    # EM340: low word first, 0.1 V, 0.1 W, 0.001, 0.1 Hz, 0.1 kWh; -12345 is FFFF CFC7
    ("carlo_gavazzi_em340", 4, 0x0000, "08FE 0000", {"voltage_l1_v": 230.2}),
    ("carlo_gavazzi_em340", 4, 0x0028, "CFC7 FFFF", {"active_power_w": -1234.5}),
    ("carlo_gavazzi_em340", 4, 0x0031, "FC27 0000 01F4", {"power_factor": -0.985, "frequency_hz": 50.0}),
    ("carlo_gavazzi_em340", 4, 0x0034, "614E 00BC", {"active_energy_import_wh": 1234567800.0}),
    ("carlo_gavazzi_em340", 4, 0x000B, "0155", {"model_code": 341.0}),
    # B23: high word first, 0.1 V, 0.01 W, 0.01 Hz, 0.01 kWh; -123456 is FFFE 1DC0
    ("abb_b23", 3, 0x5B00, "0000 08FE", {"voltage_l1_v": 230.2}),
    ("abb_b23", 3, 0x5B14, "FFFE 1DC0", {"active_power_w": -1234.56}),
    ("abb_b23", 3, 0x5B2C, "1386", {"frequency_hz": 49.98}),
    ("abb_b23", 3, 0x5B3A, "FC27", {"power_factor": -0.985}),
    ("abb_b23", 3, 0x5000, "0000 0000 075B CD15", {"active_energy_import_wh": 1234567890.0}),
    ("abb_b23", 3, 0x8960, "4232 3320", {"model_code": float(0x42323320)}),
    # iEM3155: kW as float, Wh as 64-bit integer; register 3060 of the manual is 3059 on the wire
    ("schneider_iem3155", 3, 3059, "4020 0000", {"active_power_w": 2500.0}),
    ("schneider_iem3155", 3, 3203, "0000 011F 71FB 04CB", {"active_energy_import_wh": 1234567890123.0}),
    ("schneider_pm5110", 3, 3059, "4020 0000", {"active_power_w": 2500.0}),
    ("schneider_pm5110", 3, 3191, "BF7C 28F6", {"power_factor": -0.985}),
    ("schneider_pm5110", 3, 89, "3BA6", {"model_code": 15270.0}),
    # DTSU666: 2302.0 is 230.2 V, 4998.0 is 49.98 Hz, UrAt in tenths
    ("chint_dtsu666", 3, 0x0006, "0028 000A", {"ct_ratio": 40.0, "vt_ratio": 1.0}),
    ("chint_dtsu666", 3, 0x2044, "459C 3000", {"frequency_hz": 49.98}),
]


SENTINELS = [
    ("carlo_gavazzi_em340", 4, 0x0028, "FFFF 7FFF", "active_power_w"),
    ("abb_b23", 3, 0x5B00, "FFFF FFFF", "voltage_l1_v"),
    ("abb_b23", 3, 0x5B14, "7FFF FFFF", "active_power_w"),
    ("abb_b23", 3, 0x5B3A, "7FFF", "power_factor"),
    ("abb_b23", 3, 0x5004, "FFFF FFFF FFFF FFFF", "active_energy_export_wh"),
    ("schneider_iem3155", 3, 3059, "FFC0 0000", "active_power_w"),
    ("schneider_iem3155", 3, 3203, "8000 0000 0000 0000", "active_energy_import_wh"),
    ("schneider_pm5110", 3, 2999, "FFC0 0000", "current_l1_a"),
    ("schneider_pm5110", 3, 89, "FFFF", "model_code"),
    ("eastron_sdm630", 4, 0x0034, "7F80 0000", "active_power_w"),
    ("eastron_sdm630", 4, 0x0034, "7FC0 0000", "active_power_w"),
]


@pytest.mark.parametrize(("profile", "function", "address", "words", "values"), GOLDEN)
def test_words_of_a_model_read_as_its_manual_says(
    profile: str, function: int, address: int, words: str, values: dict[str, float]
) -> None:
    """Address, word order, sign and scale, held against words written out by hand."""
    decoded = reply(profile, function, address, words)

    assert decoded.values == pytest.approx(values, rel=1e-7)
    assert decoded.out_of_range == ()


@pytest.mark.parametrize(("profile", "function", "address", "words", "name"), SENTINELS)
def test_not_available_is_nan_and_never_a_number(
    profile: str, function: int, address: int, words: str, name: str
) -> None:
    """What a meter sends for a value that it does not have is absent, not out of range."""
    decoded = reply(profile, function, address, words)

    assert math.isnan(decoded.values[name])
    assert decoded.out_of_range == ()


def test_the_floats_of_a_dtsu666_are_of_the_secondary_side() -> None:
    """12345.0 at a CT of 40 and a VT of 1.0 are 12345.0 x 0.1 x 40 = 49.38 kW."""
    decoded = reply("chint_dtsu666", 3, 0x2012, "4640 E400", {"ct_ratio": 40.0, "vt_ratio": 1.0})

    assert decoded.values == pytest.approx({"active_power_w": 49380.0})


def test_without_its_ratio_a_value_is_unknown() -> None:
    """A power of the secondary side must not pass for the primary's."""
    decoded = reply("chint_dtsu666", 3, 0x2012, "4640 E400", {"ct_ratio": 40.0})

    assert math.isnan(decoded.values["active_power_w"])
    assert decoded.out_of_range == ()


def test_a_counter_that_counts_downwards_from_zero_begins_at_zero() -> None:
    """ZIEHL counts what is exported below zero; the scale turns it, and minus zero is no reading."""
    standing = reply("ziehl_efr4001ip", 3, 0x015C, "0000 0000").values["active_energy_export_wh"]
    turned = reply("ziehl_efr4001ip", 3, 0x015C, "FFFE FFFF").values["active_energy_export_wh"]

    assert (str(standing), turned) == ("0.0", 2.0)


SUNSPEC_W = "FB2E 8000 0064 0000"  # -1234, not implemented, 100, 0


def test_a_scale_factor_of_the_same_reply_comes_first() -> None:
    """SunSpec: -1234 at a factor of 1 are -12340 W, whatever an earlier reply said."""
    decoded = reply("sunspec_203", 3, 18, f"{SUNSPEC_W} 0001", {"active_power_scale_factor": 3.0})

    assert decoded.values["active_power_w"] == -12340.0
    assert math.isnan(decoded.values["active_power_l1_w"])
    assert decoded.values["active_power_l2_w"] == 1000.0
    assert decoded.values["active_power_scale_factor"] == 1.0


def test_a_scale_factor_of_an_earlier_reply_serves() -> None:
    """The factor is remembered by whoever polls; a fraction is a negative power of ten."""
    decoded = reply("sunspec_203", 3, 18, SUNSPEC_W, {"active_power_scale_factor": -2.0})

    assert decoded.values["active_power_w"] == pytest.approx(-12.34)


@pytest.mark.parametrize("factor", ["8000", "7FFF", "8001"])
def test_a_scale_factor_that_is_none_makes_the_values_unknown(factor: str) -> None:
    """Not implemented, or a power of ten that no number holds: NaN, and no overflow."""
    decoded = reply("sunspec_203", 3, 18, f"{SUNSPEC_W} {factor}")

    assert math.isnan(decoded.values["active_power_w"])


def test_an_impossible_value_is_named() -> None:
    """A frequency of 0 Hz is a number, but no mains frequency: NaN, and said to be out of range."""
    decoded = reply("eastron_sdm630", 4, 0x0046, "0000 0000")

    assert math.isnan(decoded.values["frequency_hz"])
    assert decoded.out_of_range == ("frequency_hz",)


@pytest.mark.parametrize(
    ("dtype", "order", "words", "value"),
    [
        ("u32", "ABCD", "0102 0304", 0x01020304),
        ("u32", "CDAB", "0304 0102", 0x01020304),
        ("u32", "BADC", "0201 0403", 0x01020304),
        ("u32", "DCBA", "0403 0201", 0x01020304),
        ("u16", "AB", "0102", 0x0102),
        ("u16", "BA", "0201", 0x0102),
        ("i16", "AB", "FFFE", -2),
        ("i64", "ABCDEFGH", "FFFF FFFF FFFF FFFE", -2),
        ("u64", "GHEFCDAB", "0708 0506 0304 0102", 0x0102030405060708),
        ("u64", "BADCFEHG", "0201 0403 0605 0807", 0x0102030405060708),
        ("u64", "HGFEDCBA", "0807 0605 0403 0201", 0x0102030405060708),
        ("f64", "ABCDEFGH", "C093 4A00 0000 0000", -1234.5),
    ],
)
def test_the_picture_is_the_order_on_the_wire(dtype: str, order: str, words: str, value: float) -> None:
    """A is the most significant byte, and stands where the picture has it."""
    register = word("factor", 100, dtype=dtype, order=order)
    read = [0xDEAD, *(int(word, 16) for word in words.split()), 0xBEEF]

    decoded = decode(request((register,), 99, len(read)), read, {})

    assert decoded.values == {"factor": pytest.approx(value)}


def test_only_names_that_others_refer_to_need_remembering() -> None:
    """Everything else of a reply may be forgotten at once."""
    assert referred(find_profile("chint_dtsu666").registers) == {"ct_ratio", "vt_ratio"}
    assert referred(find_profile("abb_b23").registers) == frozenset()
