"""Who listens on a bus: meters by their unit ids, and what their faults make of an answer on its way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from firmware_sim.clock import Clock
from firmware_sim.faults.base import Sending
from firmware_sim.faults.book import FaultBook
from firmware_sim.frames import Message

_NO_GATEWAY_TARGET = 0x0B

MakeFrame = Callable[[Message], bytes]


class Answering(Protocol):
    """A meter: a request's PDU in, the answer's out."""

    def answer(self, request: bytes) -> bytes:
        """Answer one request."""


class Nobody:
    """What a gateway says for a unit that is not there."""

    def answer(self, request: bytes) -> bytes:
        """Answer with exception 0x0B."""
        return bytes((request[0] | 0x80, _NO_GATEWAY_TARGET))


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One meter at its bus."""

    unit: int
    device: Answering
    faults: FaultBook
    clock: Clock
    chance: Random
    turnaround_s: float = 0.0  # from the end of a request to the beginning of the reply
    min_gap_s: float = 0.0  # silence that it wants before a request

    def listens_to(self, unit: int) -> bool:
        """Tell whether a request to this unit is for it."""
        now_s = self.clock.now_s()
        moved = [fault.unit for fault in self.faults.addresses if fault.at(now_s)]
        return unit == (moved[-1] if moved else self.unit)

    def answer(self, request: Message, frame: MakeFrame) -> Sending:
        """Give what it sends for a request."""
        now_s = self.clock.now_s()
        reply = Message(request.unit, self.device.answer(request.pdu), request.transaction)
        for reply_fault in self.faults.replies:
            if reply_fault.strikes(now_s, self.chance):
                reply = reply_fault.reply(request, reply)
        sending = Sending(frame(reply), self.turnaround_s)
        for line_fault in self.faults.lines:
            if line_fault.strikes(now_s, self.chance):
                sending = line_fault.sent(sending, self.chance)
        return sending


class Units:
    """The meters of one bus."""

    def __init__(self, stations: Sequence[Station], nobody: Station | None = None) -> None:
        self._stations, self._nobody = stations, nobody
        self._at_home = {station.unit: [station] for station in stations}
        self.look_again()

    def look_again(self) -> None:
        """Note whether some meter may listen to another unit than its own: to ask each at every request costs."""
        self._wandering = any(station.faults.addresses for station in self._stations)

    def answers(self, request: Message, frame: MakeFrame, silence_s: float = float("inf")) -> list[Sending]:
        """Give what is sent for a request that came after so much silence; nothing where nobody feels addressed."""
        if self._wandering:
            called = [station for station in self._stations if station.listens_to(request.unit)]
        else:
            called = self._at_home.get(request.unit, [])
        if not called:
            return [self._nobody.answer(request, frame)] if self._nobody else []
        sent = [station.answer(request, frame) for station in called if silence_s >= station.min_gap_s]
        return sent if len(sent) < 2 else self._collided(sent, request, frame)

    def _collided(self, sent: list[Sending], request: Message, frame: MakeFrame) -> list[Sending]:
        """Give what remains of answers at one time: on a line the dominant bits, of which a gateway makes nothing."""
        first, second = sorted(sent, key=lambda sending: len(sending.data))[-2:]
        if self._nobody and first.data != second.data:
            return [self._nobody.answer(request, frame)]
        if first.delay_s != second.delay_s:
            return sent
        mixed = bytes(a & b for a, b in zip(first.data, second.data, strict=False))
        return [Sending(mixed + second.data[len(mixed) :], first.delay_s)]
