"""A meter that refuses what its script says, and what is learned of it."""

from agent.acquire.bus.fake import FakeBus
from agent.acquire.bus.line import Line
from agent.acquire.learn.learned import Learned
from agent.acquire.poll.polled_meter import MeterPlan
from agent.errors import BusError, BusReason
from agent.records import ReadRequest, Register
from tests.agent.acquire.poll.metered import FREQUENCY, POWER, START_S, poller_of, profile, register

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
