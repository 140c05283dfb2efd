"""Plans that learn: what a meter refuses is found with few requests, and nothing is invented."""

import asyncio
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.learn.learned import NOTHING, Learned
from agent.acquire.learn.search import Search
from agent.acquire.poll.polled_meter import MeterPlan
from agent.records import Register, Tier
from tests.agent.acquire.learn.picky import LINE, NAMES, Picky, lessons_of, plan_of, spread
from tests.agent.acquire.poll.metered import FREQUENCY, POWER, SERIAL, START_S, poller_of, profile, register


@st.composite
def maps(draw: st.DrawFn) -> tuple[tuple[Register, ...], set[tuple[int, int]]]:
    """Registers of one or two words, of both functions and two tiers, with gaps; and what is refused of these."""
    names = draw(st.permutations(NAMES))[: draw(st.integers(2, len(NAMES)))]
    address = {3: draw(st.integers(0, 40)), 4: draw(st.integers(0, 40))}
    registers, holes = [], set()
    for name in dict.fromkeys((POWER, *names)):
        function = draw(st.sampled_from((3, 3, 4)))
        dtype, order = draw(st.sampled_from((("u16", "AB"), ("u32", "ABCD"))))
        tier = Tier.FAST if name == POWER else draw(st.sampled_from((Tier.FAST, Tier.FAST, Tier.SLOW)))
        at = address[function]
        entry = register(name, address=at, function=function, dtype=dtype, order=order, scale=0.01, tier=tier)
        gap = draw(st.sampled_from((0, 0, 0, 1, 2, 5)))
        if gap and draw(st.booleans()):
            holes |= {(function, at + entry.count + draw(st.integers(0, gap - 1)))}
        address[function] += entry.count + gap
        registers.append(entry)
    return tuple(registers), holes


@settings(max_examples=60, deadline=None)
@given(maps(), st.integers(2, 30), st.sampled_from(("2", "3", "silence")), st.integers(0, 2))
def test_meter_with_holes_and_a_limit_is_read_completely(
    drawn: tuple[tuple[Register, ...], set[tuple[int, int]]], limit: int, how: str, refused_count: int
) -> None:
    """After learning, all that the meter has is read and nothing else was ever reported.

    The searches cost no more than ``(k + 1) * (ceil(log2(n)) + 3)`` requests for each of at most ``k + 1``
    of them, with ``k`` faults (refused gaps and registers, and the limit) among ``n`` registers.
    """
    registers, holes = drawn
    refused = {entry.name for entry in registers if entry.name != POWER} & set(NAMES[2 : 2 + refused_count])
    holes = holes | {(entry.function, entry.address) for entry in registers if entry.name in refused}
    words = {
        (1, entry.function, entry.address + offset): 4000 + entry.address if offset == entry.count - 1 else 0
        for entry in registers
        for offset in range(entry.count)
    }
    truth = {e.name: 0.01 * (4000 + e.address) for e in registers if e.name not in refused}
    bus = Picky(words, holes, limit, how)
    plan = MeterPlan(id="m", unit=1, profile=profile(registers), line=LINE)
    poller = poller_of((bus, [plan]))

    async def poll() -> list[tuple[dict[str, float], int]]:
        seen = []
        for tick in range(400):
            before = len(bus.requests)
            (sample,) = await poller.poll(START_S + tick, None)
            known = {name: value for name, value in sample.values.items() if not math.isnan(value)}
            seen.append((known, len(bus.requests) - before))
        return seen

    seen = asyncio.run(poll())
    in_the_end = {name: value for values, _ in seen[-60:] for name, value in values.items()}
    most = max(count for _, count in seen[-60:])
    faults = len(holes) + 1
    bound = (faults + 1) ** 2 * (math.ceil(math.log2(len(registers))) + 3)

    assert in_the_end == pytest.approx(truth)
    assert [v for values, _ in seen for name, v in values.items() if v != pytest.approx(truth.get(name))] == []
    assert sum(max(0, count - most) for _, count in seen) <= bound


