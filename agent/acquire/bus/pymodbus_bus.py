"""The real bus: pymodbus carries the bytes, the guards here decide what may be believed.

pymodbus is pinned and never trusted alone. What it does wrong, and where that is stopped:

    late RTU answers are given to the next request      a unit that owes an answer rests (listener)
    transactions begin at 1 on each connection          they count on: a gateway may answer an earlier one's
    transaction id 0, short answers, other functions    only a judged frame is passed on (answers)
    a lying byte count breaks its protocol callback     the same
    a peer that closes is noticed at the time-out       the connection's end fails the request at once
    a peer that is gone without a word, never           keepalive (client), a new connection after _DEAF_S
    a first connect that fails is never tried again     each read connects where there is no connection
    the silence of 3.5 characters is not kept           the bus waits for it, and for the meter's own (silence)
    one time-out for all                                each unit's own, by what it has needed (patience)

The time is the event loop's: a line lives in real time even where the meters' time is simulated.
"""

import asyncio
import logging
from collections.abc import Callable

from pymodbus.exceptions import ConnectionException, ModbusException

from agent.acquire.bus.answers import GATEWAY_CODES
from agent.acquire.bus.client import Client, Watch, open_client
from agent.acquire.bus.line import line_of
from agent.acquire.bus.listener import RtuListener, TcpListener
from agent.acquire.bus.patience import Patience
from agent.acquire.bus.silence import Silence
from agent.acquire.bus.times import BusTimes, LineTimes
from agent.acquire.bus.url import SerialAddress, TcpAddress
from agent.errors import BusError, BusReason
from agent.records import ReadRequest

logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)  # a failed read is data, counted by the poller

_SERIAL_FLOOR_S = 0.1  # no time-out is shorter: an adapter's buffer, and a gateway's processor that is busy elsewhere
_TCP_FLOOR_S = 0.3  # the same: a segment that is lost is sent again after 0.2 s
_TURNS = 2  # of the event loop: one sees that there is something to be read, the next has read it
_PATIENCE = 5  # times what there is to wait for, and the longest answer, before a wait that never ends is an error
_MOST_REGISTERS = 125  # of one answer, by the specification
_REQUEST_BYTES = 8  # of a read on RTU
_GREETING_S = 0.1  # after the handshake: some gateways keep what was said to nobody, and give it to the next client
_DEAF_S = 10.0  # a failure after so long without a byte: the peer may be gone without a word, so connect anew


