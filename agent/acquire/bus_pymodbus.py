"""The real bus: pymodbus carries the bytes, the guards here decide what may be believed.

pymodbus is pinned and never trusted alone. What it does wrong, and where that is stopped:

    late RTU answers are given to the next request      quarantine after every failure (bus_silence)
    transaction id 0, short answers, other functions    only a judged frame is passed on (bus_answers)
    a lying byte count breaks its protocol callback     the same
    a peer that closes is noticed at the time-out       the connection's end fails the request at once
    a first connect that fails is never tried again     each read connects where there is no connection
    the silence of 3.5 characters is not kept           the bus waits for it (bus_silence)

The time is the event loop's: a line lives in real time even where the meters' time is simulated.
"""

import asyncio
import errno
import logging
import os

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType

from agent.acquire.bus_answers import SHORTEST_RTU, find_rtu, find_tcp, in_step, unanswered
from agent.acquire.bus_silence import Silence
from agent.acquire.bus_times import BusTimes, ResponseTimes
from agent.acquire.bus_url import SerialAddress, TcpAddress
from agent.acquire.line import line_of
from agent.errors import BusDownError, BusError, BusReason
from agent.records import ReadRequest

logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)  # a failed read is data, counted by the poller

_BUFFER_BYTES = 8192  # room for answers that come late and together; pymodbus drops everything beyond one frame
_PATIENCE = 5  # times the silence needed, before a line that never falls silent is an error
_DEAF_S = 10.0  # a time-out after so long without a byte: the peer may be gone without a word, so connect anew

_FULL = "does it serve as many clients as it can? Disconnect another one"
_NEXT_STEPS = {
    errno.ENOENT: "check the path; adapters are listed under /dev/serial/by-id",
    errno.EACCES: "add the user to the group 'dialout'",
    errno.EAGAIN: "another program holds the port; stop it",
    errno.ECONNREFUSED: "check the port, and that Modbus TCP is enabled in the device",
}


