"""A fault of somebody's wish, while the simulator runs."""

import math
from collections.abc import Mapping
from pathlib import Path

from firmware_sim.errors import SimError
from firmware_sim.faults import KINDS
from firmware_sim.faults.base import Fault
from firmware_sim.fields import Context, did_you_mean, read_table


def new_fault(kind: str, keys: Mapping[str, object], now_s: float) -> Fault:
    """Make a fault that begins now, unless it says otherwise; durations count from now. Raises SimError.

    >>> new_fault("delay", {"delay_s": 3, "until": "1m"}, 1000.0)
    Delay(from_s=1000.0, until_s=1060.0, share=1.0, delay_s=3.0, random_s=0.0)
    """
    if kind not in KINDS:
        raise SimError(f"{kind!r}: expected one of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    complaints: list[str] = []
    context = Context(now_s, Path(), begins_s=now_s)
    values = read_table(dict(keys), KINDS[kind], kind, context, complaints)
    if complaints:
        raise SimError(complaints)
    return KINDS[kind](**({"from_s": now_s, "until_s": math.inf} | values))
