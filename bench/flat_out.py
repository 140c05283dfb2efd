"""Reads as fast as they go, nothing else done with them: ours, pymodbus used plainly, libmodbus in C."""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient

from agent.acquire.bus.bus import open_bus
from agent.acquire.bus.line import line_of
from agent.acquire.plan.plan import plan
from agent.acquire.profiles.profile import load_profile
from agent.records import Tier
from bench.peers.facility import HERE, REGISTERS
from bench.polling import FIRST_PORT, meters


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Reads of 40 registers over some connections."""

    client: str
    connections: int
    reads_per_s: float
    processor_us: float  # of a core, for one read


Read = Callable[[], Awaitable[object]]


async def _ours(port: int) -> Read:
    url = f"tcp://127.0.0.1:{port}"
    (request,) = plan(load_profile(HERE / "meter_40.toml"), 1, (Tier.FAST,), line_of(url))
    bus = open_bus(url, 1.0)
    return lambda: bus.read(request)


async def _plainly(port: int) -> Read:
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    return lambda: client.read_holding_registers(0, count=REGISTERS, device_id=1)


async def _measure(client: str, make: Callable[[int], Awaitable[Read]], connections: int, seconds: float) -> Speed:
    """Let every connection read for ``seconds``, one read after the other."""
    reads = [await make(FIRST_PORT + number) for number in range(connections)]
    done = 0
    began_s, used_s = time.perf_counter(), time.process_time()

    async def again_and_again(read: Read) -> None:
        nonlocal done
        while time.perf_counter() - began_s < seconds:
            await read()
            done += 1

    await asyncio.gather(*map(again_and_again, reads))
    took_s = time.perf_counter() - began_s
    return Speed(
        client=client,
        connections=connections,
        reads_per_s=done / took_s,
        processor_us=1e6 * (time.process_time() - used_s) / done,
    )


def _in_c(installed: Path, seconds: float) -> Speed:
    words = [str(installed / "c_reads"), str(FIRST_PORT), str(REGISTERS), str(seconds)]
    reads, used_s = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    each_us = 1e6 * float(used_s) / int(reads)
    return Speed(client="libmodbus, C", connections=1, reads_per_s=int(reads) / seconds, processor_us=each_us)


def speeds(installed: Path, seconds: float) -> list[Speed]:
    """Measure all clients against the same meters."""
    found = []
    with meters(installed, 50):
        for connections in (1, 10, 50):
            for client, make in (("flatwatt's bus", _ours), ("pymodbus, plainly", _plainly)):
                found.append(asyncio.run(_measure(client, make, connections, seconds)))
        found.append(_in_c(installed, seconds))
    return found


def section(found: list[Speed]) -> str:
    """Give the speeds as a section of the page."""
    lines = [
        "## As fast as it goes",
        "",
        f"Reads of {REGISTERS} registers, one after the other on each connection, nothing done with the words "
        "(`bench/flat_out.py`). flatwatt's bus is pymodbus behind guards that look at every byte; libmodbus in C is "
        "the limit of this machine.",
        "",
        "| client | connections | reads/s | CPU a read |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| {speed.client} | {speed.connections} | {speed.reads_per_s:.0f} | {speed.processor_us:.0f} µs |"
        for speed in found
    ]
    return "\n".join([*lines, ""])