class PymodbusBus:
    """Modbus TCP, RTU, and RTU over TCP, behind the protocol ``Bus``."""

    def __init__(self, address: TcpAddress | SerialAddress, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._client: AsyncModbusTcpClient | AsyncModbusSerialClient | None = None
        self._rtu = isinstance(address, SerialAddress) or address.rtu
        self._silence = Silence(line_of(str(address)).silence_s)
        self._asked: ReadRequest | None = None
        self._transaction = 0
        self._heard = b""
        self._heard_s = 0.0
        self._responses: dict[int, ResponseTimes] = {}
        self._busy_s = 0.0
        self._began_s: float | None = None

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """Give the words that ``request`` asks for. Raises BusError."""
        async with self._lock:
            began_s = asyncio.get_running_loop().time()
            self._began_s = began_s if self._began_s is None else self._began_s
            try:
                return await self._read(request)
            finally:
                self._busy_s += asyncio.get_running_loop().time() - began_s

    def rest_s(self, unit: int) -> float:
        """Give 0: the quarantine is the whole line's, and read() waits for it."""
        return 0.0

    def times(self) -> BusTimes:
        """Give how fast the units answer and how full the bus is."""
        elapsed_s = 0.0 if self._began_s is None else asyncio.get_running_loop().time() - self._began_s
        units = {unit: responses.summary(self._timeout_s) for unit, responses in self._responses.items()}
        return BusTimes(busy_s=self._busy_s, elapsed_s=elapsed_s, units=units)

    async def close(self) -> None:
        """Let go of the line."""
        self._fail(BusError(BusReason.DISCONNECTED, "the bus was closed"))
        self._drop()
        await asyncio.sleep(0)  # the transport closes in the loop's next turn

    async def _read(self, request: ReadRequest) -> tuple[int, ...]:
        if self._rtu:
            await self._fall_silent(request)
        client = self._client or await self._connect()
        answered = False
        try:
            words = await self._exchange(client, request)
            answered = True
        except BusError as error:
            answered = error.reason is BusReason.EXCEPTION
            raise
        finally:
            self._asked = None
            if not answered:
                self._distrust(self._budget_s(request))
        return words

    async def _connect(self) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
        """Open the line with a new client, so that nothing of the last connection is left. Raises BusDownError."""
        client = self._new_client()
        try:
            async with asyncio.timeout(self._timeout_s):
                client.ctx.transport, _ = await client.ctx.call_create()  # connect() would hide the reason
        except TimeoutError:
            text = f"no connection within {self._timeout_s:g} s; check that it is switched on and can be reached"
            raise BusDownError(text) from None
        except (OSError, ValueError) as error:  # pyserial: SerialException is an OSError
            raise BusDownError(_why(error)) from None
        if client.ctx.transport.is_closing():
            raise BusDownError(f"connected and at once closed again; {_FULL}")
        client.ctx.max_buffer_size = _BUFFER_BYTES
        client.ctx.comm_params.timeout_connect = None  # type: ignore[assignment]  # _exchange keeps the time
        self._client, self._heard_s = client, asyncio.get_running_loop().time()
        return client

    def _new_client(self) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
        """Make a client that neither retries nor reconnects by itself."""
        if isinstance(self._address, TcpAddress):
            return AsyncModbusTcpClient(
                self._address.host,
                port=self._address.port,
                framer=FramerType.RTU if self._rtu else FramerType.SOCKET,
                retries=0,
                reconnect_delay=0,
                trace_packet=self._watch,
                trace_connect=self._watch_connection,
            )
        return AsyncModbusSerialClient(
            self._address.path,
            baudrate=self._address.baud,
            parity=self._address.parity,
            stopbits=self._address.stopbits,
            timeout=0,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._watch,
            trace_connect=self._watch_connection,
        )

    async def _fall_silent(self, request: ReadRequest) -> None:
        """Wait for the silence between frames, and after a failure until no answer can come any more."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + _PATIENCE * self._silence.needed_s(request.min_gap_s)
        while (remaining_s := self._silence.remaining_s(loop.time(), request.min_gap_s)) > 0:
            if loop.time() > give_up_s:
                raise BusError(BusReason.GARBAGE, "the line never falls silent")
            await asyncio.sleep(remaining_s)
        self._silence.trust()

    async def _exchange(
        self, client: AsyncModbusTcpClient | AsyncModbusSerialClient, request: ReadRequest
    ) -> tuple[int, ...]:
        """Send one request and wait for its answer."""
        read = client.read_holding_registers if request.function == 3 else client.read_input_registers
        budget_s = self._budget_s(request)
        self._heard, self._asked = b"", request
        asked_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(budget_s):
                reply = await read(request.address, count=request.count, device_id=request.unit)
        except TimeoutError:
            raise unanswered(self._heard, self._rtu, budget_s) from None
        except ModbusException as error:
            raise BusError(BusReason.GARBAGE, f"pymodbus: {error}") from None
        self._responses.setdefault(request.unit, ResponseTimes()).add(self._heard_s - asked_s)
        return tuple(reply.registers)

    def _budget_s(self, request: ReadRequest) -> float:
        """Give the time from the request's first byte to the answer's last."""
        return max(self._timeout_s, request.min_timeout_s) + request.wire_s

    def _watch(self, sending: bool, data: bytes) -> bytes:
        """See every packet; pass on to pymodbus only the frame that answers the request."""
        if sending:
            self._transaction = int.from_bytes(data[:2], "big")
            return data
        self._heard_s = asyncio.get_running_loop().time()
        self._silence.heard(self._heard_s)
        if self._asked is None:
            self._overhear(len(data))
            return b""
        self._heard = data
        try:
            frame = find_rtu(data, self._asked) if self._rtu else find_tcp(data, self._transaction, self._asked)
        except BusError as error:
            self._fail(error)
            return b""
        if frame is None:
            return b""
        self._asked = None
        self._overhear(len(data) - len(frame))
        return frame

    def _overhear(self, count: int) -> None:
        """Beware after bytes that nobody asked for, where they are enough to hold an answer."""
        if self._rtu and count >= SHORTEST_RTU:
            self._silence.distrust(asyncio.get_running_loop().time(), self._timeout_s)

    def _watch_connection(self, connected: bool) -> None:
        if not connected:
            self._fail(BusError(BusReason.DISCONNECTED, "the connection broke during the request"))
            self._client = None

    def _fail(self, error: BusError) -> None:
        """End the request under way."""
        if self._client and self._asked and not self._client.ctx.response_future.done():
            self._client.ctx.response_future.set_exception(error)
        self._asked = None

    def _distrust(self, quarantine_s: float) -> None:
        """After a failure make sure that what still comes is not taken for the next answer."""
        now_s = asyncio.get_running_loop().time()
        if self._rtu:
            self._silence.distrust(now_s, quarantine_s)
        if isinstance(self._address, TcpAddress):
            lost_step = not self._rtu and not in_step(self._heard)
            if lost_step or now_s - self._heard_s > _DEAF_S:
                self._drop()

    def _drop(self) -> None:
        if self._client:
            self._client.close()
            self._client = None


def _why(error: OSError | ValueError) -> str:
    """Give the reason and the next step of a line that cannot be opened."""
    code = error.errno if isinstance(error, OSError) else None
    if code is None or code < 0:  # the resolver's errors are negative
        return f"{getattr(error, 'strerror', None) or error}; check the address"
    return f"{os.strerror(code)}; {_NEXT_STEPS.get(code, 'check the address')}"
