"""What is wrong with the registers: their content, or the time that it is of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from firmware_sim.chance import Floats
from firmware_sim.faults.base import AddressFault, Reading, RegisterFault, TimeFault
from firmware_sim.fields import integer, names, number

_QUANTITIES = 'quantities such as ["active_power_w"]'


@dataclass(frozen=True, kw_only=True)
class Stuck(TimeFault):
    """The registers freeze bit for bit, and still answer."""

    def shown_s(self, now_s: float) -> float:
        """Stay at the beginning."""
        return self.from_s


@dataclass(frozen=True, kw_only=True)
class Cached(TimeFault):
    """A gateway answers from its memory, and asks the meter every ``refresh_s`` only."""

    refresh_s: float = number(30.0, low=1.0, high=86_400.0)

    def shown_s(self, now_s: float) -> float:
        """Give when the gateway asked last."""
        return now_s // self.refresh_s * self.refresh_s


@dataclass(frozen=True, kw_only=True)
class Reset(RegisterFault):
    """The energy counters begin again at zero."""

    def shown(self, reading: Reading) -> Mapping[str, Floats]:
        """Count from the beginning of the fault."""
        return {name: reading.values[name] - start for name, start in reading.at_start.items()}


@dataclass(frozen=True, kw_only=True)
class RollOver(RegisterFault):
    """The energy counters stand ``after_wh`` below the end of their registers, and soon begin again at zero."""

    after_wh: float = number(1000.0, low=0.0)

    def shown(self, reading: Reading) -> Mapping[str, Floats]:
        """Count from there."""
        return {
            name: np.mod(end - self.after_wh + reading.values[name] - reading.at_start[name], end)
            for name, end in reading.ends.items()
        }


@dataclass(frozen=True, kw_only=True)
class SerialChange(RegisterFault):
    """Another meter of the model hangs in its place."""

    serial: int = integer(low=0)

    def shown(self, reading: Reading) -> Mapping[str, float]:
        """Show its serial number."""
        return {"serial_number": float(self.serial)}


@dataclass(frozen=True, kw_only=True)
class NotAvailable(RegisterFault):
    """Quantities read as the model's pattern for "not available", or as NaN where a float has none."""

    quantities: tuple[str, ...] = names(..., _QUANTITIES)

    def shown(self, reading: Reading) -> Mapping[str, float]:
        """Show nothing."""
        return dict.fromkeys(self.quantities, math.nan)


@dataclass(frozen=True, kw_only=True)
class Value(RegisterFault):
    """Quantities read as ``value``, which may be inf."""

    quantities: tuple[str, ...] = names(..., _QUANTITIES)
    value: float = number(low=-math.inf, high=math.inf)

    def shown(self, reading: Reading) -> Mapping[str, float]:
        """Show that."""
        return dict.fromkeys(self.quantities, self.value)


@dataclass(frozen=True, kw_only=True)
class Scaled(RegisterFault):
    """Quantities read as ``factor`` times what they are."""

    quantities: tuple[str, ...] = names(..., _QUANTITIES)
    factor: float = number(low=-1e9)

    def shown(self, reading: Reading) -> Mapping[str, Floats]:
        """Show the multiple."""
        return {name: reading.values[name] * self.factor for name in self.quantities}


@dataclass(frozen=True, kw_only=True)
class Readdressed(AddressFault):
    """The meter listens to another unit id; where that is taken, two answer at once."""

    unit: int = integer(low=1, high=247)
