"""What is wrong with a meter, its wiring or its bus: a finding says what was seen, why, and what to do.

The modules ``diagnose_*`` are pure: values and counts in, findings out. ``readout`` reads the meter.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

Values = Mapping[str, float]

DOWN = "bus_down"  # code of the finding that the bus itself cannot be opened


class Severity(StrEnum):
    """How much a finding matters, worst first."""

    FAULT = "fault"  # the values are wrong or missing
    WARNING = "warning"  # they may be, or will be
    NOTE = "note"  # good to know; a healthy meter may have it


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong."""

    severity: Severity
    code: str  # for programs: word_order, ct_reversed, …
    seen: str  # with numbers
    cause: str
    next_step: str


def typical(readings: Sequence[Values]) -> dict[str, float]:
    """Give the median of each value over several readings, NaN where none has it.

    >>> typical([{"active_power_w": 900.0}, {"active_power_w": math.nan}, {"active_power_w": 910.0}])
    {'active_power_w': 905.0}
    """
    names = dict.fromkeys(name for values in readings for name in values)
    known = {name: [v for values in readings if not math.isnan(v := values.get(name, math.nan))] for name in names}
    return {name: median(found) if found else math.nan for name, found in known.items()}


def shown(value: float) -> str:
    """Give a value for a person.

    >>> shown(229.70000000000002), shown(12.0), shown(math.nan)
    ('229.7', '12', '-')
    """
    return "-" if math.isnan(value) else f"{value:.3f}".rstrip("0").rstrip(".")
