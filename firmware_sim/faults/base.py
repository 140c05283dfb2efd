"""The nouns of what can go wrong between a load and the client's socket, in the order of a reply's way.

    load -> MeasuringFault -> counters -> RegisterFault -> registers
         -> TimeFault -> ReplyFault -> frame -> LineFault -> client

Each kind of fault is a frozen record with one method. It has a beginning and an end, and knows
nothing of the others: who wants two things to go wrong names two faults.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Self

import numpy as np
from numpy.typing import NDArray

from firmware_sim.chance import Floats
from firmware_sim.electrical import Phases
from firmware_sim.fields import ALWAYS_S, NEVER_S, moment, number
from firmware_sim.frames import Message

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that is wrong from a moment on, until another."""

    from_s: float = moment(ALWAYS_S, key="from")
    until_s: float = moment(NEVER_S, key="until")

    def at(self, now_s: float) -> bool:
        """Tell whether it is on."""
        return self.from_s <= now_s < self.until_s

    def ended(self, now_s: float) -> Self:
        """Give the same fault, over from now on."""
        return dataclasses.replace(self, until_s=min(self.until_s, now_s))

    def during(self, first_step: int, steps: int, step_s: float) -> Mask:
        """Tell of each of some steps, counted from 1970, whether it is on; it begins and ends with whole steps."""
        numbers = np.arange(first_step, first_step + steps)
        mask: Mask = (numbers >= _step(self.from_s, step_s)) & (numbers < _step(self.until_s, step_s))
        return mask


def _step(time_s: float, step_s: float) -> float:
    return float(math.floor(time_s / step_s)) if math.isfinite(time_s) else time_s


@dataclass(frozen=True, kw_only=True)
class MeasuringFault(Fault, ABC):
    """Changes what reaches the metering chip, and so the energy counters with it."""

    @abstractmethod
    def measured(self, phases: Phases, secondary: bool) -> Phases:
        """Give what the meter takes for the three phases.

        ``secondary``: its registers hold values of the transformers' secondary side, and the reader multiplies.
        """


@dataclass(frozen=True, slots=True)
class Reading:
    """What a register fault needs to know: a block of every quantity, and what the counters said when it began."""

    values: Mapping[str, Floats]
    at_start: Mapping[str, float]
    ends: Mapping[str, float]  # of the model's counters: the value at which each register rolls over


@dataclass(frozen=True, kw_only=True)
class RegisterFault(Fault, ABC):
    """Changes what the registers say, in SI units; ``quantities`` are those that the scenario names."""

    quantities: tuple[str, ...] = ()

    @abstractmethod
    def shown(self, reading: Reading) -> Mapping[str, Floats | float]:
        """Give the quantities that it changes."""


@dataclass(frozen=True, kw_only=True)
class TimeFault(Fault, ABC):
    """Shows the registers of another time."""

    @abstractmethod
    def shown_s(self, now_s: float) -> float:
        """Give the time whose registers are answered with."""


@dataclass(frozen=True, kw_only=True)
class AddressFault(Fault):
    """Gives the meter another unit id."""

    unit: int


@dataclass(frozen=True, kw_only=True)
class _Occasional(Fault):
    """``share`` is how many of the replies it hits."""

    share: float = number(1.0, low=0.0, high=1.0)

    def strikes(self, now_s: float, chance: Random) -> bool:
        """Tell whether it hits the reply of now."""
        return self.at(now_s) and (self.share >= 1 or chance.random() < self.share)


@dataclass(frozen=True, kw_only=True)
class ReplyFault(_Occasional, ABC):
    """Changes what the reply says."""

    @abstractmethod
    def reply(self, request: Message, reply: Message) -> Message:
        """Give the reply that goes out instead."""


class End(Enum):
    """What becomes of a TCP connection with a reply."""

    KEEP = "keep"
    CLOSE = "close"
    DEAF = "deaf"  # half-open: it stays, and nothing that comes in on it is heard any more


@dataclass(frozen=True, slots=True)
class Sending:
    """The bytes of a reply on their way; no bytes are silence."""

    data: bytes
    delay_s: float = 0.0
    end: End = End.KEEP


@dataclass(frozen=True, kw_only=True)
class LineFault(_Occasional, ABC):
    """Changes the bytes on the wire, when they come, or the connection."""

    @abstractmethod
    def sent(self, sending: Sending, chance: Random) -> Sending:
        """Give what is sent instead."""
