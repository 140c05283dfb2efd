"""Induction motors: what they draw when they start, run and idle.

The magnetising current hardly depends on the load, so the power factor falls with it. A start
takes a multiple of the rated current for about a second, most of it reactive: 6 to 8 times where
the motor is switched on directly, some 3 times behind a star-delta or a soft starter, as here.
Sources: EN 60034-12 (starting currents); textbook equivalent circuit.
"""

from firmware_sim.chance import Floats
from firmware_sim.electrical import Power

_MAGNETISING = 0.6  # of the reactive power at full load, which stays without any
_START_S, _START_P, _START_Q = 1.0, 1.2, 2.75  # power factor 0.4 at 3 times the rated apparent power
_THD = 0.035


def motors(active_w: Floats, running_w: Floats, started_w: Floats, pf: float, step_s: float) -> Power:
    """Give what motors draw that together are rated ``running_w`` and carry a load of ``active_w``.

    ``started_w`` are those among them that begin in a step; ``pf`` is their power factor at full
    load. A start counts with its share of a longer step.

    >>> import numpy as np
    >>> full, half, start = np.array([1000.0, 500.0, 1000.0]), np.full(3, 1000.0), np.array([0.0, 0.0, 1000.0])
    >>> drawn = motors(full, half, start, pf=0.8, step_s=1.0)
    >>> drawn.active_w.tolist(), drawn.reactive_var.round().tolist()
    ([1000.0, 500.0, 1200.0], [750.0, 525.0, 2750.0])
    """
    tan_phi = (1 / pf**2 - 1) ** 0.5
    lasts = min(1.0, _START_S / step_s)
    load = active_w / running_w.clip(1e-9)
    reactive_var = tan_phi * running_w * (_MAGNETISING + (1 - _MAGNETISING) * load**2)
    active_w = active_w + (_START_P - 1) * lasts * started_w
    return Power(active_w, reactive_var + (_START_Q - tan_phi) * lasts * started_w, _THD * active_w / pf)
