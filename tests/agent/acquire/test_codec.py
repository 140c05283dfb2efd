"""Words become quantities: the words of each model as its manual encodes them."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.codec import Decoded, decode, decode_poll, referred, with_transformers
from agent.acquire.profiles.profile import find_profile
from agent.quantities import QUANTITIES
from agent.records import ReadRequest, Register, Tier
from tests import oracles


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


def request(registers: tuple[Register, ...], address: int, count: int) -> ReadRequest:
    """Ask for a few registers; timing does not matter here."""
    return ReadRequest(
        unit=1,
        function=registers[0].function,
        address=address,
        count=count,
        registers=registers,
        wire_s=0.0,
        min_gap_s=0.0,
        min_timeout_s=0.0,
    )


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


def word(name: str, address: int, **changes: Any) -> Register:
    """Give an entry of one word, fast, without references; ``changes`` replace its fields."""
    plain: dict[str, Any] = {
        "name": name,
        "function": 3,
        "address": address,
        "dtype": "u16",
        "order": "AB",
        "scale": 1.0,
        "tier": Tier.FAST,
        "parameter": name not in QUANTITIES,
        "absent": (),
        "multiply_by": (),
        "exponent_from": "",
        "plus": (),
        "minus": (),
        "verified": "1 source",
    }
    return Register(**(plain | changes))


def test_a_sum_takes_its_parts_in_si_units_from_every_reply_of_the_poll() -> None:
    """7 kWh of tariff 1, 2 x 3 kWh of tariff 2 with its transformer, less 400 Wh: 12.6 kWh, in whatever order."""
    energy = word("active_energy_import_wh", 0, scale=1000.0, plus=("t2_wh",), minus=("lost_wh",))
    first = request((energy, word("lost_wh", 1)), 0, 2)
    second = request((word("t2_wh", 10, scale=1000.0, multiply_by=("ratio",)), word("ratio", 11)), 10, 2)

    decoded = decode_poll((first, second), ((7, 400), (3, 2)), {})

    assert decoded.values["active_energy_import_wh"] == 12600.0


def test_a_sum_never_takes_a_part_of_an_earlier_poll() -> None:
    """The import of now less the export of a minute ago is a power that never was."""
    power = word("active_power_w", 0, minus=("export_w",))

    decoded = decode(request((power,), 0, 1), (500,), {"export_w": 100.0})

    assert math.isnan(decoded.values["active_power_w"])
    assert decoded.out_of_range == ()


@pytest.mark.parametrize("part", [0xFFFF, 8000])
def test_a_sum_with_an_unknown_part_is_unknown(part: int) -> None:
    """Absent, or beyond its own range (8000 x 1000 A is above a million): a sum without it would be too low."""
    current = word("current_sum_a", 0, plus=("current_l2_a",))
    other = word("current_l2_a", 1, scale=1000.0, absent=(0xFFFF,))

    decoded = decode(request((current, other), 0, 2), (5, part), {})

    assert math.isnan(decoded.values["current_sum_a"])


def test_words_of_the_wrong_number_are_refused() -> None:
    """One word more would shift every value that follows."""
    with pytest.raises(ValueError, match="3 words answer a request for 2"):
        decode(request((word("active_power_w", 0),), 0, 2), (1, 2, 3), {})


def test_a_poll_without_an_answer_has_no_values() -> None:
    """Nothing is invented for a silent meter."""
    assert decode_poll((), (), {}).values == {}


def test_transformers_scale_by_the_unit_of_each_value() -> None:
    """At a CT of 40 and a VT of 10 a volt is 10, an ampere 40, a watt-hour 400; a ratio and a frequency stay."""
    names = ("voltage_l1_v", "current_l1_a", "active_power_w", "frequency_hz", "ct_primary_a", "ct_ratio")
    energy = word("active_energy_import_wh", 7, plus=("t2_wh",))
    profile = replace(
        find_profile("eastron_sdm630"),
        registers=(*(word(name, i) for i, name in enumerate(names)), energy, word("t2_wh", 8), word("factor", 9)),
    )

    scales = {r.name: r.scale for r in with_transformers(profile, ct_ratio=40.0, vt_ratio=10.0).registers}

    assert [scales[name] for name in names] == [10.0, 40.0, 400.0, 1.0, 1.0, 1.0]
    assert (scales["active_energy_import_wh"], scales["t2_wh"], scales["factor"]) == (400.0, 400.0, 1.0)


def test_every_unit_of_the_vocabulary_has_its_transformers() -> None:
    """A power or an energy scales with both, whatever its name."""
    words = [word(name, i) for i, name in enumerate(QUANTITIES)]
    profile = with_transformers(replace(find_profile("eastron_sdm630"), registers=tuple(words)), 3.0, 5.0)

    factors = {QUANTITIES[register.name].unit: set[float]() for register in profile.registers}
    for register in profile.registers:
        factors[QUANTITIES[register.name].unit].add(register.scale)

    powers = {unit: {15.0} for unit in ("W", "var", "VA", "Wh", "varh")}
    assert factors == {"V": {5.0}, "A": {1.0, 3.0}, "Hz": {1.0}, "%": {1.0}, "°C": {1.0}, "": {1.0}, **powers}


ORDERS_OF = {16: ("AB", "BA"), 32: ("ABCD", "CDAB", "BADC", "DCBA"), 64: ("ABCDEFGH", "GHEFCDAB", "HGFEDCBA")}
NAMES = ("active_power_w", "voltage_l1_v", "power_factor", "frequency_hz", "active_energy_import_wh", "own", "other")


@st.composite
def polls(draw: st.DrawFn) -> tuple[list[Register], dict[int, int]]:
    """Give a random map with gaps, and the words of the wire; what refers to others refers to the two first."""
    registers: list[Register] = []
    address = 0
    for name in ("ratio", "exponent", *draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))):
        bits = draw(st.sampled_from([16, 32, 64]))
        kinds = ["u", "i"] if name in ("ratio", "exponent") or bits == 16 else ["u", "i", "f"]
        address += draw(st.integers(0, 2))
        parts = [register.name for register in registers[2:] if not (register.plus or register.minus)]
        entry = word(
            name,
            address,
            dtype=f"{draw(st.sampled_from(kinds))}{bits}",
            order=draw(st.sampled_from(ORDERS_OF[bits])),
            scale=draw(st.sampled_from([1.0, 0.1, -10.0])),
            absent=draw(st.sampled_from([(), (0,), (1, 0xFFFF)])),
        )
        if len(registers) >= 2:
            entry = replace(
                entry,
                multiply_by=draw(st.sampled_from([(), ("ratio",), ("ratio", "ratio")])),
                exponent_from=draw(st.sampled_from(["", "exponent"])),
                plus=tuple(draw(st.lists(st.sampled_from(parts), max_size=2))) if parts else (),
                minus=tuple(draw(st.lists(st.sampled_from(parts), max_size=1))) if parts else (),
            )
        registers.append(entry)
        address += entry.count
    numbers = st.sampled_from([0, 1, 2302, 0x8000, 0xFFFF]) | st.integers(0, 0xFFFF)
    return registers, dict(enumerate(draw(st.lists(numbers, min_size=address, max_size=address))))


@given(polls(), st.integers(1, 6), st.booleans())
def test_a_poll_reads_as_its_bytes_do_one_by_one(
    poll: tuple[list[Register], dict[int, int]], split: int, ratio_read: bool
) -> None:
    """Held against plain arithmetic: every type and order, gaps, marks, factors of now and of before, sums."""
    registers, words = poll
    earlier = {"ratio": 40.0, "exponent": -1.0}
    read = registers if ratio_read else registers[2:]
    blocks = [tuple(block) for block in (read[:split], read[split:]) if block]
    requests = tuple(request(b, b[0].address, b[-1].address + b[-1].count - b[0].address) for b in blocks)

    found = decode_poll(requests, [[words[q.address + i] for i in range(q.count)] for q in requests], earlier)

    assert found.values == pytest.approx(oracles.decoded(read, words, earlier), nan_ok=True, rel=1e-12)
    assert all(math.isnan(found.values[name]) for name in found.out_of_range)
