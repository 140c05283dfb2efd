"""Each hazard of a Modbus line, against a meter that plays it."""

import asyncio
import inspect
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from itertools import pairwise

import pytest
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.framer.rtu import FramerRTU
from pymodbus.framer.socket import FramerSocket

from agent.acquire.bus.bus import open_bus
from agent.errors import BusError, BusReason
from tests.agent.acquire.bus.hostile import (
    Act,
    Asked,
    empty_pdu,
    exception_2,
    flipped_bit,
    late,
    lying_byte_count,
    noise,
    other_function,
    other_unit,
    read_request,
    request,
    silent,
    too_long,
    too_short,
    unknown_function,
    words,
)
from tests.agent.acquire.bus.real_line import LINES, RTU_LINES, TIMEOUT_S, line, reason_of

pytestmark = pytest.mark.usefixtures("quiet", "no_greeting")


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("function", [3, 4])
async def test_words_arrive_in_order(kind: str, function: int) -> None:
    """A read gives the words of the addresses asked for, by holding and by input registers."""
    async with line(kind) as (meter, bus):
        got = await bus.read(request(100, 125, function=function))

        assert got == tuple(range(100, 225))
        assert meter.asked[0].function == function


@pytest.mark.parametrize("kind", LINES)
async def test_answer_in_pieces(kind: str) -> None:
    """An answer may arrive byte by byte."""

    async def drip(asked: Asked) -> None:
        for byte in asked.frame(asked.pdu()):
            asked.send(bytes((byte,)))
            await asyncio.sleep(0)

    async with line(kind, 1.0) as (meter, bus):
        meter.always = drip

        assert await bus.read(request()) == (100, 101, 102, 103)


async def test_late_answers_on_tcp_are_told_by_their_transaction() -> None:
    """Hazard 1 on TCP: late answers pass by without a pause, without a wrong value and without a new connection."""
    wrong, right = 0, 0
    async with line("tcp", 0.02) as (meter, bus):
        for index in range(40):
            asked = request(100 + 4 * index)
            meter.script.append(late(0.025) if index % 2 else late(0.0))
            try:
                got = await bus.read(asked)
            except BusError:
                continue
            right, wrong = right + (got == words(asked)), wrong + (got != words(asked))

        assert wrong == 0
        assert right >= 15
        assert meter.connections == 1


async def test_old_and_true_answer_in_one_packet() -> None:
    """An old answer and the true one that arrive together give the true one, however long they are."""

    def both(asked: Asked) -> None:
        old = asked.frame(bytes((3, 250)) + bytes(250), transaction=asked.transaction - 1)
        asked.send(old + asked.frame(asked.pdu()))

    async with line("tcp") as (meter, bus):
        meter.script.extend([silent, both])

        assert await reason_of(bus, request(1, 125)) is BusReason.TIMEOUT
        assert await bus.read(request(500, 125)) == tuple(range(500, 625))


async def test_transaction_id_0_is_refused() -> None:
    """Hazard 2: an answer with transaction id 0 could belong to any request, so it is none, and is named."""

    def anonymous(asked: Asked) -> None:
        asked.send_frame(asked.pdu(), transaction=0)

    async with line("tcp") as (meter, bus):
        meter.script.append(anonymous)

        with pytest.raises(BusError, match="only an answer with transaction id 0, asked with was 1") as caught:
            await bus.read(request())
        assert caught.value.reason is BusReason.WRONG_TRANSACTION
        assert await bus.read(request()) == (100, 101, 102, 103)


async def test_answers_to_other_requests_only() -> None:
    """A gateway that counts its transactions wrongly is named so, not as silent."""

    def off_by_one(asked: Asked) -> None:
        asked.send_frame(asked.pdu(), transaction=asked.transaction + 1)

    async with line("tcp") as (meter, bus):
        meter.script.append(off_by_one)

        assert await reason_of(bus, request()) is BusReason.WRONG_TRANSACTION


FAULTS: list[tuple[str, Act, BusReason]] = [
    *((kind, too_short, BusReason.WRONG_LENGTH) for kind in LINES),
    *((kind, too_long, BusReason.WRONG_LENGTH) for kind in LINES),
    *((kind, other_function, BusReason.WRONG_FUNCTION) for kind in LINES),
    *((kind, other_unit, BusReason.WRONG_UNIT) for kind in LINES),
    *((kind, lying_byte_count, BusReason.GARBAGE) for kind in LINES),
    *((kind, noise, BusReason.GARBAGE) for kind in LINES),
    *((kind, exception_2, BusReason.EXCEPTION) for kind in LINES),
    *((kind, silent, BusReason.TIMEOUT) for kind in LINES),
    *((kind, empty_pdu, BusReason.GARBAGE) for kind in LINES),
    *((kind, flipped_bit, BusReason.GARBAGE) for kind in RTU_LINES),
    ("tcp", unknown_function, BusReason.WRONG_FUNCTION),
    *((kind, unknown_function, BusReason.GARBAGE) for kind in RTU_LINES),  # its length is not known there
]


@pytest.mark.parametrize(("kind", "fault", "reason"), FAULTS)
async def test_fault_has_its_reason_and_the_bus_recovers(kind: str, fault: Act, reason: BusReason) -> None:
    """Hazards 3, 4 and 5: a wrong answer is an error with its reason, and the next read is right."""
    async with line(kind) as (meter, bus):
        meter.script.append(fault)

        assert await reason_of(bus, request()) is reason
        assert await bus.read(request(300)) == (300, 301, 302, 303)


async def test_exception_carries_its_code() -> None:
    """A Modbus exception is told apart by its code."""
    async with line("tcp") as (meter, bus):
        meter.script.append(exception_2)

        with pytest.raises(BusError, match="exception 2, illegal data address") as caught:
            await bus.read(request())

        assert caught.value.code == 2


