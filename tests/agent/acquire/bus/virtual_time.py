"""An event loop in which nobody waits: time jumps to the next timer, and the network is a Python function.

Days of a slow line pass in seconds, and the order of events does not depend on the machine.
"""

import asyncio
import selectors
import socket
from collections.abc import Callable, Coroutine
from typing import Any
from unittest import mock

from pymodbus.transport import transport

Serve = Callable[[bytes, Callable[[bytes], bool], Callable[[], None]], None]
"""What is done with each packet that arrives at the other end: the packet, a way to answer, a way to hang up.

An answer tells whether the connection still stood.
"""


class _Jumping(selectors.SelectSelector):
    """Never waits: lets time jump instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now_s += timeout or 0.0
        return super().select(0)


class _Wire(asyncio.Transport):
    """One end of a connection whose other end is ``serve``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any, serve: Serve) -> None:
        self._socket = socket.socket()
        super().__init__({"socket": self._socket})
        self._loop, self._protocol, self._serve = loop, protocol, serve
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        """Let the other end have the packet."""
        self._loop.call_soon(self._serve, bytes(data), self._deliver, self._hang_up)

    def is_closing(self) -> bool:
        """Tell whether this end was closed."""
        return self._socket.fileno() < 0

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _deliver(self, data: bytes) -> bool:
        if self.is_closing():
            return False
        self._protocol.data_received(data)
        return True

    def _hang_up(self) -> None:
        if not self.is_closing():
            self._protocol.connection_lost(None)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0 seconds; whatever address is connected to, ``serve`` is at the other end."""

    def __init__(self, serve: Serve) -> None:
        self._virtual = _Jumping()
        self._serve = serve
        self.wires: list[asyncio.Transport] = []
        super().__init__(self._virtual)

    def time(self) -> float:
        """Give the virtual time."""
        return self._virtual.now_s

    async def create_connection(self, protocol_factory: Any, *_: Any, **__: Any) -> Any:
        """Connect to ``serve``."""
        protocol = protocol_factory()
        self.wires.append(_Wire(self, protocol, self._serve))
        return self.wires[-1], protocol


async def _open_port(loop: VirtualTimeLoop, protocol_factory: Any, *_: Any, **__: Any) -> Any:
    return await loop.create_connection(protocol_factory)


def run_virtually(main: Coroutine[Any, Any, None], serve: Serve) -> float:
    """Run to the end and give the seconds that passed in virtual time; a serial port leads to ``serve`` too."""
    with (
        mock.patch.object(transport, "create_serial_connection", _open_port),
        asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(serve)) as runner,
    ):
        runner.run(main)
        return runner.get_loop().time()
