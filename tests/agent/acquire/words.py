"""Requests and registers for tests of the codec."""

from typing import Any

from agent.quantities import QUANTITIES
from agent.records import ReadRequest, Register, Tier


def request(registers: tuple[Register, ...], address: int, count: int) -> ReadRequest:
    """Ask for a few registers; timing does not matter here."""
    return ReadRequest(
        unit=1,
        function=registers[0].function,
        address=address,
        count=count,
        registers=registers,
        wire_s=0.0,
        min_gap_s=0.0,
        min_timeout_s=0.0,
    )


def word(name: str, address: int, **changes: Any) -> Register:
    """Give an entry of one word, fast, without references; ``changes`` replace its fields."""
    plain: dict[str, Any] = {
        "name": name,
        "function": 3,
        "address": address,
        "dtype": "u16",
        "order": "AB",
        "scale": 1.0,
        "tier": Tier.FAST,
        "parameter": name not in QUANTITIES,
        "absent": (),
        "multiply_by": (),
        "exponent_from": "",
        "plus": (),
        "minus": (),
        "verified": "1 source",
    }
    return Register(**(plain | changes))
