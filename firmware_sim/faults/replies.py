"""What is wrong with what a reply says."""

import dataclasses
from dataclasses import dataclass

from firmware_sim.faults.base import ReplyFault
from firmware_sim.fields import integer, pair
from firmware_sim.frames import Message

_READS = (3, 4)
_ERROR = 0x80


@dataclass(frozen=True, kw_only=True)
class Refusal(ReplyFault):
    """The meter refuses with exception ``code``: all requests, or those above a length or at some addresses."""

    code: int = integer(low=1, high=255)
    above: int = integer(0, low=0, high=125)
    addresses: tuple[int, int] = pair((0, 0xFFFF), 0, 0xFFFF, "two addresses, first and last, such as [20, 23]")

    def reply(self, request: Message, reply: Message) -> Message:
        """Refuse where it applies; what is no read request has no address and no length."""
        first, last = self.addresses
        if request.pdu[0] in _READS and len(request.pdu) == 5:
            address, count = int.from_bytes(request.pdu[1:3], "big"), int.from_bytes(request.pdu[3:5], "big")
            if count <= self.above or address > last or address + count <= first:
                return reply
        return dataclasses.replace(reply, pdu=bytes((request.pdu[0] | _ERROR, self.code)))


@dataclass(frozen=True, kw_only=True)
class WrongUnit(ReplyFault):
    """The reply names unit ``unit``."""

    unit: int = integer(low=0, high=255)

    def reply(self, request: Message, reply: Message) -> Message:
        """Say another unit."""
        return dataclasses.replace(reply, unit=self.unit)


@dataclass(frozen=True, kw_only=True)
class WrongTransaction(ReplyFault):
    """The reply names another transaction, by default 0. Modbus TCP only; RTU has none."""

    id: int = integer(0, low=0, high=0xFFFF)

    def reply(self, request: Message, reply: Message) -> Message:
        """Say another transaction."""
        return dataclasses.replace(reply, transaction=self.id)


@dataclass(frozen=True, kw_only=True)
class WrongFunction(ReplyFault):
    """The reply names function ``function``."""

    function: int = integer(low=0, high=255)

    def reply(self, request: Message, reply: Message) -> Message:
        """Say another function."""
        return dataclasses.replace(reply, pdu=bytes((self.function,)) + reply.pdu[1:])


@dataclass(frozen=True, kw_only=True)
class WrongCount(ReplyFault):
    """The reply holds ``registers`` more than were asked for, or fewer, and says so in its byte count."""

    registers: int = integer(-1, low=-125, high=125)

    def reply(self, request: Message, reply: Message) -> Message:
        """Cut the reply, or add zeros."""
        if reply.pdu[0] & _ERROR:
            return reply
        data = reply.pdu[2:]
        size = min(max(0, len(data) + 2 * self.registers), 250)
        return dataclasses.replace(reply, pdu=bytes((reply.pdu[0], size)) + data[:size].ljust(size, b"\0"))


@dataclass(frozen=True, kw_only=True)
class LyingCount(ReplyFault):
    """The byte count is ``by`` off what follows."""

    by: int = integer(2, low=-255, high=255)

    def reply(self, request: Message, reply: Message) -> Message:
        """Lie about the length."""
        if reply.pdu[0] & _ERROR:
            return reply
        return dataclasses.replace(reply, pdu=bytes((reply.pdu[0], (reply.pdu[1] + self.by) & 0xFF)) + reply.pdu[2:])
