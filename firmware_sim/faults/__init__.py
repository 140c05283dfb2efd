"""Everything that can go wrong, by the ``kind`` that a scenario names it by."""

from firmware_sim.faults.base import Fault
from firmware_sim.faults.lines import BadCrc, Closed, Delay, Glued, HalfOpen, Noise, OverLong, Partial, Silence
from firmware_sim.faults.measuring import CtChange, Wiring
from firmware_sim.faults.registers import (
    Cached,
    NotAvailable,
    Readdressed,
    Reset,
    RollOver,
    Scaled,
    SerialChange,
    Stuck,
    Value,
)
from firmware_sim.faults.replies import LyingCount, Refusal, WrongCount, WrongFunction, WrongTransaction, WrongUnit

KINDS: dict[str, type[Fault]] = {
    "wiring": Wiring,
    "ct_change": CtChange,
    "reset": Reset,
    "roll_over": RollOver,
    "serial_change": SerialChange,
    "not_available": NotAvailable,
    "value": Value,
    "scaled": Scaled,
    "stuck": Stuck,
    "cached": Cached,
    "readdressed": Readdressed,
    "exception": Refusal,
    "wrong_unit": WrongUnit,
    "wrong_transaction": WrongTransaction,
    "wrong_function": WrongFunction,
    "wrong_count": WrongCount,
    "lying_count": LyingCount,
    "bad_crc": BadCrc,
    "partial": Partial,
    "glued": Glued,
    "over_long": OverLong,
    "noise": Noise,
    "silence": Silence,
    "delay": Delay,
    "closed": Closed,
    "half_open": HalfOpen,
}
