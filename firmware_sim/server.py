"""Modbus TCP, RTU over TCP and RTU over a pseudo-terminal, for many meters in one process.

Written from the Modbus specifications and without a library: that costs a third of the time of
pymodbus's server, and the agent's client has somebody else to talk to than its own kin.
"""

import asyncio
import contextlib
import errno
import os
import struct
import tty
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from firmware_sim.errors import SimError, TakenError

_MBAP = struct.Struct(">HHHB")
_NO_GATEWAY_TARGET = 0x0B
_MAX_FRAME = 260  # bytes, by the specification of Modbus TCP
_READ_FRAME = 8  # unit, function, address, count, checksum
_SILENCE_S = 0.005  # ends a frame: above 3.5 characters at 9600 baud


class Answering(Protocol):
    """A meter: a request's PDU in, the answer's out, None for silence."""

    def answer(self, request: bytes) -> bytes | None:
        """Answer one request."""


Units = Mapping[int, Answering]


def crc16(data: bytes) -> bytes:
    """Give the checksum of a serial frame, as it stands on the wire.

    >>> crc16(bytes.fromhex("0103 0000 000A")).hex()
    'c5cd'
    """
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC_TABLE = _crc_table()


class TcpFrames:
    """Modbus TCP: a header with length and unit before each PDU."""

    def __init__(self, units: Units) -> None:
        self._units, self._buffer = units, b""

    def feed(self, data: bytes) -> bytes | None:
        """Give the answers to the requests that are complete now; None where the peer speaks no Modbus TCP."""
        self._buffer += data
        replies = []
        while len(self._buffer) >= _MBAP.size:
            transaction, protocol, length, unit = _MBAP.unpack_from(self._buffer)
            if protocol != 0 or not 2 <= length <= _MAX_FRAME:
                return None
            if len(self._buffer) < 6 + length:
                break
            request, self._buffer = self._buffer[_MBAP.size : 6 + length], self._buffer[6 + length :]
            reply = self._answer(unit, request)
            if reply is not None:
                replies.append(_MBAP.pack(transaction, 0, len(reply) + 1, unit) + reply)
        return b"".join(replies)

    def _answer(self, unit: int, request: bytes) -> bytes | None:
        if unit not in self._units:
            return bytes((request[0] | 0x80, _NO_GATEWAY_TARGET))
        return self._units[unit].answer(request)


class RtuFrames:
    """Modbus RTU: frames end with a checksum and are set apart by silence.

    A read request is complete at its eighth byte; anything else is, once the line is silent.
    """

    def __init__(self, units: Units, write: Callable[[bytes], None]) -> None:
        self._units, self._write, self._buffer = units, write, b""
        self._silence: asyncio.TimerHandle | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes from the line, and answer where they complete a request."""
        self._buffer += data
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if len(self._buffer) == _READ_FRAME and self._buffer[1] in (3, 4) and self._is_whole():
            self._end_of_frame()
        else:
            self._silence = asyncio.get_running_loop().call_later(_SILENCE_S, self._end_of_frame)

    def _is_whole(self) -> bool:
        return len(self._buffer) >= 4 and crc16(self._buffer[:-2]) == self._buffer[-2:]

    def _end_of_frame(self) -> None:
        frame, whole, self._buffer = self._buffer, self._is_whole(), b""
        if not whole or frame[0] not in self._units:
            return  # no meter feels addressed
        reply = self._units[frame[0]].answer(frame[1:-2])
        if reply is not None:
            body = frame[:1] + reply
            self._write(body + crc16(body))


class _Connection(asyncio.Protocol):
    """One TCP client, of either framing."""

    def __init__(self, units: Units, rtu: bool) -> None:
        self._units, self._rtu = units, rtu

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._frames = RtuFrames(self._units, transport.write) if self._rtu else TcpFrames(self._units)

    def data_received(self, data: bytes) -> None:
        replies = self._frames.feed(data)
        if replies:
            self._transport.write(replies)
        elif replies is None and not self._rtu:
            self._transport.close()


class Bus(Protocol):
    """A bus that serves: its address with the port resolved, and a way to end it."""

    url: str

    async def close(self) -> None:
        """Stop serving, and leave nothing behind."""


class TcpBus:
    """A listening socket."""

    def __init__(self, url: str, server: asyncio.Server) -> None:
        self.url, self._server = url, server

    async def close(self) -> None:
        """Stop listening and drop the clients."""
        self._server.close()
        if hasattr(self._server, "close_clients"):  # Python 3.13; before, the clients end with the process
            self._server.close_clients()


class PtyBus:
    """A pseudo-terminal whose far end is found at a path, as a serial adapter's device is."""

    def __init__(self, url: str, link: Path, units: Units) -> None:
        self.url, self._link = url, link
        self._near, self._far = os.openpty()  # the far end stays open here, so a client may come and go
        tty.setraw(self._near)
        tty.setraw(self._far)
        os.set_blocking(self._near, False)
        try:
            if self._is_left_behind(_end_of(link)):
                link.unlink()
            link.symlink_to(os.ttyname(self._far))
        except OSError as error:
            self._close_ends()
            raise _refusal(error, f"{url}: cannot make the link {link}: {error.strerror}") from None
        frames = RtuFrames(units, self._send)
        asyncio.get_running_loop().add_reader(self._near, lambda: frames.feed(os.read(self._near, _MAX_FRAME)))

    def _is_left_behind(self, end: str) -> bool:
        """Tell whether a link leads to a terminal that a killed simulator had: gone, or given to us since."""
        return end.startswith("/dev/pts/") and (end == os.ttyname(self._far) or not Path(end).exists())

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # nobody reads: a serial line would lose it as well
            os.write(self._near, data)

    async def close(self) -> None:
        """Remove the link and end the terminal."""
        asyncio.get_running_loop().remove_reader(self._near)
        if _end_of(self._link) == os.ttyname(self._far):
            self._link.unlink()
        self._close_ends()

    def _close_ends(self) -> None:
        os.close(self._near)
        os.close(self._far)


def _end_of(link: Path) -> str:
    """Give where a link leads, nothing where there is none."""
    return str(link.readlink()) if link.is_symlink() else ""


def _refusal(error: Exception, text: str) -> SimError:
    """Tell an address that another holds from one that is wrong."""
    if isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EEXIST):
        return TakenError(f"{text}; is another simulator running?")
    return SimError(text)


async def open_bus(url: str, units: Units) -> Bus:
    """Serve these meters at an address; raise SimError where it is taken or wrong."""
    scheme, _, rest = url.partition("://")
    if scheme == "rtu":
        return PtyBus(url, Path(rest.partition("?")[0]), units)
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(lambda: _Connection(units, scheme != "tcp"), parts.hostname, parts.port or 0)
    except (OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _refusal(error, f"{url}: cannot listen: {reason}; port 0 takes any") from None
    port = server.sockets[0].getsockname()[1]
    return TcpBus(f"{scheme}://{parts.hostname}:{port}", server)