class PymodbusBus:
    """Modbus TCP, RTU, and RTU over TCP, behind the protocol ``Bus``."""

    def __init__(self, address: TcpAddress | SerialAddress, timeout_s: float) -> None:
        self._address = address
        self._serial = isinstance(address, SerialAddress)
        self._rtu = not isinstance(address, TcpAddress) or address.rtu
        self._ceiling_s = timeout_s
        self._line = line_of(str(address))
        self._silence = Silence(self._line.silence_s)
        self._patience = Patience(_SERIAL_FLOOR_S if self._serial else _TCP_FLOOR_S, timeout_s)
        self._times = LineTimes()
        self._listener = (RtuListener if self._rtu else TcpListener)(self._patience, timeout_s)
        self._watching = Watch(self._watch, self._watch_connection)
        self._lock = asyncio.Lock()
        self._client: Client | None = None
        self._asked: ReadRequest | None = None
        self._answered = self._closed = False
        self._sending_s = _REQUEST_BYTES * self._line.byte_s if self._serial else 0.0
        self._sent_s = self._begins_s = self._deadline_s = self._heard_s = 0.0

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """Give the words that ``request`` asks for. Raises BusError."""
        if self._client and self._rtu:  # without a line, that is known at once
            await self._let_rest(request.unit)
        async with self._lock:
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            try:
                if self._listener.out_of_step:
                    self._drop()
                client = self._client or await self._connect()
                if self._rtu:
                    await self._hear_out()
                if self._rtu or request.min_gap_s:
                    await self._fall_silent(request)
                return await self._exchange(client, request)
            finally:
                self._times.used(began_s, loop.time())

    def rest_s(self, unit: int) -> float:
        """Give how long the unit is still left alone because an answer of it may yet come."""
        return self._listener.rest_s(unit, asyncio.get_running_loop().time())

    def times(self) -> BusTimes:
        """Give how fast the units answer and how full the bus is."""
        return self._times.summary(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Let go of the line for good."""
        self._closed = True
        if self._client:
            self._fail(self._client, BusError(BusReason.DISCONNECTED, "the bus was closed"))
        self._drop()
        await asyncio.sleep(0)  # the transport closes in the loop's next turn

    async def _connect(self) -> Client:
        """Open the line. Raises BusError."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        if not self._closed:
            self._client = await open_client(self._address, self._rtu, self._ceiling_s, self._watching)
        if self._closed or not self._client:  # or closed while it was being opened
            self._drop()
            raise BusError(BusReason.DISCONNECTED, "the bus was closed")
        self._heard_s = loop.time()
        self._client.ctx.next_tid = self._listener.connected()
        if self._rtu and not self._serial:
            self._silence.hold(self._heard_s + (self._heard_s - began_s) + _GREETING_S)
        return self._client

    async def _hear_out(self) -> None:
        """Take what arrived while this process was busy elsewhere, before the clock says that it is not coming."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def _let_rest(self, unit: int) -> None:
        """Wait until no late answer of the unit can come any more. Raises BusError where they never end."""
        await self._wait(lambda: self.rest_s(unit), f"unit {unit} goes on answering what it was not asked")

    async def _fall_silent(self, request: ReadRequest) -> None:
        """Wait for the silence between frames, and after what nobody can tell, until no answer can come any more.

        What is heard or fails meanwhile may make the unit rest again.
        """
        loop = asyncio.get_running_loop()
        wanted_s = max(request.min_gap_s, self._ceiling_s if self._listener.puzzled else 0.0)

        def remaining_s() -> float:
            return max(self._silence.remaining_s(loop.time(), wanted_s), self.rest_s(request.unit))

        await self._wait(remaining_s, "the line never falls silent")
        self._silence.trust()

    async def _wait(self, remaining_s: Callable[[], float], endless: str) -> None:
        """Wait until nothing remains. Raises BusError where it is put off again and again."""
        wait_s = remaining_s()
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + _PATIENCE * wait_s + self._line.wire_s(_MOST_REGISTERS)
        while wait_s > 0:
            if loop.time() > give_up_s:
                raise BusError(BusReason.GARBAGE, endless)
            await asyncio.sleep(wait_s)
            wait_s = remaining_s()

    async def _exchange(self, client: Client, request: ReadRequest) -> tuple[int, ...]:
        """Send one request and wait for its answer."""
        loop = asyncio.get_running_loop()
        timeout_s = max(request.min_timeout_s, self._patience.timeout_s(request.unit))
        self._times.asked(request.unit, timeout_s)
        self._begins_s = max(loop.time(), self._listener.free_s())
        self._deadline_s = self._begins_s + timeout_s + request.wire_s
        timer = loop.call_at(self._deadline_s, self._expire, client)
        self._asked, self._answered = request, False
        read = client.read_holding_registers if request.function == 3 else client.read_input_registers
        try:
            reply = await read(request.address, count=request.count, device_id=request.unit)
        except ConnectionException:
            raise BusError(BusReason.DISCONNECTED, "the connection broke before the request") from None
        except ModbusException as error:
            raise BusError(BusReason.GARBAGE, f"pymodbus: {error}") from None
        finally:
            timer.cancel()
            self._finish(loop.time())
        return tuple(reply.registers)

    def _watch(self, sending: bool, data: bytes) -> bytes:
        """See every packet; pass on to pymodbus only the frame that answers the request."""
        now_s = asyncio.get_running_loop().time()
        if sending:
            self._sent_s = now_s
            if self._asked:
                self._listener.ask(self._asked, data, now_s)
            return data
        if self._client:
            self._client.ctx.recv_buffer = b""  # the listener keeps what it needs
        self._heard_s = now_s
        self._silence.heard(now_s)
        try:
            frame = self._listener.hear(data, now_s)
        except BusError as error:
            self._refuse(error)
            return b""
        if frame:
            self._note_answer()
        return frame or b""

    def _refuse(self, error: BusError) -> None:
        """End the request by what was heard; a TCP stream that makes no sense between requests is given up."""
        if self._client and self._asked:
            self._fail(self._client, error)
        else:
            self._drop()
        if error.reason is BusReason.EXCEPTION and error.code not in GATEWAY_CODES:
            self._note_answer()

    def _note_answer(self) -> None:
        """Learn from an answer in time, unless a gateway made it wait for an earlier request."""
        if request := self._asked:
            response_s = self._heard_s - self._sent_s
            self._times.answered(request.unit, response_s - self._sending_s)
            if self._begins_s <= self._sent_s:
                self._patience.answered(request.unit, response_s - request.wire_s)
            self._answered = True

    def _expire(self, client: Client) -> None:
        """End the request by what was not heard."""
        if self._asked and not self._answered:
            self._patience.timed_out(self._asked.unit)
        self._fail(client, self._listener.silence(asyncio.get_running_loop().time() - self._sent_s))

    def _watch_connection(self, connected: bool) -> None:
        if not connected and self._client:
            self._fail(self._client, BusError(BusReason.DISCONNECTED, "the connection broke during the request"))
            self._client = None

    def _fail(self, client: Client, error: BusError) -> None:
        """End the request under way."""
        if self._asked and not client.ctx.response_future.done():
            client.ctx.response_future.set_exception(error)

    def _finish(self, now_s: float) -> None:
        """After a request make sure that what still comes is not taken for the next answer."""
        late = self._listener.give_up(max(now_s, self._deadline_s))  # which is to come where it was cancelled
        if self._rtu and late:
            self._silence.hold(self._deadline_s)
        self._asked = None
        if self._answered:
            return
        if self._rtu:
            self._silence.settle()
        if not self._serial and now_s - self._heard_s > _DEAF_S:
            self._drop()

    def _drop(self) -> None:
        if self._client:
            self._client.close()
            self._client = None
