"""Lessons of a meter over time: what ends them, and what must not teach anything."""

import math
from dataclasses import replace
from random import Random

import pytest

from agent.acquire.learn.learned import NOTHING, Learned
from agent.errors import BusError, BusReason
from agent.records import ReadRequest, Tier
from tests.agent.acquire.learn.picky import NAMES, WEEK, Picky, Words, lessons_of, plan_of, spread
from tests.agent.acquire.poll.metered import ENERGY, FREQUENCY, POWER, SERIAL, START_S, poller_of, register


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
