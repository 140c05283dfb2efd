"""A bus moves 16-bit words: a read request in, a tuple of words out, or a ``BusError`` with a reason.

It knows no meter, no quantity and no schedule. Retries and back-off are the poller's. What a bus
promises: one request at a time, and never the answer to one request as the answer to another.
``bus_url`` describes how a bus is named.
"""

from typing import Protocol

from agent.acquire.bus.times import BusTimes
from agent.acquire.bus.url import parse_url
from agent.records import ReadRequest


class Bus(Protocol):
    """One physical bus."""

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """Give the ``request.count`` words, each 0 to 65535. Raises BusError."""

    def rest_s(self, unit: int) -> float:
        """Give how long the unit is still left alone because an answer of it may yet come; 0 is the rule.

        A read that is asked for earlier waits, and other units may be read meanwhile.
        """

    def times(self) -> BusTimes:
        """Give how fast the units answer and how full the bus is."""

    async def close(self) -> None:
        """Let go of the line; a request under way ends as disconnected."""


def open_bus(url: str, timeout_s: float) -> Bus:
    """Make the bus that ``url`` names; it connects at the first request. Raises InputError.

    ``timeout_s`` is how long a reply may take to begin.
    """
    address = parse_url(url)
    from agent.acquire.bus.pymodbus_bus import PymodbusBus  # 60 ms of import that `flatwatt check` does without

    return PymodbusBus(address, timeout_s)
