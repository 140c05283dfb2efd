"""A bus without a line: meters made of dictionaries, for tests and for trying things out."""

import asyncio
from collections import deque
from collections.abc import Mapping

from agent.acquire.bus.times import BusTimes, LineTimes
from agent.errors import BusError, BusReason
from agent.records import ReadRequest


class FakeBus:
    """Implements ``Bus`` over ``words``: (unit, function, address) -> word.

    A unit without any word, or one in ``silent``, does not answer; an address that is not there is
    refused with exception 2. ``errors`` are raised first, one a request. Each request takes
    ``delay_s``, one without an answer ``timeout_s``. ``requests`` lists what was asked.
    """

    def __init__(self, words: Mapping[tuple[int, int, int], int], delay_s: float = 0.0, timeout_s: float = 0.0) -> None:
        self.words = dict(words)
        self.delay_s = delay_s
        self.timeout_s = timeout_s
        self.silent: set[int] = set()
        self.errors: deque[BusError] = deque()
        self.requests: list[ReadRequest] = []
        self.closed = False
        self._lock = asyncio.Lock()
        self._times = LineTimes()
        self._passed_s = 0.0

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """Give the words. Raises BusError."""
        async with self._lock:
            self.requests.append(request)
            self._times.asked(request.unit, self.timeout_s)
            await self._pass(self.delay_s)
            if self.errors:
                raise self.errors.popleft()
            if request.unit in self.silent or all(unit != request.unit for unit, _, _ in self.words):
                await self._pass(self.timeout_s)
                raise BusError(BusReason.TIMEOUT, f"no answer within {self.timeout_s:.2f} s")
            self._times.answered(request.unit, self.delay_s)
            addresses = range(request.address, request.address + request.count)
            try:
                return tuple(self.words[request.unit, request.function, address] for address in addresses)
            except KeyError:
                raise BusError(
                    BusReason.EXCEPTION, "the device refused: exception 2, illegal data address", 2
                ) from None

    def rest_s(self, unit: int) -> float:
        """Give 0: no answer of a fake meter comes late."""
        return 0.0

    def times(self) -> BusTimes:
        """Give the delays as response times, on a bus that does nothing but answer."""
        return self._times.summary(self._passed_s)

    async def close(self) -> None:
        """Note that the bus was closed."""
        self.closed = True

    async def _pass(self, seconds: float) -> None:
        self._times.used(self._passed_s, self._passed_s + seconds)
        self._passed_s += seconds
        await asyncio.sleep(seconds)
