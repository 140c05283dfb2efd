"""The agent's ear at the simulated meters' mouth: whole frames and the agent's judgement of them, without a socket."""

from agent.acquire.bus.listener import Listener, RtuListener, TcpListener
from agent.acquire.bus.patience import Patience
from agent.acquire.bus.times import BusTimes, LineTimes
from agent.errors import BusError, BusReason
from agent.records import ReadRequest
from firmware_sim.clock import StillClock
from firmware_sim.faults.base import End, Sending
from firmware_sim.frames import Message, rtu_frame, tcp_frame
from firmware_sim.station import Units

_TIMEOUT_S = 1.0


class MemoryBus:
    """Implements the agent's ``Bus`` over the simulator's ``Units``; ``clock`` is the meters' and gives the time.

    An answer that is late for its request is heard with the next one, as on a real line.
    """

    def __init__(self, units: Units, clock: StillClock, rtu: bool) -> None:
        self._units, self._clock, self._rtu = units, clock, rtu
        patience = Patience(_TIMEOUT_S, _TIMEOUT_S)
        self._ear: Listener = (RtuListener if rtu else TcpListener)(patience, _TIMEOUT_S)
        self._late: list[bytes] = []
        self._waited_s = 0.0
        self._transaction = 0
        self._deaf = False

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """Give the words. Raises BusError."""
        self._waited_s += self.rest_s(request.unit)
        if self._ear.out_of_step:
            self._connect()
        self._transaction = self._transaction % 0xFFFF + 1
        pdu = bytes((request.function,)) + request.address.to_bytes(2, "big") + request.count.to_bytes(2, "big")
        question = Message(request.unit, pdu, self._transaction)
        frame = rtu_frame if self._rtu else tcp_frame
        self._ear.ask(request, frame(question), self._now_s)
        try:
            answer = self._hear(self._units.answers(question, frame))
        finally:
            self._ear.give_up(self._now_s)
        data = answer[3:-2] if self._rtu else answer[9:]
        return tuple(int.from_bytes(data[n : n + 2], "big") for n in range(0, len(data), 2))

    @property
    def _now_s(self) -> float:
        return self._clock.now_s() + self._waited_s

    def _hear(self, sent: list[Sending]) -> bytes:
        """Give the frame that answers. Raises BusError."""
        heard, self._late = self._late, []
        for sending in sent:
            self._deaf |= sending.end is End.DEAF
            if sending.end is End.CLOSE and not self._rtu:
                self._connect()
                raise BusError(BusReason.DISCONNECTED, "the connection broke during the request")
            if not self._deaf or self._rtu:
                (self._late if sending.delay_s > _TIMEOUT_S else heard).append(sending.data)
        for data in heard:
            if answer := self._ear.hear(data, self._now_s):
                return answer
        self._waited_s += _TIMEOUT_S
        error = self._ear.silence(_TIMEOUT_S)
        if self._deaf:
            self._connect()  # the real bus does after ten seconds without a byte
        raise error

    def _connect(self) -> None:
        self._ear.connected()
        self._deaf, self._late = False, []

    def rest_s(self, unit: int) -> float:
        """Give how long the unit is still left alone."""
        return self._ear.rest_s(unit, self._now_s)

    def times(self) -> BusTimes:
        """Give nothing: no time passes on this line."""
        return LineTimes().summary(self._now_s)

    async def close(self) -> None:
        """Do nothing: there is no line."""
