"""In what steps does an energy register count? Learned from its readings; arrays (meters, 2)."""

import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.quality.view import Flags, View

_UNIT_WH = 0.01  # in which steps are measured: finer than any register
_ROUNDED = 2  # units: what steps behind an odd ratio, once rounded, have in common, and no register counts in
_F32_DIGITS = 2.0**-23  # spacing of a float32 relative to its value: a register of 10 GWh has steps of 1 kWh


class Resolution:
    """The steps of each register; ``kept`` outlives restarts.

    A register counts in the greatest common divisor of all its steps, and no finer than a float32;
    where rounding left them none, in the smallest of them.
    One that often stands still while a load flows counts in the smallest of its steps, whatever the
    divisor says: transformer ratios need not be round, and some meters renew their energies slowly.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.kept: dict[str, Floats] = {name: np.zeros(shape) for name in ("units", "finest_wh", "least_wh", "rested")}

    def learn(self, view: View, step_wh: Floats, paired: Flags) -> None:
        """Take the steps (meters, 2, ticks) of a window at the ticks where two readings are known."""
        coarse = self.kept["units"] != 1  # the others cannot become finer
        divisor = np.gcd.reduce(np.rint(np.abs(step_wh[coarse]) / _UNIT_WH).astype(np.int64), axis=-1)
        self.kept["units"][coarse] = np.gcd(divisor, self.kept["units"][coarse].astype(np.int64))
        flows = view.loaded[:, None] & (np.stack([view.power_w, -view.power_w], axis=1) > 0)
        grew = step_wh > 0
        moves, rests = grew.any(axis=-1), (paired & (step_wh == 0)).any(axis=-1) & flows
        rested = rests | (self.kept["rested"] > 0)
        smallest_wh = np.min(np.where(grew, step_wh, np.inf), axis=-1)
        finest_wh = self.kept["finest_wh"]
        finer = moves & ((finest_wh == 0) | (smallest_wh < finest_wh))
        self.kept["finest_wh"] = np.where(finer, smallest_wh, finest_wh)
        self.kept["least_wh"] = np.where(moves & flows, np.where(rested, smallest_wh, 0.0), self.kept["least_wh"])
        self.kept["rested"] = np.where(moves, rests, rested).astype(float)

    def forget(self, which: Flags) -> None:
        """Begin anew: another meter may be in place."""
        self.kept = {name: np.where(which, 0.0, array) for name, array in self.kept.items()}

    @property
    def unit_wh(self) -> Floats:
        """Give the divisor of all steps so far (meters, 2), 0 where there are none."""
        unit: Floats = self.kept["units"] * _UNIT_WH
        return unit

    def step_wh(self, energy_wh: Floats) -> Floats:
        """Give the resolution of registers with these readings (meters, 2, ticks), NaN where none has moved yet."""
        unit_wh = self.unit_wh
        own_wh = np.where(self.kept["units"] > _ROUNDED, unit_wh, self.kept["finest_wh"])
        learnt = np.where(unit_wh > 0, np.maximum(own_wh, self.kept["least_wh"]), np.nan)
        coarsest: Floats = np.maximum(learnt, np.fmax.reduce(energy_wh, axis=-1) * _F32_DIGITS)
        return coarsest
