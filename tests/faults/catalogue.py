"""All cases: importing the modules that hold them fills the register."""

from tests.faults import adversary, clock, configuration, modbus, mqtt, network, operating_system, storage
from tests.faults.case import CASES

SHORT = (
    "M4",
    "M6",
    "M12",
    "M16",
    "B2",
    "B5",
    "O2",
    "O10",
    "T1",
    "T5",
    "C5",
    "A2",
)  # of `make test`: a dozen that take few seconds each

__all__ = [
    "CASES",
    "SHORT",
    "adversary",
    "clock",
    "configuration",
    "modbus",
    "mqtt",
    "network",
    "operating_system",
    "storage",
]
