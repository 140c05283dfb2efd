"""A week's drops as a mixture: some share of them are reboots of machines of one size, the others anything.

The evidence is the gain in log-likelihood of the best share and size over a share of zero. Sizes
only ever lower a drop's part: a kettle too has one size, and that speaks for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.machines.drop import Drop

CLEARLY_NONE = -3.0  # log-ratio of the drops that are counted only
_SIZES_W = np.geomspace(1250.0, 5000.0, 30)  # S9, throttled, to S21+ with its tolerance; 5 % apart
_TOLERANCE = 0.05  # of nameplates within a farm
_SHARES = np.array([0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.5, 0.75, 0.95])


@dataclass(frozen=True, slots=True)
class Quantum:
    """The best explanation by machines of one size."""

    evidence: float  # log-likelihood gained over "no drop is a reboot"; 0 where there is none
    size_w: float
    member: Floats  # (drops,), the probability of each to be a reboot


def best(drops: Sequence[Drop], counted_only: float) -> Quantum:
    """Find size and share of the reboots among ``drops`` and ``counted_only`` others that are clearly none.

    >>> best([Drop(0.0, 3400.0, 50.0, np.nan, 4.0)] * 8, 20.0).size_w.__round__(-2)
    3400.0
    """
    if not drops:
        return Quantum(0.0, np.nan, np.zeros(0))
    size_w = np.array([drop.drop_w for drop in drops])
    width = np.hypot(_TOLERANCE * _SIZES_W[:, None], [drop.noise_w for drop in drops])
    fits = np.exp(-0.5 * ((size_w - _SIZES_W[:, None]) / width) ** 2)
    ratio = fits * np.exp([drop.log_ratio for drop in drops])  # (sizes, drops)
    gains = np.log1p(_SHARES[:, None, None] * (ratio - 1)).sum(axis=-1)
    gains += counted_only * np.log1p(_SHARES * np.expm1(CLEARLY_NONE))[:, None]
    share, size = np.unravel_index(int(np.argmax(gains)), gains.shape)
    if gains[share, size] <= 0:
        return Quantum(0.0, np.nan, np.zeros(len(drops)))
    weight = _SHARES[share] * ratio[size]
    member = weight / (1 - _SHARES[share] + weight)
    return Quantum(float(gains[share, size]), float(np.average(size_w, weights=member)), member)
