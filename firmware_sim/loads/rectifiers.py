"""Power supplies with active power factor correction: of servers, of radio equipment, of mining machines.

Their current follows the voltage, but the filter capacitors at their input hang on the mains as
long as they are plugged in: a leading reactive power that does not change with the load. So the
power factor falls at low load, and so does the share of the fundamental in the current.

Sources: reactive power sized after 170 logs of servers above 600 W under constant load, power
factor 0.988 (MLPerf wall power), 0.82 to 0.94 idle; distortion 3 to 10 %, highest at low load,
as makers of server supplies publish it.
"""

from firmware_sim.chance import Floats
from firmware_sim.electrical import Power

_THD_FULL, _THD_FIXED = 0.019, 0.016  # 3.5 % of the current at full load, 10 % at a fifth of it


def rectified(active_w: Floats, plugged_w: Floats, leading: float) -> Power:
    """Give what supplies of ``plugged_w`` rated power draw for a load of ``active_w``.

    ``leading`` is their reactive over their rated power, 0.1 to 0.2.

    >>> import numpy as np
    >>> drawn = rectified(np.array([3000.0, 300.0]), np.array([3000.0, 3000.0]), leading=0.1)
    >>> drawn.reactive_var.tolist(), drawn.thd_percent.round(1).tolist()
    ([-300.0, -300.0], [3.5, 12.7])
    """
    return Power(active_w, -leading * plugged_w, _THD_FULL * abs(active_w) + _THD_FIXED * plugged_w)