@pytest.mark.parametrize("kind", RTU_LINES)
async def test_meter_gets_the_silence_it_wants(kind: str) -> None:
    """Between a reply and the next request the line is silent for as long as the meter wants."""
    async with line(kind, 1.0) as (meter, bus):
        for _ in range(4):
            await bus.read(request(min_gap_s=0.03))

        assert all(later - earlier >= 0.03 for earlier, later in pairwise(meter.times_s))


@pytest.mark.parametrize("kind", RTU_LINES)
async def test_stray_bytes_before_an_answer(kind: str) -> None:
    """A driver's switch-on glitch or the echo of a two-wire adapter does not spoil the answer behind it."""

    def echo(asked: Asked) -> None:
        body = bytes((asked.unit, asked.function)) + asked.address.to_bytes(2, "big") + asked.count.to_bytes(2, "big")
        asked.send(b"\x00" + asked.frame(body[1:]) + asked.frame(asked.pdu()))

    async with line(kind, 1.0) as (meter, bus):
        meter.always = echo

        assert await bus.read(request()) == (100, 101, 102, 103)


@pytest.mark.parametrize("kind", RTU_LINES)
async def test_answer_sent_again_and_again(kind: str) -> None:
    """An answer that a gateway repeats is not taken for the answer to the next request."""

    async def thrice(asked: Asked) -> None:
        for _ in range(3):
            asked.answer()
            await asyncio.sleep(0.01)

    async with line(kind) as (meter, bus):
        meter.script.extend([thrice, late(0.02)])

        assert await bus.read(request(100)) == (100, 101, 102, 103)
        await asyncio.sleep(0.015)
        assert await bus.read(request(200)) == (200, 201, 202, 203)


@pytest.mark.parametrize("kind", RTU_LINES)
async def test_wrong_checksum_is_known_at_once(kind: str) -> None:
    """An answer with a wrong checksum does not cost the time-out."""
    async with line(kind, 30.0) as (meter, bus):
        meter.script.append(flipped_bit)

        async with asyncio.timeout(2.0):
            assert await reason_of(bus, request()) is BusReason.GARBAGE


async def test_torn_answer_does_not_spoil_the_next() -> None:
    """The rest of a TCP answer that stopped half-way never mixes with the next answer."""

    async def tear(asked: Asked) -> None:
        frame = asked.frame(asked.pdu())
        asked.send(frame[:9])
        await asyncio.sleep(TIMEOUT_S + 0.02)
        asked.send(frame[9:])

    async with line("tcp") as (meter, bus):
        meter.script.extend([tear, late(0.03)])

        assert await reason_of(bus, request(100)) is BusReason.GARBAGE
        assert await bus.read(request(200)) == (200, 201, 202, 203)


async def test_line_that_never_falls_silent() -> None:
    """A babbling line is an error, not a bus that waits for ever."""

    async def babble(_: Asked) -> None:
        while True:
            meter.asked[0].send(b"\x55" * 8)
            await asyncio.sleep(0.01)

    async with line("rtu+tcp") as (meter, bus):
        meter.script.append(babble)

        assert await reason_of(bus, request()) is BusReason.GARBAGE
        with pytest.raises(BusError, match="never falls silent"):
            await bus.read(request())


async def test_late_answer_that_arrives_while_the_process_is_busy() -> None:
    """What came while nobody looked is read before the next request, whatever the clock says."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as meter:
        bus = open_bus(f"rtu+tcp://127.0.0.1:{server.getsockname()[1]}", 0.02)
        late_then_true = meter.submit(_answer_late, server, 0.06)
        assert await reason_of(bus, request(100)) is BusReason.TIMEOUT
        time.sleep(0.1)  # noqa: ASYNC251  # the process writes to a slow disk

        got = await bus.read(request(200, min_timeout_s=1.0))
        await bus.close()
        late_then_true.result()

    assert got == (200, 201, 202, 203)


def _answer_late(server: socket.socket, delay_s: float) -> None:
    """Answer the first request late, in a thread that nobody keeps waiting, and the second at once."""
    connection, _ = server.accept()
    with connection:
        for takes_s in (delay_s, 0.0):
            packet = connection.recv(8)
            time.sleep(takes_s)
            read_request(packet, True, connection.sendall, connection.close).answer()


async def test_answer_that_pymodbus_will_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read ends with its time-out even where pymodbus skips the frame that it was shown."""
    async with line("tcp") as (_, bus):
        await bus.read(request())
        monkeypatch.setattr(FramerSocket, "decode", lambda _, data: (len(data), 99, 0, data[7:]))

        async with asyncio.timeout(5.0):
            assert await reason_of(bus, request()) is BusReason.TIMEOUT


async def test_pymodbus_has_what_the_bus_reaches_into() -> None:
    """A pymodbus without the inner parts that the bus uses is told here, not by a meter."""
    advice = f"pymodbus {version('pymodbus')} is not the one that agent/acquire/bus was written for: look through it"
    client = AsyncModbusTcpClient("127.0.0.1")
    both = [set(inspect.signature(kind).parameters) for kind in (AsyncModbusTcpClient, AsyncModbusSerialClient)]

    assert version("pymodbus").startswith("3.16."), advice
    assert {"transport", "call_create", "comm_params", "max_buffer_size"} <= vars(client.ctx).keys(), advice
    assert {"response_future", "recv_buffer", "next_tid"} <= vars(client.ctx).keys(), advice
    assert "timeout_connect" in vars(client.ctx.comm_params), advice
    assert {"retries", "reconnect_delay", "trace_packet", "trace_connect"} <= both[0] & both[1], advice
    assert hasattr(FramerRTU, "check_CRC"), advice
