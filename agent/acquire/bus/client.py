"""The pymodbus client of one connection: made, opened, and told what is wrong with the line in a sentence."""

import asyncio
import errno
import os
import socket
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.framer import FramerType
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse

from agent.acquire.bus.url import SerialAddress, TcpAddress
from agent.errors import BusDownError

Client = AsyncModbusTcpClient | AsyncModbusSerialClient

_MOST_BYTES = 1 << 20  # pymodbus throws away what arrives at once beyond this; asyncio hands on a quarter of it
_KEEPALIVE_IDLE_S = 10  # without a byte, before the kernel asks whether the peer is still there
_KEEPALIVE_EVERY_S = 5  # and thrice, so that a peer which is gone is known within half a minute
_UNACKNOWLEDGED_MS = 10_000  # what the peer's kernel has not taken by then has no peer

_GONE = "the adapter is not there any more; plug it in again"
_FULL = "does it serve as many clients as it can? Disconnect another one"
_NEXT_STEPS = {
    errno.ENOENT: "check the path; adapters are listed under /dev/serial/by-id",
    errno.EIO: _GONE,
    errno.ENODEV: _GONE,
    errno.ENXIO: _GONE,
    errno.EACCES: "add the user to the group 'dialout'",
    errno.EAGAIN: "another program holds the port; stop it",
    errno.ECONNREFUSED: "check the port, and that Modbus TCP is enabled in the device",
}


@dataclass(frozen=True, slots=True)
class Watch:
    """What looks on: every packet (sending or not), and every coming and going of the connection."""

    packet: Callable[[bool, bytes], bytes]
    connection: Callable[[bool], None]


class _HoldingRegisters(ReadHoldingRegistersResponse):
    """An answer whose registers are read in one go; pymodbus takes them one by one, and prints each for its log."""

    def decode(self, data: bytes) -> None:
        self.registers = struct.unpack(f">{len(data) // 2}H", data[1:])

    def __str__(self) -> str:
        return ""


class _InputRegisters(_HoldingRegisters):
    function_code = 4


async def open_client(address: TcpAddress | SerialAddress, rtu: bool, timeout_s: float, watch: Watch) -> Client:
    """Open the line with a new client, so that nothing of the last connection is left. Raises BusDownError."""
    client = _new_client(address, rtu, watch)
    try:
        async with asyncio.timeout(timeout_s):
            client.ctx.transport, _ = await client.ctx.call_create()  # connect() would hide the reason
    except TimeoutError:
        text = f"no connection within {timeout_s:g} s; check that it is switched on and can be reached"
        raise BusDownError(text) from None
    except (OSError, ValueError) as error:  # pyserial: SerialException is an OSError
        raise BusDownError(_why(error)) from None
    except termios.error as error:  # no OSError
        raise BusDownError(f"{error.args[1]}; the port cannot be set to {address}") from None
    if client.ctx.transport.is_closing():
        raise BusDownError(f"connected and at once closed again; {_FULL}")
    if isinstance(address, TcpAddress):
        _keep_alive(client.ctx.transport.get_extra_info("socket"))
    client.ctx.max_buffer_size = _MOST_BYTES
    client.ctx.comm_params.timeout_connect = None  # type: ignore[assignment]  # the bus keeps the time
    client.register(_HoldingRegisters)
    client.register(_InputRegisters)
    return client


def _new_client(address: TcpAddress | SerialAddress, rtu: bool, watch: Watch) -> Client:
    """Make a client that neither retries nor reconnects by itself."""
    if isinstance(address, TcpAddress):
        return AsyncModbusTcpClient(
            address.host,
            port=address.port,
            framer=FramerType.RTU if rtu else FramerType.SOCKET,
            retries=0,
            reconnect_delay=0,
            trace_packet=watch.packet,
            trace_connect=watch.connection,
        )
    return AsyncModbusSerialClient(
        address.path,
        baudrate=address.baud,
        parity=address.parity,
        stopbits=address.stopbits,
        timeout=0,
        retries=0,
        reconnect_delay=0,
        trace_packet=watch.packet,
        trace_connect=watch.connection,
    )


def _keep_alive(connection: socket.socket) -> None:
    """Let the kernel find a peer that went without a word: while nothing is asked, and while something is."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", _KEEPALIVE_EVERY_S),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MS),
    ):
        if hasattr(socket, name):  # Linux has them all
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _why(error: OSError | ValueError) -> str:
    """Give the reason and the next step of a line that cannot be opened."""
    code = error.errno if isinstance(error, OSError) else None
    if code is None or code < 0:  # the resolver's errors are negative
        return f"{getattr(error, 'strerror', None) or error}; check the address"
    return f"{os.strerror(code)}; {_NEXT_STEPS.get(code, 'check the address')}"
