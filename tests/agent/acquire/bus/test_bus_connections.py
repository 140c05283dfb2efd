"""Connections that end, vanish or are kept, and requests that are cancelled: the bus stays usable, nothing is left."""

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import pytest

from agent.acquire.bus import pymodbus_bus
from agent.acquire.bus.bus import open_bus
from agent.errors import BusDownError, BusError, BusReason
from tests.agent.acquire.bus.hostile import (
    GREETS_AFTER_S,
    Act,
    crc,
    hang_up,
    late,
    lying_byte_count,
    request,
    silent,
    tcp_meter,
)
from tests.agent.acquire.bus.real_line import LINES, TIMEOUT_S, line, reason_of
from tests.broker import free_port

pytestmark = pytest.mark.usefixtures("quiet", "no_greeting")


@pytest.mark.parametrize("kind", LINES)
async def test_peer_that_closes_is_noticed_at_once(kind: str) -> None:
    """Hazard 6: a connection that breaks during a request fails it long before the time-out."""
    async with line(kind, 30.0) as (meter, bus):
        meter.script.append(hang_up)
        started_s = time.monotonic()

        assert await reason_of(bus, request()) is BusReason.DISCONNECTED
        assert time.monotonic() - started_s < 2.0


@pytest.mark.parametrize("kind", ["tcp", "rtu+tcp"])
async def test_connection_comes_back_after_a_break(kind: str) -> None:
    """After a broken connection the next read connects again."""
    async with line(kind) as (meter, bus):
        meter.script.append(hang_up)

        assert await reason_of(bus, request()) is BusReason.DISCONNECTED
        assert await bus.read(request()) == (100, 101, 102, 103)
        assert meter.connections == 2


async def test_first_connect_that_fails_is_tried_again() -> None:
    """Hazard 7: a device that is switched on after the agent is read as soon as it is there."""
    port = free_port()
    bus = open_bus(f"tcp://127.0.0.1:{port}", TIMEOUT_S)

    with pytest.raises(BusDownError, match="Connection refused; check the port"):
        await bus.read(request())
    async with tcp_meter(port=port):
        assert await bus.read(request()) == (100, 101, 102, 103)
        await bus.close()


async def test_serial_port_that_is_missing() -> None:
    """A serial port that does not exist is named, with the next step."""
    bus = open_bus("rtu:///dev/there-is-no-such-port", TIMEOUT_S)

    with pytest.raises(BusDownError, match="No such file or directory; check the path; adapters are listed"):
        await bus.read(request())


async def test_host_name_that_is_unknown() -> None:
    """A host name that does not resolve is an error of the bus, not of the program."""
    bus = open_bus("tcp://no-such-host.invalid", 2.0)

    with pytest.raises(BusDownError, match="; check the address"):
        await bus.read(request())


async def test_peer_that_vanished_is_connected_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that lost the connection without a word is connected again, but not for one dead unit."""
    async with line("tcp", 0.02) as (meter, bus):
        meter.script.extend([silent, silent])
        await reason_of(bus, request())
        monkeypatch.setattr(pymodbus_bus, "_DEAF_S", 0.03)
        await reason_of(bus, request())

        await bus.read(request())

        assert meter.connections == 2


async def test_close_ends_a_request_under_way() -> None:
    """Closing the bus does not wait for a meter that is silent."""
    async with line("tcp", 30.0) as (meter, bus):
        meter.script.append(silent)
        reading = asyncio.create_task(bus.read(request()))
        await asyncio.sleep(0.05)

        await bus.close()

        with pytest.raises(BusError) as caught:
            await asyncio.wait_for(reading, 1.0)
        assert caught.value.reason is BusReason.DISCONNECTED
        assert len(meter.asked) == 1


async def test_bus_that_is_closed_stays_closed() -> None:
    """A read that waited for its turn, or for the connection, when the bus was closed does not open it again."""
    async with line("tcp", 30.0) as (meter, bus):
        meter.always = silent
        reading = [asyncio.create_task(bus.read(request())) for _ in range(2)]
        await asyncio.sleep(0.05)
        connecting = open_bus(meter.url, 30.0)
        reading.append(asyncio.create_task(connecting.read(request())))
        await asyncio.sleep(0)

        await asyncio.gather(bus.close(), connecting.close())
        errors = await asyncio.wait_for(asyncio.gather(*reading, return_exceptions=True), 1.0)

        assert [str(error) for error in errors] == ["the bus was closed"] * 3
        assert len(meter.asked) == 1


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not show open files")
@pytest.mark.parametrize("act", [hang_up, silent, lying_byte_count])
async def test_connections_leave_nothing_behind(act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a connection is given up, files and tasks are soon as many as before."""
    monkeypatch.setattr(pymodbus_bus, "_DEAF_S", 0.0)
    async with line("tcp", 0.02) as (meter, bus):
        meter.always = act
        files, tasks = _open_files(), len(asyncio.all_tasks())
        for _ in range(25):
            with pytest.raises(BusError):
                await bus.read(request())
            await asyncio.sleep(0.002)

        assert meter.connections > 15  # a busy machine may not connect in time
        deadline_s = time.monotonic() + 10  # and may need a while to close
        while (left := _open_files() - files) > 0 or len(asyncio.all_tasks()) > tasks:
            assert time.monotonic() < deadline_s, f"{left} files and {len(asyncio.all_tasks()) - tasks} tasks are left"
            await asyncio.sleep(0.01)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_gateway_that_kept_an_answer_for_the_next_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a gateway gives to whoever connects is not the answer to the first request."""
    monkeypatch.setattr(pymodbus_bus, "_GREETING_S", 0.1)
    async with line("rtu+tcp", 0.2) as (meter, bus):
        stale = bytes((7, 3, 8)) + bytes(8)
        meter.greeting = stale + crc(stale)
        meter.always = late(2 * GREETS_AFTER_S)

        assert await bus.read(request()) == (100, 101, 102, 103)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel does not show its timers")
async def test_kernel_looks_after_an_idle_connection() -> None:
    """Between polls the kernel asks whether a silent peer is still there."""
    async with line("tcp") as (meter, bus):
        await bus.read(request())
        port = f":{int(meter.url.rpartition(':')[2]):04X}"
        rows = [row.split() for row in _kernel_table().splitlines()[1:]]
        timers = [row[5] for row in rows if row[2].endswith(port) and row[3] == "01"]  # established, to the meter

        assert [timer[:2] for timer in timers] == ["02"]  # keepalive
        assert int(timers[0][3:], 16) <= 1000  # hundredths of a second until it asks


def _kernel_table() -> str:
    return Path("/proc/net/tcp").read_text()


@pytest.mark.parametrize("kind", LINES)
async def test_cancelled_read_leaves_the_bus_usable(kind: str) -> None:
    """Hazard 8: the answer to a read that was cancelled is not given to the next one."""
    async with line(kind) as (meter, bus):
        for _ in range(3):
            meter.script.append(late(0.02))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(bus.read(request(100)), 0.01)

            assert await bus.read(request(200)) == (200, 201, 202, 203)


@pytest.mark.parametrize("kind", LINES)
async def test_one_request_at_a_time(kind: str) -> None:
    """Reads that are asked for together go on the line one after the other, each with its own answer."""
    async with line(kind, 1.0) as (meter, bus):
        meter.always = late(0.005)

        got = await asyncio.gather(*(bus.read(request(10 * index)) for index in range(8)))

        assert got == [tuple(range(10 * index, 10 * index + 4)) for index in range(8)]
        assert all(later - earlier > 0.004 for earlier, later in pairwise(meter.times_s))
