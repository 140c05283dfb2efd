"""What is heard on a line: the answer to the request under way, late answers to earlier ones, and noise.

On TCP a transaction id tells which request an answer is for. On RTU it names its unit only, so a
unit that owes an answer is not asked again before it has come or can come no more
(``docs/decisions/0010``). Times are arguments, in seconds of a clock that only goes forward.
"""

from typing import Protocol

from agent.acquire.bus.answers import (
    GATEWAY_CODES,
    LONGEST_RTU,
    SHORTEST_RTU,
    answers,
    check_tcp,
    find_rtu,
    rtu_frame,
    shown,
    tcp_end,
)
from agent.acquire.bus.late import LateAnswers, Owed
from agent.acquire.bus.patience import Patience
from agent.errors import BusError, BusReason
from agent.records import ReadRequest

_MOST_BYTES = 4 * LONGEST_RTU  # kept of what is heard; so many without an answer among them are a flood


class Listener(Protocol):
    """One line's ear."""

    def connected(self) -> int:
        """Note a new connection; give the transaction that its requests count on from.

        A gateway may give an answer to whoever is connected when it comes.
        """

    def ask(self, request: ReadRequest, packet: bytes, now_s: float) -> None:
        """Note that a request goes out, as these bytes."""

    def hear(self, data: bytes, now_s: float) -> bytes | None:
        """Take what arrived; give the frame that answers the request, once it is complete. Raises BusError."""

    def give_up(self, now_s: float) -> bool:
        """Note that the request under way is over; tell whether its answer may come late."""

    def silence(self, waited_s: float) -> BusError:
        """Name what it was that was heard instead of an answer."""

    def rest_s(self, unit: int, now_s: float) -> float:
        """Give how long the unit must not be asked."""

    def free_s(self) -> float:
        """Give the time at which whoever passes on our requests is done with the earlier ones."""

    @property
    def out_of_step(self) -> bool:
        """Whether what is heard can no longer be told apart, so that only a new connection helps."""

    @property
    def puzzled(self) -> bool:
        """Whether something was heard that could be an answer of any unit."""


class TcpListener:
    """Hears a Modbus TCP connection."""

    puzzled = False

    def __init__(self, patience: Patience, ceiling_s: float) -> None:
        self._patience = patience
        self._ceiling_s = ceiling_s
        self._late = LateAnswers()
        self._heard = b""
        self._asked: ReadRequest | None = None
        self._transaction = 0
        self._sent_s = self._begins_s = 0.0
        self._strange: int | None = None

    def connected(self) -> int:
        """Note a new connection, on which no frame is half heard; give the transaction of the latest request."""
        self._heard = b""
        return self._transaction

    def ask(self, request: ReadRequest, packet: bytes, now_s: float) -> None:
        """Note that a request goes out; a gateway begins with it when it is done with the earlier ones."""
        if self._late:
            self._late.expire(now_s)
        self._asked, self._transaction = request, int.from_bytes(packet[:2], "big")
        self._sent_s, self._begins_s = now_s, max(now_s, self._late.last_s())
        self._strange = None

    def hear(self, data: bytes, now_s: float) -> bytes | None:
        """Take what arrived; give the frame that answers the request. Raises BusError."""
        self._heard += data
        answer = None
        while end := tcp_end(self._heard):
            frame, self._heard = self._heard[:end], self._heard[end:]
            answer = self._judge(frame, now_s) or answer
        return answer

    def give_up(self, now_s: float) -> bool:
        """Note that the request under way is over; a gateway may be busy with it until the ceiling."""
        if self._asked is None:
            return False
        until_s = self._begins_s + self._ceiling_s + self._asked.wire_s
        self._late.owe(self._transaction, Owed(self._asked, self._sent_s, until_s))
        self._asked = None
        return True

    def silence(self, waited_s: float) -> BusError:
        """Name what it was that was heard instead of an answer."""
        if self._heard:
            return BusError(BusReason.GARBAGE, f"{shown(self._heard)} within {waited_s:.2f} s that are no answer")
        if self._strange is not None:
            text = f"within {waited_s:.2f} s only an answer with transaction id {self._strange}"
            return BusError(BusReason.WRONG_TRANSACTION, f"{text}, asked with was {self._transaction}")
        return BusError(BusReason.TIMEOUT, f"no answer within {waited_s:.2f} s")

    def rest_s(self, unit: int, now_s: float) -> float:
        """Give 0: the transaction id tells a late answer."""
        return 0.0

    def free_s(self) -> float:
        """Give the time at which a gateway is done with what it still owes."""
        return self._late.last_s()

    @property
    def out_of_step(self) -> bool:
        """Whether the middle of a frame comes next."""
        return bool(self._heard)

    def _judge(self, frame: bytes, now_s: float) -> bytes | None:
        """Give the frame back if it is the answer; learn from one that comes late how slow its unit is."""
        transaction = int.from_bytes(frame[:2], "big")
        if self._asked and transaction == self._transaction:
            request, self._asked = self._asked, None
            check_tcp(frame, request)
            return frame
        owed = self._late.settle(transaction)
        if owed is None:
            self._strange = transaction
        elif owed.request:
            self._patience.answered(owed.request.unit, now_s - owed.sent_s - owed.request.wire_s)
        return None


