"""All cases: importing the modules that hold them fills the register."""

from tests.faults import (
    adversary,
    clock,
    configuration,
    intruder,
    modbus,
    mqtt,
    network,
    operating_system,
    registers,
    storage,
)
from tests.faults.case import CASES

SHORT = ("M6", "M13", "M16", "B2", "T1", "T5", "C2", "C5", "A2", "A5")  # of `make test`: three seconds of a core each

__all__ = [
    "CASES",
    "SHORT",
    "adversary",
    "clock",
    "configuration",
    "intruder",
    "modbus",
    "mqtt",
    "network",
    "operating_system",
    "registers",
    "storage",
]
