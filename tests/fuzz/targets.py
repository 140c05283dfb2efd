"""What is fed with wrong inputs, and what must hold after each: nothing escapes, nothing is invented.

A target has ``feed(rng)``: it makes one input, feeds it and checks. An expected refusal is counted; any
other exception, or an invention, is a failure. ``accepted`` counts inputs that were right after all:
a target that accepts none has fuzzed nothing but its own door.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Protocol

from tests.fuzz.files import Config, SpoolFile
from tests.fuzz.line import Modbus
from tests.fuzz.messages import Collector, Commands, Receipts


class Target(Protocol):
    """Something that reads what others wrote."""

    accepted: int
    refused: Counter[str]

    def feed(self, rng: Random) -> None:
        """Feed one input and check what must hold; AssertionError says what did not."""

    def close(self) -> None:
        """Check what must hold at the end, and let go."""


TARGETS: dict[str, tuple[Callable[[Path], Target], float]] = {
    "modbus": (Modbus, 0.65),  # with its share of the inputs: the cheap ones are fed more
    "collector": (Collector, 0.14),
    "receipts": (Receipts, 0.10),
    "commands": (Commands, 0.095),
    "config": (Config, 0.01),
    "spool": (SpoolFile, 0.005),
}
