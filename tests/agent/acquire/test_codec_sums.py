"""Sums, transformers and whole polls: against the slow oracle."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.codec import decode, decode_poll, with_transformers
from agent.acquire.profiles.profile import find_profile
from agent.quantities import QUANTITIES
from agent.records import Register
from tests import oracles
from tests.agent.acquire.words import request, word


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
