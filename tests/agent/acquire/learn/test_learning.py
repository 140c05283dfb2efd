"""Plans that learn: what a meter refuses is found with few requests, and nothing is invented."""

import asyncio
import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.bus.fake import FakeBus
from agent.acquire.bus.line import Line
from agent.acquire.learn.learned import NOTHING, Learned
from agent.acquire.learn.search import Search
from agent.acquire.poll.polled_meter import MeterPlan
from agent.errors import BusError, BusReason
from agent.records import ReadRequest, Register, Tier
from tests.agent.acquire.poll.metered import ENERGY, FREQUENCY, POWER, SERIAL, START_S, poller_of, profile, register

NAMES = (
    POWER,
    FREQUENCY,
    *(f"voltage_l{phase}_v" for phase in (1, 2, 3)),
    *(f"current_l{phase}_a" for phase in (1, 2, 3)),
    *(f"active_power_l{phase}_w" for phase in (1, 2, 3)),
    *(f"reactive_power_l{phase}_var" for phase in (1, 2, 3)),
)
Words = dict[tuple[int, int, int], int]  # by unit, function and address
LINE = Line.rtu(9600)
WEEK = 7 * 86_400


class Picky(FakeBus):
    """A meter that refuses ``holes`` and reads of more than ``limit`` registers, in its own way (``how``)."""

    def __init__(self, words: Words, holes: set[tuple[int, int]], limit: int = 125, how: str = "3") -> None:
        super().__init__(words)
        self.holes, self.limit, self.how = holes, limit, how

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """Give the words, 0 where nothing is listed. Raises BusError."""
        span = {(request.function, request.address + offset) for offset in range(request.count)}
        if request.unit in self.silent:
            return await super().read(request)
        if request.count > self.limit and self.how == "silence":
            self.requests.append(request)
            raise BusError(BusReason.TIMEOUT, "no answer within 0.00 s")
        if request.count > self.limit or self.holes & span:
            self.requests.append(request)
            code = 3 if request.count > self.limit and self.how == "3" else 2
            raise BusError(BusReason.EXCEPTION, f"the device refused: exception {code}", code)
        for function, address in span:
            self.words.setdefault((request.unit, function, address), 0)
        return await super().read(request)


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


def spread(*addresses: int) -> tuple[Register, ...]:
    """The first names of the list at these addresses."""
    return tuple(register(name, address=address, scale=0.01) for name, address in zip(NAMES, addresses, strict=False))


async def lessons_of(bus: FakeBus, plan: MeterPlan, ticks: int) -> tuple[list[Learned], list[int]]:
    """What is learned over some ticks, and how many requests each of them took."""
    lessons: list[Learned] = []
    poller = poller_of((bus, [plan]), on_lesson=lambda _, learned: lessons.append(learned))
    counts = []
    for tick in range(ticks):
        before = len(bus.requests)
        await poller.poll(START_S + tick, None)
        counts.append(len(bus.requests) - before)
    return lessons, counts


def plan_of(registers: tuple[Register, ...], **changes: object) -> MeterPlan:
    """The plan of unit 1 on a slow line."""
    return MeterPlan(id="m", unit=1, profile=profile(registers, **changes), line=LINE)


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


async def test_meter_that_dies_in_a_search_teaches_nothing() -> None:
    """A silence of the whole meter says nothing about a block."""
    bus = Picky({(1, 3, address): 1 for address in (0, 2, 4, 6)}, holes={(3, 3)})
    lessons: list[Learned] = []
    poller = poller_of((bus, [plan_of(spread(0, 2, 4, 6))]), on_lesson=lambda _, learned: lessons.append(learned))
    for tick in range(300):
        bus.silent = {1} if 2 <= tick < 200 else set()
        await poller.poll(START_S + tick, None)

    assert [lesson.sentence() for lesson in lessons] == ["refuses 0x0003"]


async def test_noise_teaches_nothing_about_a_block_that_was_answered() -> None:
    """Once a block was answered, silence and a refusal or two are not its shape's fault."""
    bus = Picky({(1, 3, address): 1 for address in (0, 2, 40)}, holes=set())
    registers = (*spread(0, 2), register(ENERGY, address=40))
    lessons: list[Learned] = []
    poller = poller_of((bus, [plan_of(registers)]), on_lesson=lambda _, learned: lessons.append(learned))
    for tick in range(60):
        if tick in (10, 11, 30, 31):
            bus.errors.append(BusError(BusReason.EXCEPTION, "busy, but says 2", 2))
        if tick % 7 == 5:
            bus.errors.append(BusError(BusReason.TIMEOUT, "no answer"))
        await poller.poll(START_S + tick, None)

    assert lessons == []


async def test_lesson_of_one_tier_serves_the_others() -> None:
    """A gap that the fast tier must not cross is not tried by the slow one."""
    slow = (register(ENERGY, address=1), register("active_energy_export_wh", address=5, tier=Tier.SLOW))
    fast = (register(POWER, address=0), register(FREQUENCY, address=6, scale=0.01))
    bus = Picky({(1, 3, address): 5000 for address in (0, 1, 5, 6)}, holes={(3, 3)})
    lessons, _ = await lessons_of(bus, plan_of((*fast, *slow)), 130)
    crossing = [asked for asked in bus.requests if (asked.address, asked.count) == (1, 5)]

    assert [lesson.forbidden for lesson in lessons] == [((2, 4),)]
    assert len(crossing) == 2  # the slow tier on the first tick, and the search


