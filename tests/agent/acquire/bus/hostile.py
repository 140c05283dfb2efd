"""A Modbus meter that misbehaves as a script says, over TCP, RTU over TCP or a pseudo-terminal.

It has an encoder of its own. Register ``n`` holds ``n``, so an answer shows which request it is for.
"""

import asyncio
import contextlib
import os
import pty
import struct
import tty
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from agent.records import ReadRequest

GREETS_AFTER_S = 0.01  # so much later than a hasty client has asked


def request(address: int = 100, count: int = 4, **changes: Any) -> ReadRequest:
    """Make a read request to unit 7; ``changes`` replace its other fields."""
    fields: dict[str, Any] = {
        "unit": 7,
        "function": 3,
        "address": address,
        "count": count,
        "registers": (),
        "wire_s": 0.0,
        "min_gap_s": 0.0,
        "min_timeout_s": 0.0,
    }
    return ReadRequest(**(fields | changes))


def words(asked: ReadRequest) -> tuple[int, ...]:
    """Give the true answer to a request."""
    return tuple(range(asked.address, asked.address + asked.count))


def crc(data: bytes) -> bytes:
    """Checksum of an RTU frame, as it goes on the wire (Modbus over Serial Line V1.02, 6.2.2)."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xA001 if register & 1 else 0)
    return register.to_bytes(2, "little")


@dataclass(frozen=True)
class Asked:
    """One request as the meter sees it, and the means to answer."""

    packet: bytes
    transaction: int
    unit: int
    function: int
    address: int
    count: int
    rtu: bool
    send: Callable[[bytes], object]
    hang_up: Callable[[], None]

    def pdu(self, *, function: int | None = None, count: int | None = None, byte_count: int | None = None) -> bytes:
        """Give the true answer, or one that is wrong in what is given."""
        registers = range(self.address, self.address + (self.count if count is None else count))
        body = b"".join(struct.pack(">H", register) for register in registers)
        head = bytes((function or self.function, len(body) if byte_count is None else byte_count))
        return head + body

    def frame(self, pdu: bytes, *, unit: int | None = None, transaction: int | None = None) -> bytes:
        """Put a PDU into the frame of the line."""
        body = bytes((self.unit if unit is None else unit,)) + pdu
        if self.rtu:
            return body + crc(body)
        return struct.pack(">HHH", self.transaction if transaction is None else transaction, 0, len(body)) + body

    def answer(self) -> None:
        """Answer truly."""
        self.send(self.frame(self.pdu()))

    def send_frame(self, pdu: bytes, *, unit: int | None = None, transaction: int | None = None) -> None:
        """Send a PDU in a frame."""
        self.send(self.frame(pdu, unit=unit, transaction=transaction))


def read_request(data: bytes, rtu: bool, send: Callable[[bytes], object], hang_up: Callable[[], None]) -> Asked:
    """Read one request as it came off the line."""
    transaction, body = (0, data) if rtu else (int.from_bytes(data[:2], "big"), data[6:])
    unit, function, address, count = struct.unpack(">BBHH", body[:6])
    return Asked(data, transaction, unit, function, address, count, rtu, send, hang_up)


Act = Callable[[Asked], Awaitable[None] | None]


def honest(asked: Asked) -> None:
    """Answer truly and at once."""
    asked.answer()


def silent(asked: Asked) -> None:
    """Do not answer."""


def late(delay_s: float) -> Act:
    """Answer truly, after ``delay_s``."""

    async def act(asked: Asked) -> None:
        await asyncio.sleep(delay_s)
        asked.answer()

    return act


def hang_up(asked: Asked) -> None:
    """Break the connection instead of answering."""
    asked.hang_up()


def too_short(asked: Asked) -> None:
    """Answer with one register too few."""
    asked.send_frame(asked.pdu(count=asked.count - 1))


def too_long(asked: Asked) -> None:
    """Answer with one register too many."""
    asked.send_frame(asked.pdu(count=asked.count + 1))


def other_function(asked: Asked) -> None:
    """Answer a request for holding registers with input registers."""
    asked.send_frame(asked.pdu(function=4))


def unknown_function(asked: Asked) -> None:
    """Answer with a function that nobody asked for."""
    asked.send_frame(bytes((0x2B, 2, 1, 2)))


def other_unit(asked: Asked) -> None:
    """Answer in another meter's name."""
    asked.send_frame(asked.pdu(), unit=9)


def lying_byte_count(asked: Asked) -> None:
    """Announce 200 bytes and carry fewer."""
    asked.send_frame(asked.pdu(byte_count=200))


def noise(asked: Asked) -> None:
    """Answer with bytes that are no frame."""
    asked.send(bytes(range(1, 200)) * 3)


def flipped_bit(asked: Asked) -> None:
    """Answer with one bit wrong."""
    frame = bytearray(asked.frame(asked.pdu()))
    frame[5] ^= 0x10
    asked.send(bytes(frame))


def exception(code: int) -> Act:
    """Answer with an exception."""
    return lambda asked: asked.send_frame(bytes((asked.function | 0x80, code)))


exception_2 = exception(2)  # illegal data address


def empty_pdu(asked: Asked) -> None:
    """Answer with a frame that holds nothing."""
    asked.send_frame(b"")


@dataclass
class Hostile:
    """What the meter does: the acts of the script in turn, then ``always``. ``asked`` is what it saw."""

    script: deque[Act] = field(default_factory=deque)
    always: Act = honest
    asked: list[Asked] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    greeting: bytes = b""  # to whoever connects
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def play(self, asked: Asked) -> None:
        """Do the next act."""
        self.asked.append(asked)
        self.times_s.append(asyncio.get_running_loop().time())
        doing = (self.script.popleft() if self.script else self.always)(asked)
        if doing is not None:
            task = asyncio.ensure_future(doing)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def stop(self) -> None:
        """Forget the answers that are still to come."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def tcp_meter(*, rtu: bool = False, port: int = 0) -> AsyncIterator[Hostile]:
    """Serve on a port of this machine, any free one unless it is given."""
    meter = Hostile()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meter.connections += 1
        writers.append(writer)
        asyncio.get_running_loop().call_later(GREETS_AFTER_S, writer.write, meter.greeting)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                data = await reader.readexactly(8 if rtu else 12)
                meter.play(read_request(data, rtu, writer.write, writer.close))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    meter.url = f"{'rtu+tcp' if rtu else 'tcp'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield meter
    finally:
        await meter.stop()
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def pty_meter() -> AsyncIterator[Hostile]:
    """Serve on a pseudo-terminal."""
    meter = Hostile()
    loop = asyncio.get_running_loop()
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    received = bytearray()

    def hang_up() -> None:
        loop.remove_reader(ours)
        os.close(ours)

    def receive() -> None:
        received.extend(os.read(ours, 1024))
        while len(received) >= 8:
            meter.play(read_request(bytes(received[:8]), True, lambda data: _write(ours, data), hang_up))
            del received[:8]

    loop.add_reader(ours, receive)
    meter.url = f"rtu://{os.ttyname(theirs)}?baud=115200"
    try:
        yield meter
    finally:
        await meter.stop()
        with contextlib.suppress(OSError):
            hang_up()
        os.close(theirs)


def _write(descriptor: int, data: bytes) -> None:
    os.write(descriptor, data)
