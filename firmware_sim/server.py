"""Modbus TCP, RTU over TCP and RTU over a pseudo-terminal, for many meters in one process.

Written from the Modbus specifications and without a library: that costs a third of the time of
pymodbus's server, and the agent's client has somebody else to talk to than its own kin.
"""

import asyncio
import contextlib
import errno
import os
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from firmware_sim.errors import SimError, TakenError
from firmware_sim.faults.base import End, Sending
from firmware_sim.frames import NotModbusError, TcpReader, tcp_frame
from firmware_sim.line import Listener, SerialLine, Wire, speed_of
from firmware_sim.station import Units

_READ_SIZE = 4096


class _Connection(asyncio.Protocol):
    """A TCP client, one of ``present``; ``deaf`` is one that gets no answer any more."""

    def __init__(self, present: set["_Connection"]) -> None:
        self._present, self._deaf = present, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._present.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._present.discard(self)

    def hang_up(self) -> None:
        """Drop the client."""
        self._transport.abort()

    def end(self, end: End) -> None:
        """Do with the connection what a fault does."""
        if end is End.CLOSE:
            self._transport.close()
        self._deaf |= end is End.DEAF

    def write(self, data: bytes) -> None:
        """Send, where somebody still listens."""
        if not self._deaf and not self._transport.is_closing():
            self._transport.write(data)


class _TcpConnection(_Connection):
    """A client of Modbus TCP: answers go out as soon as each is ready."""

    def __init__(self, present: set[_Connection], units: Units) -> None:
        super().__init__(present)
        self._units, self._reader = units, TcpReader()

    def data_received(self, data: bytes) -> None:
        try:
            for request in self._reader.feed(data):
                for sending in self._units.answers(request, tcp_frame) if not self._deaf else ():
                    self._send(sending)
        except NotModbusError:
            self._transport.close()

    def _send(self, sending: Sending) -> None:
        if sending.end is not End.KEEP:
            self.end(sending.end)
        elif sending.delay_s:
            asyncio.get_running_loop().call_later(sending.delay_s, self.write, sending.data)
        else:
            self.write(sending.data)


class _RtuConnection(_Connection):
    """A client of a transparent gateway."""

    def __init__(self, present: set[_Connection], line: SerialLine) -> None:
        super().__init__(present)
        self._line = line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._listener = Listener(self._line, Wire(self.write, self.end))

    def data_received(self, data: bytes) -> None:
        if not self._deaf:
            self._listener.feed(data)


class Bus(Protocol):
    """A bus that serves: its address with the port resolved, and a way to end it."""

    url: str

    async def close(self) -> None:
        """Stop serving, and leave nothing behind."""


class TcpBus:
    """A listening socket and its clients."""

    def __init__(self, url: str, server: asyncio.Server, present: set[_Connection]) -> None:
        self.url, self._server, self._present = url, server, present

    async def close(self) -> None:
        """Stop listening and drop the clients."""
        self._server.close()
        for connection in tuple(self._present):
            connection.hang_up()


class PtyBus:
    """A pseudo-terminal whose far end is found at a path, as a serial adapter's device is."""

    def __init__(self, url: str, link: Path, line: SerialLine) -> None:
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
        listener = Listener(line, Wire(self._send, lambda _: None))
        asyncio.get_running_loop().add_reader(self._near, lambda: listener.feed(os.read(self._near, _READ_SIZE)))

    def _is_left_behind(self, end: str) -> bool:
        """Tell whether a link leads to a terminal that a killed simulator had: gone, or given to us since."""
        return end.startswith("/dev/pts/") and (end == os.ttyname(self._far) or not Path(end).exists())

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # nobody reads, or it is closed: a serial line would lose it as well
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


async def open_bus(url: str, units: Units, paced: bool = False) -> Bus:
    """Serve these meters at an address; raise SimError where it is taken or wrong.

    A ``paced`` serial line takes the time that its baud rate says.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "tcp":
        return await _listen(url, lambda present: _TcpConnection(present, units))
    line = SerialLine(units, speed_of(url) if paced else None)
    if scheme == "rtu":
        return PtyBus(url, Path(rest.partition("?")[0]), line)
    return await _listen(url, lambda present: _RtuConnection(present, line))


async def _listen(url: str, connection: Callable[[set[_Connection]], _Connection]) -> Bus:
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    present: set[_Connection] = set()
    try:
        server = await loop.create_server(lambda: connection(present), parts.hostname, parts.port or 0)
    except (OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _refusal(error, f"{url}: cannot listen: {reason}; port 0 takes any") from None
    port = server.sockets[0].getsockname()[1]
    return TcpBus(f"{parts.scheme}://{parts.hostname}:{port}", server, present)
