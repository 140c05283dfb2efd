"""What is switched on and off, and when it began."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from firmware_sim.chance import Chance, Floats
from firmware_sim.loads.base import Moments

Mask = NDArray[np.bool_]


def switched(at: Moments, on: Callable[[Floats], Mask]) -> tuple[Floats, Floats]:
    """Give 1 for each step in which something is on, and 1 for each in which it was off the step before."""
    time_s = np.concatenate(([at.time_s[0] - at.step_s], at.time_s))
    is_on = on(time_s).astype(np.float64)
    return is_on[1:], is_on[1:] * (1 - is_on[:-1])


def cycling(at: Moments, chance: Chance, name: str, cycle_s: float, duty: Floats) -> tuple[Floats, Floats]:
    """Give 1 when something runs that is on for ``duty`` of each cycle, and 1 when it begins; the rhythm wanders."""

    def on(time_s: Floats) -> Mask:
        phase = time_s / cycle_s + chance.once(f"phase{name}") + 0.6 * chance.smooth(name, time_s, 5 * cycle_s)
        wanted: Mask = np.mod(phase, 1.0) < np.concatenate((duty[:1], duty))
        return wanted

    return switched(at, on)