async def test_lessons_end_after_a_week_and_with_another_meter() -> None:
    """What is known from before the start holds until its week is over, or until another serial number is read."""
    known = Learned(since_s=START_S - WEEK + 4000, refused=(FREQUENCY,), identity={SERIAL: 42.0})
    registers = (*spread(0, 1), register(SERIAL, address=9))
    words = {(1, 3, address): 42 for address in (0, 1, 9)}
    old = replace(plan_of(registers), learned=known)

    same, _ = await lessons_of(Picky(words, {(3, 1)}), old, 60)
    expired, _ = await lessons_of(Picky(words, {(3, 1)}), old, 5000)
    other, _ = await lessons_of(Picky(words | {(1, 3, 9): 43}, {(3, 1)}), old, 60)

    assert same == []
    assert [lesson.refused for lesson in expired] == [(), (FREQUENCY,)]
    assert [lesson.refused for lesson in other] == [(), (FREQUENCY,)]


class Starting(Picky):
    """A meter that for ``starting_s`` seconds refuses the registers ``late``, or all."""

    def __init__(self, words: Words, starting_s: float, late: set[int] | None = None) -> None:
        super().__init__(words, holes=set())
        self.starting_s, self.late = starting_s, late
        self.now_s = 0.0

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """Give the words once it has started. Raises BusError."""
        span = set(range(request.address, request.address + request.count))
        if self.now_s < self.starting_s and (self.late is None or self.late & span):
            self.requests.append(request)
            raise BusError(BusReason.EXCEPTION, "the device refused: exception 2", 2)
        return await super().read(request)


@pytest.mark.parametrize("starting_s", [1, 3, 5, 30, 300])
async def test_meter_that_refuses_everything_while_it_starts_is_read_in_full_at_once_afterwards(
    starting_s: int,
) -> None:
    """What it refused teaches nothing that lasts: within seconds after the first power everything is there."""
    registers = (*spread(0, 1, 2, 3), register(ENERGY, address=40), register(SERIAL, address=60))
    bus = Starting({(1, 3, address): 5000 for address in (0, 1, 2, 3, 40, 60)}, starting_s)
    lessons: list[Learned] = [NOTHING]
    poller = poller_of((bus, [plan_of(registers)]), on_lesson=lambda _, learned: lessons.append(learned))
    values: dict[str, float] = {}
    for bus.now_s in range(starting_s + 15):
        (sample,) = await poller.poll(START_S + bus.now_s, None)
        values |= sample.values if bus.now_s >= starting_s else {}

    assert set(sample.values) == set(NAMES[:4])
    assert not any(map(math.isnan, (*values.values(), *sample.values.values())))
    assert set(values) == {*NAMES[:4], ENERGY, SERIAL}
    assert lessons[-1] == NOTHING


async def test_meter_that_refuses_by_chance_teaches_less_and_less() -> None:
    """Each lesson that turns out to be wrong doubles the patience: there is no end of writing and telling else."""
    random = Random(1)

    class Moody(Picky):
        async def read(self, request: ReadRequest) -> tuple[int, ...]:
            if random.random() < 0.5:
                raise BusError(BusReason.EXCEPTION, "the device refused: exception 2", 2)
            return await super().read(request)

    registers = (*spread(0, 1, 2, 3), register(ENERGY, address=40))
    bus = Moody({(1, 3, address): 5000 for address in (0, 1, 2, 3, 40)}, holes=set())

    lessons, _ = await lessons_of(bus, plan_of(registers), 2000)

    assert 2 <= len(lessons) <= 16
    assert lessons[-1] == NOTHING


async def test_power_that_is_refused_is_asked_for_on_every_tick_beside_the_others() -> None:
    """A unit without it is said to be one, and keeps what else it has."""
    bus = Picky({(1, 3, address): 5000 for address in range(3)}, holes={(3, 0)})
    poller = poller_of((bus, [plan_of(spread(0, 1, 2))]))

    samples = [(await poller.poll(START_S + tick, None))[0] for tick in range(20)]

    assert samples[-1].status == "exception"
    assert samples[-1].values[FREQUENCY] == 50.0
    assert [request.address for request in bus.requests][-2:] == [0, 1]


async def test_register_that_was_refused_for_a_while_is_back_within_the_hour() -> None:
    """One register that was refused is asked again with each identity; its answer ends all lessons."""
    registers = (*spread(0, 1, 2, 3), register(SERIAL, address=60))
    bus = Starting({(1, 3, address): 5000 for address in (0, 1, 2, 3, 60)}, 100, late={1, 2})
    lessons: list[Learned] = []
    poller = poller_of((bus, [plan_of(registers)]), on_lesson=lambda _, learned: lessons.append(learned))
    for bus.now_s in range(3700):
        (sample,) = await poller.poll(START_S + bus.now_s, None)

    assert [lesson.refused for lesson in lessons] == [(FREQUENCY, "voltage_l1_v"), ()]
    assert sample.values[FREQUENCY] == 50.0


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