async def test_refused_hole_is_found_by_halves_and_forbidden_once() -> None:
    """Of three gaps one is refused: it alone is avoided, and no tick has more than one request beside the plan."""
    registers = spread(0, 2, 4, 6)
    bus = Picky({(1, 3, address): 1 for address in (0, 2, 4, 6)}, holes={(3, 3)})

    lessons, counts = await lessons_of(bus, plan_of(registers), 20)

    assert [lesson.forbidden for lesson in lessons] == [((3, 3),)]
    assert lessons[0].sentence() == "refuses 0x0003"
    assert max(counts) <= 2 + 1
    assert counts[-1] == 2


async def test_what_was_refused_is_read_as_soon_as_the_plan_knows_better() -> None:
    """Of two blocks that are refused at first one is searched after the other, not at the next full hour."""
    registers = (
        register(POWER),
        register(FREQUENCY, address=4, scale=0.01),
        register("model_code", address=18, tier=Tier.IDENTITY),
        register(SERIAL, address=22),
    )
    bus = Picky({(1, 3, address): 5000 for address in (0, 4, 18, 22)}, holes={(3, 2), (3, 20)})
    poller = poller_of((bus, [plan_of(registers)]))

    samples = [(await poller.poll(START_S + tick, None))[0] for tick in range(20)]

    assert [sample.values[SERIAL] for sample in samples if sample.values.get(SERIAL, math.nan) == 5000.0] != []


async def test_register_that_a_unit_refuses_is_dropped_alone() -> None:
    """The variant without a frequency is read on, and its frequency is unknown, not zero."""
    registers = spread(0, 1, 2)
    bus = Picky({(1, 3, address): 500 for address in range(3)}, holes={(3, 1)})
    lessons: list[Learned] = []
    poller = poller_of((bus, [plan_of(registers)]), on_lesson=lambda _, learned: lessons.append(learned))

    samples = [(await poller.poll(START_S + tick, None))[0] for tick in range(12)]

    assert [lesson.sentence() for lesson in lessons] == ["refuses frequency_hz"]
    assert samples[-1].status == "ok"
    assert samples[-1].values[POWER] == samples[-1].values["voltage_l1_v"] == 5.0
    assert math.isnan(samples[-1].values[FREQUENCY])


@pytest.mark.parametrize("how", ["2", "3", "silence"])
async def test_shorter_limit_is_found_where_a_shorter_read_is_answered(how: str) -> None:
    """A meter that answers 5 registers at most says so in one way or another."""
    bus = Picky({(1, 3, address): 1 for address in range(14)}, holes=set(), limit=5, how=how)

    lessons, counts = await lessons_of(bus, plan_of(spread(*range(14))), 60)

    assert [lesson.max_registers for lesson in lessons] == [5]
    assert counts[-1] == 3


async def test_meter_that_is_deaf_to_every_block_is_read_within_minutes() -> None:
    """Each block is longer than what it answers: only a short read tells that it is there, and that is found."""
    addresses = (*range(6), *range(200, 206))
    bus = Picky({(1, 3, address): 1 for address in addresses}, holes=set(), limit=4, how="silence")

    lessons, counts = await lessons_of(bus, plan_of(spread(*addresses)), 120)

    assert [lesson.max_registers for lesson in lessons] == [4]
    assert counts[-1] == 4


@given(st.integers(1, 40), st.data())
def test_search_asks_few_pieces(count: int, data: st.DataObject) -> None:
    """However faults lie, a search of n registers with k of them asks at most (k + 1) * (ceil(log2(n)) + 3) pieces."""
    row = [register(f"r{index}", address=2 * index) for index in range(count)]
    bad = data.draw(st.sets(st.integers(0, 2 * count - 2), min_size=1, max_size=4))
    search, asked = Search(row, whole_refused=True), 0
    while search.piece is not None:
        first, length = search.span(search.piece)
        search.answer(not bad & set(range(first, first + length)))
        asked += 1

    assert asked <= (len(bad) + 1) * (math.ceil(math.log2(count)) + 3)
    assert {f"r{address // 2}" for address in bad if address % 2 == 0} == set(search.refused)
    assert all(first in bad for first, _ in search.holes)
    assert search.limit is None


def test_nothing_learned_changes_nothing() -> None:
    """A profile without lessons is planned as it is."""
    given_profile = profile()

    assert NOTHING.applied(given_profile) == given_profile
