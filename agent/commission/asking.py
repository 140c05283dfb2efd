"""Questions to one unit, each asked once: what scan and doctor try is full of repetitions."""

from dataclasses import dataclass, field, replace

from agent.acquire.bus.bus import Bus
from agent.acquire.bus.line import Line
from agent.acquire.bus.url import TcpAddress, parse_url
from agent.acquire.codec import decode_poll
from agent.acquire.plan.plan import plan
from agent.errors import BusDownError, BusError, BusReason
from agent.records import MeterProfile, ReadRequest

_MOST_DAMAGED = 3  # questions, each asked twice: two meters at one unit id, and asking on takes a minute
GENTLE_S = 0.1  # silence on a line before each question: the longest that any profile asks for

Answer = tuple[int, ...] | BusError


def gentle_gap_s(url: str) -> float:
    """Give the silence before each question on a bus: none on a network."""
    address = parse_url(url)
    return 0.0 if isinstance(address, TcpAddress) and not address.rtu else GENTLE_S


@dataclass(slots=True)
class Asker:
    """Asks one unit of a bus. The answers to all questions asked are in ``known``, by what went on the wire."""

    bus: Bus
    unit: int
    line: Line
    gap_s: float
    known: dict[tuple[int, int, int], Answer] = field(default_factory=dict)
    damaged: int = 0  # questions to which nothing else came

    async def answer(self, request: ReadRequest) -> Answer:
        """Give words or the reason why there are none. Raises BusDownError."""
        wire = wire_of(request)
        if wire not in self.known:
            self.known[wire] = await self._ask(replace(request, min_gap_s=max(request.min_gap_s, self.gap_s)))
        return self.known[wire]

    async def _ask(self, request: ReadRequest) -> Answer:
        """Ask, and once more where noise may have spoilt the answer; not at all where it mostly does."""
        if self.damaged >= _MOST_DAMAGED:
            return BusError(BusReason.GARBAGE, "not asked: answers of this unit are damaged")
        try:
            return await self.bus.read(request)
        except BusDownError:
            raise
        except BusError as error:
            if error.reason not in (BusReason.GARBAGE, BusReason.DISCONNECTED):
                return error
        try:
            return await self.bus.read(request)
        except BusDownError:
            raise
        except BusError as error:
            self.damaged += error.reason is BusReason.GARBAGE
            return error

    async def values(self, profile: MeterProfile, base: int = 0) -> tuple[dict[str, float], frozenset[str]]:
        """Read every register of ``profile`` by itself; give what was answered, and which values are impossible."""
        replies: list[tuple[ReadRequest, tuple[int, ...]]] = []
        for request in self.requests(profile, base):
            answer = await self.answer(request)
            if not isinstance(answer, BusError):
                replies.append((request, answer))
        decoded = decode_poll(tuple(request for request, _ in replies), [words for _, words in replies], {})
        return decoded.values, frozenset(decoded.out_of_range)

    def requests(self, profile: MeterProfile, base: int = 0) -> list[ReadRequest]:
        """Give a request for each register of ``profile``."""
        alone = (replace(profile, registers=(register,)) for register in profile.registers)
        plans = (plan(part, self.unit, (part.registers[0].tier,), self.line, base) for part in alone)
        return [request for requests in plans for request in requests]


def wire_of(request: ReadRequest) -> tuple[int, int, int]:
    """Give what tells requests to one unit apart on the wire."""
    return request.function, request.address, request.count
