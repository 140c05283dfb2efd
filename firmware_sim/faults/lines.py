"""What is wrong with the bytes of a reply, with when they come, and with the connection."""

import dataclasses
from dataclasses import dataclass
from random import Random

from firmware_sim.faults.base import End, LineFault, Sending
from firmware_sim.fields import integer, number


@dataclass(frozen=True, kw_only=True)
class Silence(LineFault):
    """No answer."""

    def sent(self, sending: Sending, chance: Random) -> Sending:
        """Send nothing."""
        return dataclasses.replace(sending, data=b"")


@dataclass(frozen=True, kw_only=True)
class Delay(LineFault):
    """The answer comes ``delay_s`` late, and up to ``random_s`` more, in real time."""

    delay_s: float = number(low=0.0, high=3600.0)
    random_s: float = number(0.0, low=0.0, high=3600.0)

    def sent(self, sending: Sending, chance: Random) -> Sending:
        """Send later."""
        return dataclasses.replace(sending, delay_s=sending.delay_s + self.delay_s + chance.random() * self.random_s)


@dataclass(frozen=True, kw_only=True)
class BadCrc(LineFault):
    """A bit of the last byte falls over: on RTU a wrong checksum, on TCP a wrong value."""

    def sent(self, sending: Sending, chance: Random) -> Sending:
        """Turn one bit."""
        if not sending.data:
            return sending
        return dataclasses.replace(
            sending, data=sending.data[:-1] + bytes((sending.data[-1] ^ 1 << chance.randrange(8),))
        )


@dataclass(frozen=True, kw_only=True)
class Partial(LineFault):
    """Only the first ``bytes`` of the frame come."""

    bytes: int = integer(5, low=0, high=260)

    def sent(self, sending: Sending, chance: Random) -> Sending:
        """Cut the frame."""
        return dataclasses.replace(sending, data=sending.data[: self.bytes])


@dataclass(frozen=True, kw_only=True)
class Glued(LineFault):
    """The frame comes twice in one piece."""

    def sent(self, sending: Sending, chance: Random) -> Sending:
        """Repeat it."""
        return dataclasses.replace(sending, data=sending.data * 2)


@dataclass(frozen=True, kw_only=True)
class OverLong(LineFault):
    """``bytes`` of noise follow the frame."""

    bytes: int = integer(4, low=1, high=1000)

    def sent(self, sending: Sending, chance: Random) -> Sending:
        """Go on where the frame ends."""
        return dataclasses.replace(sending, data=sending.data + chance.randbytes(self.bytes))


@dataclass(frozen=True, kw_only=True)
class Noise(LineFault):
    """``bytes`` of noise come before the frame."""

    bytes: int = integer(3, low=1, high=1000)

    def sent(self, sending: Sending, chance: Random) -> Sending:
        """Begin too early."""
        return dataclasses.replace(sending, data=chance.randbytes(self.bytes) + sending.data)


@dataclass(frozen=True, kw_only=True)
class Closed(LineFault):
    """The connection is closed in place of an answer. TCP only; a serial line stays silent."""

    def sent(self, sending: Sending, chance: Random) -> Sending:
        """Hang up."""
        return dataclasses.replace(sending, data=b"", end=End.CLOSE)


@dataclass(frozen=True, kw_only=True)
class HalfOpen(LineFault):
    """The peer is gone and nobody said so: a connection that asks now gets no answer ever again, a new one does."""

    def sent(self, sending: Sending, chance: Random) -> Sending:
        """Go deaf."""
        return dataclasses.replace(sending, data=b"", end=End.DEAF)
