"""Whatever bytes a device sends, whenever and in whatever pieces: an error or a true answer, and nothing else.

Short by default; ``FLATWATT_FUZZ=20000`` tries more.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.acquire.bus.bus import Bus, open_bus
from agent.errors import BusError
from agent.records import ReadRequest
from tests.agent.acquire.bus.hostile import Asked, crc, read_request, request, words
from tests.agent.acquire.bus.virtual_time import run_virtually

EXAMPLES = int(os.environ.get("FLATWATT_FUZZ", "150"))
CEILING_S = 1.0

Piece = tuple[float, bytes | None]  # after so many seconds: bytes, or None: the device hangs up


@dataclass(frozen=True)
class Exchange:
    """A request, and how the device changes the true answer to it before it sends it in pieces."""

    asked: ReadRequest
    mutations: tuple[tuple[str, int, bytes], ...]
    cuts: tuple[int, ...]
    delays_s: tuple[float, ...]
    gives_up: bool  # the caller cancels the read

    def pieces(self, asked: Asked) -> list[Piece]:
        """Give what the device sends."""
        data = asked.frame(asked.pdu())
        for kind, place, noise in self.mutations:
            data = SPOILERS[kind](data, place, noise, asked)
        if not data:
            return []
        bounds = [0, *sorted(cut % len(data) for cut in self.cuts), len(data)]
        parts: list[bytes | None] = [data[start:end] for start, end in pairwise(bounds)]
        if any(kind == "hang up" for kind, _, _ in self.mutations):
            parts.append(None)
        at_s = 0.0
        pieces = []
        for index, part in enumerate(parts):
            at_s += self.delays_s[index % len(self.delays_s)]
            pieces.append((at_s, part))
        return pieces


def flipped(data: bytes, place: int) -> bytes:
    """Change one bit."""
    return data[:place] + bytes(byte ^ (1 << place % 8) for byte in data[place : place + 1]) + data[place + 1 :]


Spoil = Callable[[bytes, int, bytes, Asked], bytes]

SPOILERS: dict[str, Spoil] = {
    "flip": lambda data, place, noise, asked: flipped(data, place % (len(data) + 1)),
    "cut": lambda data, place, noise, asked: data[: place % (len(data) + 1)],
    "behead": lambda data, place, noise, asked: data[place % (len(data) + 1) :],
    "insert": lambda data, place, noise, asked: noise.join((data[: place % 9], data[place % 9 :])),
    "repeat": lambda data, place, noise, asked: data + data,
    "silence": lambda data, place, noise, asked: b"",
    "any pdu": lambda data, place, noise, asked: data + asked.frame(noise),
    "length": lambda data, place, noise, asked: data + asked.frame(asked.pdu(count=place % 6)),
    "stranger": lambda data, place, noise, asked: asked.frame(asked.pdu(), unit=place) + data,
    "other transaction": lambda data, place, noise, asked: asked.frame(asked.pdu(), transaction=place) + data,
    "exception": lambda data, place, noise, asked: asked.frame(bytes((asked.function | 0x80, place))) + data,
    "hang up": lambda data, place, noise, asked: data,  # and then
}
DELAYS_S = st.sampled_from((0.0, 0.001, 0.05, 0.3, 0.99, 1.2, 2.5))
REQUESTS = st.builds(
    request,
    st.integers(0, 2000),
    st.integers(1, 5),
    unit=st.integers(1, 3),
    function=st.sampled_from((3, 4)),
    min_gap_s=st.sampled_from((0.0, 0.02)),
)
EXCHANGES = st.builds(
    Exchange,
    asked=REQUESTS,
    mutations=st.lists(
        st.tuples(st.sampled_from(sorted(SPOILERS)), st.integers(0, 255), st.binary(max_size=12)), max_size=3
    ).map(tuple),
    cuts=st.lists(st.integers(0, 255), max_size=3).map(tuple),
    delays_s=st.lists(DELAYS_S, min_size=1, max_size=3).map(tuple),
    gives_up=st.sampled_from((False, False, False, True)),
)


def is_carried(got: tuple[int, ...], asked: ReadRequest, transaction: int, heard: bytes, rtu: bool) -> bool:
    """Tell whether these words stood in a sound frame that answers this request."""
    body = bytes((asked.unit, asked.function, 2 * asked.count)) + b"".join(word.to_bytes(2, "big") for word in got)
    if rtu:
        return body + crc(body) in heard
    return transaction.to_bytes(2, "big") + bytes((0, 0)) + len(body).to_bytes(2, "big") + body in heard


class Device:
    """Plays exchanges, and keeps what has arrived of what it sent since it was asked."""

    def __init__(self, rtu: bool) -> None:
        self.rtu = rtu
        self.exchange: Exchange | None = None
        self.sent = b""
        self.transaction = 0

    def serve(self, data: bytes, send: Any, hang_up: Any) -> None:
        """Answer as the exchange says; truly where there is none."""
        asked = read_request(data, self.rtu, send, hang_up)
        self.transaction, self.sent = asked.transaction, b""
        if self.exchange is None:
            asked.answer()
            return
        for at_s, part in self.exchange.pieces(asked):
            asyncio.get_running_loop().call_later(at_s, self._send, part, send, hang_up)

    def _send(self, part: bytes | None, send: Any, hang_up: Any) -> None:
        if part is None:
            hang_up()
        else:
            self.sent += part  # the bus judges it at once
            if not send(part):
                self.sent = self.sent.removesuffix(part)


def play(url: str, exchanges: list[Exchange]) -> None:
    """Read against the device, hold every value against what it sent, and read in peace at the end."""
    device = Device(rtu=not url.startswith("tcp"))

    async def read() -> None:
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        bus = open_bus(url, CEILING_S)
        try:
            await read_all(bus, device, exchanges)
        finally:
            await bus.close()
        assert failures == []

    run_virtually(read(), device.serve)


async def read_all(bus: Bus, device: Device, exchanges: list[Exchange]) -> None:
    """Read what the exchanges ask for, and once in peace."""
    for exchange in exchanges:
        device.exchange = exchange
        try:
            async with asyncio.timeout(0.2 if exchange.gives_up else None):
                got = await bus.read(exchange.asked)
        except (BusError, TimeoutError):
            continue
        assert is_carried(got, exchange.asked, device.transaction, device.sent, device.rtu)
    device.exchange = None
    await asyncio.sleep(10 * CEILING_S)
    assert await bus.read(request()) == words(request())


fuzzed = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@fuzzed
@given(st.lists(EXCHANGES, min_size=1, max_size=6))
def test_hostile_tcp(exchanges: list[Exchange]) -> None:
    """Over Modbus TCP."""
    play("tcp://device", exchanges)


@fuzzed
@given(st.lists(EXCHANGES, min_size=1, max_size=6))
def test_hostile_rtu(exchanges: list[Exchange]) -> None:
    """Over a serial line."""
    play("rtu://device?baud=9600", exchanges)


@fuzzed
@given(st.lists(EXCHANGES, min_size=1, max_size=6))
def test_hostile_rtu_over_tcp(exchanges: list[Exchange]) -> None:
    """Over a gateway that passes RTU on."""
    play("rtu+tcp://device:4001", exchanges)
