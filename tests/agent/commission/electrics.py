"""What a sound three-phase meter shows of a load, with the mistakes that electricians make."""

import math
from collections.abc import Mapping, Sequence

PHASES = ("l1", "l2", "l3")


def meter_values(
    loads: Sequence[complex] = (3000 + 900j, 2800 + 800j, 3100 + 700j),
    currents_of: Sequence[int] = (0, 1, 2),
    turned: Sequence[int] = (),
    volts: float = 230.0,
) -> dict[str, float]:
    """Give every value of a meter.

    ``loads`` are the phases' P + jQ. Input k carries the current of phase ``currents_of[k]``, turned
    round where k is in ``turned``.
    """
    values = {"frequency_hz": 50.0, "voltage_ln_avg_v": volts, "voltage_ll_avg_v": volts * math.sqrt(3)}
    turn = complex(-0.5, math.sqrt(3) / 2)  # 120 degrees
    for k, phase in enumerate(PHASES):
        source = currents_of[k]
        power = loads[source] * turn ** (source - k) * (-1 if k in turned else 1)
        values |= {
            f"voltage_{phase}_v": volts,
            f"current_{phase}_a": abs(power) / volts,
            f"active_power_{phase}_w": power.real,
            f"reactive_power_{phase}_var": power.imag,
            f"apparent_power_{phase}_va": abs(power),
            f"power_factor_{phase}": power.real / abs(power),
        }
    total = sum(values[f"active_power_{phase}_w"] for phase in PHASES)
    apparent = sum(values[f"apparent_power_{phase}_va"] for phase in PHASES)
    return values | {"active_power_w": total, "apparent_power_va": apparent, "power_factor": total / apparent}


def without(values: Mapping[str, float], *stems: str) -> dict[str, float]:
    """Give the values but for those whose name begins with one of these."""
    return {name: value for name, value in values.items() if not name.startswith(stems)}
