"""The poll plan: every register once, within the meter's limits, in the least bus time."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.line import Line
from agent.acquire.plan import bus_s, plan
from agent.acquire.profile import find_profile, profile_names
from agent.records import MeterProfile, ReadRequest, Register, Tier

LINES = (Line.rtu(1200), Line.rtu(9600), Line.rtu(115200), Line.tcp())


def register(name: str, address: int, count: int, tier: Tier = Tier.FAST, function: int = 3) -> Register:
    """Give a value of one, two or four registers."""
    return Register(
        name=name,
        function=function,
        address=address,
        dtype=f"u{16 * count}",
        order="ABCDEFGH"[: 2 * count],
        scale=1.0,
        tier=tier,
        parameter=False,
        absent=(),
        multiply_by=(),
        exponent_from="",
        plus=(),
        minus=(),
        verified="1 source",
    )


def profile_of(
    registers: Sequence[Register],
    max_registers: int = 125,
    max_gap: int | None = 0,
    forbidden: Sequence[tuple[int, int]] = (),
    even: bool = False,
    single: Sequence[str] = (),
) -> MeterProfile:
    """Give a meter with these registers and limits."""
    return MeterProfile(
        name="maker_model",
        maker="Maker",
        model="Model",
        phases=3,
        sources=("Manual",),
        registers=tuple(registers),
        max_registers=max_registers,
        max_gap=max_gap,
        forbidden=tuple(forbidden),
        even_blocks=even,
        single=tuple(single),
        min_gap_ms=0.0,
        min_timeout_ms=0.0,
        baud=9600,
        parity="N",
        stopbits=1,
        identity={},
        sunspec=(),
        left_out=(),
        digest="0" * 16,
    )


@st.composite
def profiles(draw: st.DrawFn) -> MeterProfile:
    """Give a small random map: values of 1, 2 or 4 registers, gaps, two tiers, random limits."""
    even = draw(st.booleans())
    registers, address = [], 2 * draw(st.integers(0, 3))
    for index in range(draw(st.integers(1, 7))):
        count = draw(st.sampled_from([1, 2, 4]))
        address += draw(st.integers(0, 9))
        address += address % 2 if even else 0
        tier = draw(st.sampled_from([Tier.FAST, Tier.FAST, Tier.SLOW]))
        registers.append(register(f"r{index}", address, count, tier))
        address += count
    return profile_of(registers, draw(st.sampled_from([4, 6, 8, 12, 30])), draw(st.integers(0, 8)), even=even)


def cuts(registers: Sequence[Register]) -> Iterator[list[Sequence[Register]]]:
    """Give every way to cut a sorted list into blocks."""
    if not registers:
        yield []
    for size in range(1, len(registers) + 1):
        for rest in cuts(registers[size:]):
            yield [registers[:size], *rest]


def span(block: Sequence[Register], even: bool) -> range:
    """Give the addresses that a request for a block reads."""
    first, end = block[0].address, block[-1].address + block[-1].count
    return range(first - first % 2, end + end % 2) if even else range(first, end)


def allowed(block: Sequence[Register], profile: MeterProfile) -> bool:
    """Tell whether a request may read a block, by counting along its addresses."""
    addresses = span(block, profile.even_blocks)
    if len(addresses) > profile.max_registers:
        return False
    listed = {a for r in profile.registers for a in range(r.address, r.address + r.count)}
    inner = range(block[0].address, block[-1].address + block[-1].count)
    runs = "".join("x" if address in listed else "." for address in inner).split("x")
    return profile.max_gap is None or max(map(len, runs)) <= profile.max_gap


@given(profiles(), st.sampled_from(LINES))
def test_no_other_cut_takes_less_bus_time(profile: MeterProfile, line: Line) -> None:
    """Held against every way to cut a small map."""
    fast = sorted((r for r in profile.registers if r.tier is Tier.FAST), key=lambda r: r.address)

    requests = plan(profile, 1, (Tier.FAST,), line)

    costs = [
        sum(line.wire_s(len(span(block, profile.even_blocks))) for block in way)
        for way in cuts(fast)
        if all(allowed(block, profile) for block in way)
    ]
    assert bus_s(requests, line) == pytest.approx(min(costs))


@given(profiles(), st.sampled_from(LINES), st.sets(st.sampled_from(list(Tier))))
def test_every_register_is_read_once_and_within_the_limits(profile: MeterProfile, line: Line, tiers: set[Tier]) -> None:
    """Nothing is left out, split or read twice."""
    requests = plan(profile, 7, tiers, line)

    read = sorted(r.name for request in requests for r in request.registers)
    assert read == sorted(r.name for r in profile.registers if r.tier in tiers)
    assert all(_whole(request) and allowed(request.registers, profile) for request in requests)
    assert {request.unit for request in requests} <= {7}


def _whole(request: ReadRequest) -> bool:
    covered = range(request.address, request.address + request.count)
    return all({r.address, r.address + r.count - 1} <= set(covered) for r in request.registers)


@pytest.mark.parametrize("name", profile_names())
def test_each_shipped_profile_can_be_planned(name: str) -> None:
    """Each request keeps to the limits of its meter."""
    profile = find_profile(name)

    requests = plan(profile, 1, tuple(Tier), Line.rtu(9600))

    assert sum(len(request.registers) for request in requests) == len(profile.registers)
    assert all(request.count <= profile.max_registers for request in requests)
    assert all(not profile.even_blocks or (request.address | request.count) % 2 == 0 for request in requests)


def test_a_single_name_is_read_alone() -> None:
    """The identification code of a Carlo Gavazzi meter is itself only when nothing is read with it."""
    requests = plan(find_profile("carlo_gavazzi_em340"), 1, tuple(Tier), Line.rtu(9600))

    (code,) = (request for request in requests if "model_code" in [r.name for r in request.registers])
    assert (code.address, code.count, len(code.registers)) == (0x000B, 1, 1)


def test_registers_of_two_functions_are_two_requests() -> None:
    """A Modbus request has one function code."""
    profile = profile_of([register("a", 0, 2, function=3), register("b", 2, 2, function=4)])

    assert [request.function for request in plan(profile, 1, tuple(Tier), Line.tcp())] == [3, 4]


def test_neighbouring_requests_differ_in_length_where_they_can() -> None:
    """A late reply is told from the next one by its length: 2, 2, 4 is asked as 2, 4, 2."""
    profile = profile_of([register("a", 0, 2), register("b", 10, 2), register("c", 20, 4)])

    assert [request.count for request in plan(profile, 1, tuple(Tier), Line.tcp())] == [2, 4, 2]


def test_a_slow_line_splits_where_a_fast_one_reads_on() -> None:
    """Thirty unwanted registers cost more than a second request at 1200 baud, and less at 115200."""
    profile = profile_of([register("a", 0, 2), register("b", 40, 4)], max_gap=60)

    assert len(plan(profile, 1, tuple(Tier), Line.rtu(1200))) == 2
    assert len(plan(profile, 1, tuple(Tier), Line.rtu(115200))) == 1