class RtuListener:
    """Hears a serial line, at its own adapter or through a gateway that passes bytes on."""

    out_of_step = False

    def __init__(self, patience: Patience, ceiling_s: float) -> None:
        self._patience = patience
        self._ceiling_s = ceiling_s
        self._late = LateAnswers()
        self._heard = b""
        self._asked: ReadRequest | None = None
        self._packet = b""
        self._sent_s = 0.0
        self._stranger: int | None = None

    def connected(self) -> int:
        """Give 0: there are no transactions; whoever owed an answer may send it on the new connection."""
        return 0

    def ask(self, request: ReadRequest, packet: bytes, now_s: float) -> None:
        """Note that a request goes out."""
        if self._late:
            self._late.expire(now_s)
        self._asked, self._packet, self._sent_s = request, packet, now_s
        self._heard, self._stranger = b"", None

    def hear(self, data: bytes, now_s: float) -> bytes | None:
        """Take what arrived; give the frame that answers the request. Raises BusError."""
        self._heard = (self._heard + data)[-_MOST_BYTES:]
        if self._asked is None:
            self._pass_frames(now_s)
            return None
        if self._packet.startswith(self._heard):
            return None  # the echo of a two-wire adapter, so far
        self._heard = self._heard.removeprefix(self._packet)
        self._pass_frames(now_s)
        return self._answer(self._asked, now_s)

    def give_up(self, now_s: float) -> bool:
        """Note that the request under way is over; its unit rests for as long as an answer may take at most."""
        if self._asked is None:
            return False
        until_s = now_s + self._ceiling_s + self._asked.wire_s
        self._late.owe(self._asked.unit, Owed(self._asked, self._sent_s, until_s))
        self._asked = None
        return True

    def silence(self, waited_s: float) -> BusError:
        """Name what it was that was heard instead of an answer."""
        if heard := self._heard.removeprefix(self._packet):  # an echo alone is silence
            return BusError(BusReason.GARBAGE, f"{shown(heard)} within {waited_s:.2f} s that are no answer")
        if self._stranger is not None:
            return BusError(BusReason.WRONG_UNIT, f"within {waited_s:.2f} s only unit {self._stranger} answered")
        return BusError(BusReason.TIMEOUT, f"no answer within {waited_s:.2f} s")

    def rest_s(self, unit: int, now_s: float) -> float:
        """Give how long the unit must not be asked."""
        return max(0.0, self._late.until_s(unit) - now_s)

    def free_s(self) -> float:
        """Give the past: nothing queues requests here."""
        return float("-inf")

    @property
    def puzzled(self) -> bool:
        """Whether something was heard unasked that could be an answer of any unit."""
        return len(self._heard) >= SHORTEST_RTU and not self._late

    def _answer(self, request: ReadRequest, now_s: float) -> bytes | None:
        """Give the answer to ``request`` if it has been heard; after that, what is heard is unasked."""
        try:
            found = find_rtu(self._heard, request)
        except BusError as error:
            self._heard = b""
            if error.code not in GATEWAY_CODES:  # else the meter itself has said nothing yet
                self._asked = None
            raise
        if found is None and len(self._heard) == _MOST_BYTES:
            raise BusError(BusReason.GARBAGE, f"{shown(self._heard)} without an answer among them")
        if found is None:
            return None
        frame, self._heard, self._asked = self._heard[found], self._heard[found.stop :], None
        self._pass_frames(now_s)
        return frame

    def _pass_frames(self, now_s: float) -> None:
        """Take off the frames that are not of the unit asked."""
        while frame := rtu_frame(self._heard):
            unit = frame[0]
            if self._asked and unit == self._asked.unit:
                return
            self._heard = self._heard[len(frame) :]
            self._pass(frame, now_s)

    def _pass(self, frame: bytes, now_s: float) -> None:
        """Learn from an answer that comes late how slow its unit is; beware of a unit that answers unasked."""
        unit = frame[0]
        owed = self._late.settle(unit)
        if owed and owed.request and answers(frame, owed.request):
            self._patience.answered(unit, now_s - owed.sent_s - owed.request.wire_s)
        else:
            self._late.owe(unit, Owed(None, now_s, now_s + self._ceiling_s))
            self._stranger = unit
