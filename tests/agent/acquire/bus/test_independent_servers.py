"""Modbus servers that others have written are read right: libmodbus (C) on TCP and RTU, and pyModbusTCP."""

import asyncio
import contextlib
import os
import pty
import subprocess
import sys
import tty
from collections.abc import AsyncIterator, Iterator

import pytest
from pyModbusTCP.server import DataBank, ModbusServer

from agent.acquire.bus.bus import Bus, open_bus
from agent.errors import BusError, BusReason
from tests.agent.acquire.bus import libmodbus_server
from tests.agent.acquire.bus.hostile import request
from tests.broker import free_port

MOST = 125  # registers of one request
needs_libmodbus = pytest.mark.skipif(
    libmodbus_server.LIBRARY is None, reason="libmodbus is not installed (apt install libmodbus5)"
)


@contextlib.contextmanager
def libmodbus(kind: str, where: str) -> Iterator[None]:
    """Run the server until its peer has gone."""
    command = [sys.executable, libmodbus_server.__file__, kind, where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.kill()


@contextlib.asynccontextmanager
async def cable() -> AsyncIterator[tuple[str, str]]:
    """Two serial ports, each the other's far end."""
    (ours, left), (theirs, right) = pty.openpty(), pty.openpty()
    loop = asyncio.get_running_loop()
    for end in (left, right):
        tty.setraw(end)
    loop.add_reader(ours, lambda: os.write(theirs, os.read(ours, 4096)))
    loop.add_reader(theirs, lambda: os.write(ours, os.read(theirs, 4096)))
    try:
        yield os.ttyname(left), os.ttyname(right)
    finally:
        for end in (ours, theirs):
            loop.remove_reader(end)
        for end in (ours, theirs, left, right):
            os.close(end)


async def all_patterns(bus: Bus) -> list[int]:
    """Read holding registers 0 to 65535, each of which holds its address."""
    words: list[int] = []
    while len(words) < 65536:
        words += await bus.read(request(len(words), min(MOST, 65536 - len(words))))
    return words


async def refusal(bus: Bus, address: int) -> BusError:
    """The error of a read of one input register."""
    with pytest.raises(BusError) as caught:
        await bus.read(request(address, 1, function=4))
    return caught.value


@needs_libmodbus
async def test_libmodbus_over_tcp() -> None:
    """All 16-bit patterns, input registers, and a refusal, over Modbus TCP."""
    port = free_port()
    with libmodbus("tcp", str(port)):
        bus = open_bus(f"tcp://127.0.0.1:{port}", 5.0)

        assert await all_patterns(bus) == list(range(65536))
        assert await bus.read(request(10, 3, function=4)) == (65525, 65524, 65523)
        assert ((await refusal(bus, 100)).reason, (await refusal(bus, 100)).code) == (BusReason.EXCEPTION, 2)
        await bus.close()


@needs_libmodbus
async def test_libmodbus_over_rtu() -> None:
    """All 16-bit patterns, input registers, and a refusal, over RTU."""
    async with cable() as (near, far):
        with libmodbus("rtu", far):
            bus = open_bus(f"rtu://{near}?baud=115200", 5.0)

            assert await all_patterns(bus) == list(range(65536))
            assert await bus.read(request(10, 3, function=4)) == (65525, 65524, 65523)
            assert ((await refusal(bus, 100)).reason, (await refusal(bus, 100)).code) == (BusReason.EXCEPTION, 2)
            await bus.close()


@pytest.fixture
def py_modbus_tcp() -> Iterator[ModbusServer]:
    """A server of PyPI that shares no code with pymodbus."""
    bank = DataBank(h_regs_size=65536, i_regs_size=100)
    bank.set_holding_registers(0, list(range(65536)))
    bank.set_input_registers(0, [65535 - address for address in range(100)])
    server = ModbusServer(host="127.0.0.1", port=free_port(), no_block=True, data_bank=bank)
    server.start()
    yield server
    server.stop()


async def test_py_modbus_tcp(py_modbus_tcp: ModbusServer) -> None:
    """All 16-bit patterns, input registers, and a refusal, from pyModbusTCP."""
    bus = open_bus(f"tcp://127.0.0.1:{py_modbus_tcp.port}", 5.0)

    assert await all_patterns(bus) == list(range(65536))
    assert await bus.read(request(10, 3, function=4)) == (65525, 65524, 65523)
    assert ((await refusal(bus, 100)).reason, (await refusal(bus, 100)).code) == (BusReason.EXCEPTION, 2)
    await bus.close()
