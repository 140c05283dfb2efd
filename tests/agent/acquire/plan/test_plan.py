"""The poll plan: every register once, within the meter's limits, in the least bus time."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.bus.line import Line
from agent.acquire.plan.heuristics import max_gap, one_a_value
from agent.acquire.plan.plan import bus_s, plan
from agent.acquire.profiles.profile import find_profile, profile_names
from agent.records import MeterProfile, Register, Tier
from tests import oracles

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
    """Give a small random map with every limit there is: lengths, gaps, functions, tiers, forbidden, alone."""
    even = draw(st.booleans())
    registers, address = [], 2 * draw(st.integers(0, 3))
    for index in range(draw(st.integers(1, 6))):
        count = draw(st.sampled_from([1, 2, 4]))
        address += draw(st.integers(0, 9))
        address += address % 2 if even and count > 1 else 0
        tier, function = draw(st.sampled_from([Tier.FAST, Tier.FAST, Tier.SLOW])), draw(st.sampled_from([3, 3, 4]))
        registers.append(register(f"r{index}", address, count, tier, function))
        if draw(st.integers(0, 4)) == 0:  # a sum stands on the register of its first part
            registers.append(register(f"s{index}", address, count, tier, function))
        address += count
    starts = draw(st.lists(st.integers(0, 60), max_size=2))
    profile = profile_of(
        registers,
        max_registers=draw(st.sampled_from([4, 6, 8, 12, 30])),
        max_gap=draw(st.none() | st.integers(0, 8)),
        forbidden=[(first, first + draw(st.integers(0, 3))) for first in starts],
        even=even,
        single=draw(st.lists(st.sampled_from([r.name for r in registers]), max_size=1)),
    )
    return replace(profile, min_gap_ms=draw(st.sampled_from([0.0, 60.0])))


TIERS = st.sets(st.sampled_from(list(Tier)))


@settings(deadline=None)  # the search for something better is slow, and that is no fault of the plan
@given(profiles(), st.sampled_from(LINES), TIERS)
def test_no_other_set_of_requests_takes_less_bus_time(profile: MeterProfile, line: Line, tiers: set[Tier]) -> None:
    """Held against every way to put the values of a small map into requests."""
    wanted = [r for r in profile.registers if r.tier in tiers]
    wait_s = max(0.0, profile.min_gap_ms / 1000 - line.silence_s)

    requests = plan(profile, 1, tiers, line)

    least_s = oracles.least_read_s(profile, wanted, lambda count: line.wire_s(count) + wait_s)
    assert bus_s(requests, line) == pytest.approx(least_s)


@given(profiles(), st.sampled_from(LINES), TIERS, st.integers(0, 3))
def test_every_register_is_read_once_and_within_the_limits(
    profile: MeterProfile, line: Line, tiers: set[Tier], gap: int
) -> None:
    """Nothing is left out, split or read twice: by the plan and by what it is compared with."""
    wanted = [r for r in profile.registers if r.tier in tiers and oracles.may_be_read_together([r], profile)]

    plans = plan(profile, 7, tiers, line), one_a_value(profile, 7, tiers, line), max_gap(profile, 7, tiers, line, gap)

    for requests in plans:
        assert sorted(r.name for q in requests for r in q.registers) == sorted(r.name for r in wanted)
        assert all(oracles.may_be_read_together(q.registers, profile) for q in requests)
        assert all(
            range(q.address, q.address + q.count) == oracles.addresses_read(q.registers, profile.even_blocks)
            for q in requests
        )
        assert {(q.unit, q.function) for q in requests} == {(7, r.function) for r in wanted}


@given(profiles(), st.sampled_from(LINES), st.integers(0, 12))
def test_the_usual_ways_are_never_faster(profile: MeterProfile, line: Line, gap: int) -> None:
    """Neither a request a value, nor any fixed length of a hole."""
    ours_s = bus_s(plan(profile, 1, tuple(Tier), line), line)

    assert bus_s(one_a_value(profile, 1, tuple(Tier), line), line) >= ours_s - 1e-12
    assert bus_s(max_gap(profile, 1, tuple(Tier), line, gap), line) >= ours_s - 1e-12


@given(st.lists(st.sampled_from([1, 2, 4]), min_size=1, max_size=9))
def test_neighbouring_requests_differ_as_far_as_any_order_can_do_it(counts: list[int]) -> None:
    """A late reply is told from the next one by its length; only what is more than half must stand together."""
    profile = profile_of([register(f"r{i}", 10 * i, count) for i, count in enumerate(counts)])
    most = max(map(counts.count, counts))

    asked = [request.count for request in plan(profile, 1, tuple(Tier), Line.tcp())]

    assert sorted(asked) == sorted(counts)
    assert sum(a == b for a, b in pairwise(asked)) == max(0, 2 * most - len(counts) - 1)


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


def test_a_slow_line_splits_where_a_fast_one_reads_on() -> None:
    """Thirty unwanted registers cost more than a second request at 1200 baud, and less at 115200."""
    profile = profile_of([register("a", 0, 2), register("b", 40, 4)], max_gap=60)

    assert len(plan(profile, 1, tuple(Tier), Line.rtu(1200))) == 2
    assert len(plan(profile, 1, tuple(Tier), Line.rtu(115200))) == 1


def test_a_gap_of_which_no_source_speaks_is_read_across_where_that_is_faster() -> None:
    """And one that a source rules out is not."""
    registers = [register("a", 0, 2), register("b", 10, 2)]

    assert len(plan(profile_of(registers, max_gap=None), 1, tuple(Tier), Line.rtu(9600))) == 1
    assert len(plan(profile_of(registers, max_gap=7), 1, tuple(Tier), Line.rtu(9600))) == 2


def test_a_register_that_turned_out_to_be_forbidden_is_asked_for_no_more() -> None:
    """What a meter refuses is added to its profile; the rest is still read."""
    profile = profile_of([register("a", 0, 2), register("b", 2, 2), register("c", 4, 2)], forbidden=[(2, 3)])

    requests = plan(profile, 1, tuple(Tier), Line.rtu(9600))

    assert [(request.address, request.count) for request in requests] == [(0, 2), (4, 2)]


def test_a_sunspec_model_is_read_where_it_begins() -> None:
    """Its entries and what is forbidden in it count from there; what would lie past the last address is not there."""
    profile = profile_of([register("a", 2, 2), register("b", 6, 2), register("c", 65_000, 1)], forbidden=[(5, 5)])
    profile = replace(profile, max_gap=None)

    requests = plan(profile, 1, tuple(Tier), Line.rtu(9600), base=40_069)

    assert [(q.address, [(r.name, r.address) for r in q.registers]) for q in requests] == [
        (40_071, [("a", 40_071)]),
        (40_075, [("b", 40_075)]),
    ]
