"""A bus to a hostile meter in virtual time, and what became of a read."""

import asyncio
from collections.abc import Awaitable, Callable

from agent.acquire.bus.bus import Bus, open_bus
from agent.errors import BusError, BusReason
from tests.agent.acquire.bus.hostile import (
    Act,
    Hostile,
    honest,
    read_request,
    request,
    words,
)
from tests.agent.acquire.bus.virtual_time import run_virtually

URLS = {"rtu": "rtu://line?baud=9600", "rtu+tcp": "rtu+tcp://gateway:4001", "tcp": "tcp://gateway"}
WIRE_S = 0.02  # of the requests here: what the plan says that they take on the line
CEILING_S = 1.0
_LONGEST_S = 3600.0  # of any scenario, in virtual time


def play(kind: str, meter: Hostile, scenario: Callable[[Bus], Awaitable[None]]) -> None:
    """Play a scenario on the bus to ``meter``."""

    async def with_bus() -> None:
        bus = open_bus(URLS[kind], CEILING_S)
        async with asyncio.timeout(_LONGEST_S):
            await scenario(bus)
        await bus.close()
        await meter.stop()

    run_virtually(with_bus(), lambda data, send, hang_up: meter.play(read_request(data, kind != "tcp", send, hang_up)))


def by_unit(**acts: Act) -> Act:
    """Several meters on one line: ``u1=silent`` is what unit 1 does; the others are honest."""
    return lambda asked: acts.get(f"u{asked.unit}", honest)(asked)


async def outcome(bus: Bus, unit: int = 7, address: int = 100) -> BusReason | str:
    """Read once: "right", "wrong" or the reason of the failure."""
    asked = request(address, unit=unit, wire_s=WIRE_S)
    try:
        return "right" if await bus.read(asked) == words(asked) else "wrong"
    except BusError as error:
        return error.reason


async def seconds_of(awaited: Awaitable[object]) -> float:
    """The seconds until it is done."""
    began_s = asyncio.get_running_loop().time()
    await awaited
    return asyncio.get_running_loop().time() - began_s
