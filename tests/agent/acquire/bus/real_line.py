"""A hostile meter on a real line, and the bus to it."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from agent.acquire.bus.bus import Bus, open_bus
from agent.errors import BusError, BusReason
from agent.records import ReadRequest
from tests.agent.acquire.bus.hostile import (
    Hostile,
    pty_meter,
    tcp_meter,
)

LINES = ("tcp", "rtu+tcp", "rtu")
RTU_LINES = ("rtu+tcp", "rtu")
TIMEOUT_S = 0.05


@contextlib.asynccontextmanager
async def line(kind: str, timeout_s: float = TIMEOUT_S) -> AsyncIterator[tuple[Hostile, Bus]]:
    """A meter and the bus to it."""
    async with pty_meter() if kind == "rtu" else tcp_meter(rtu=kind == "rtu+tcp") as meter:
        bus = open_bus(meter.url, timeout_s)
        try:
            yield meter, bus
        finally:
            await bus.close()


async def reason_of(bus: Bus, asked: ReadRequest) -> BusReason:
    """The reason for which a read fails."""
    with pytest.raises(BusError) as caught:
        await bus.read(asked)
    return caught.value.reason
