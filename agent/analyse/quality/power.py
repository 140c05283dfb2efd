"""How large are a meter's powers usually, and in what steps does it show them? Arrays (meters,)."""

from collections.abc import Sequence

import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.quality.view import Flags
from agent.analyse.window import lettered
from agent.records import Quality, Window

_HALF_LIFE_S = 7 * 86_400.0  # of a peak: loads go, and others come
_HIGHEST_PEAK = 20.0  # times the largest mean: motors start with eight times their power; what is above is a glitch
_UNIT_W = 0.01  # in which steps are measured
_COARSE_W = 100.0  # and 5 % of the load: steps above are those of a load that hardly moves, not of the meter
_COARSE = 0.05
_DOUBTFUL = (Quality.RANGE, Quality.EXCHANGED, Quality.ARITHMETIC, Quality.ENERGY)  # the power may be of another scale


class Power:
    """What is usual; ``kept`` outlives restarts. What was seen in doubt does not count once the doubt is over."""

    def __init__(self, meters: Sequence[str]) -> None:
        names = ("largest_w", "peak_w", "units", "doubted", "known_s")
        self.kept: dict[str, Floats] = {name: np.zeros(len(meters)) for name in names}

    def take(self, window: Window, good: Flags) -> None:
        """Learn from a window of all meters, of which some are ``good``."""
        power_w = window.values["active_power_w"]
        known = good[:, None] & np.isfinite(power_w)
        magnitude = np.abs(power_w) if known.all() else np.where(known, np.abs(power_w), 0.0)
        trusted = self.kept["doubted"] == 0
        mean_w = magnitude.sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
        largest_w = np.maximum(np.where(trusted, self.kept["largest_w"], 0.0), mean_w)
        fading = 0.5 ** (window.window_s / _HALF_LIFE_S)
        peak_w = np.maximum(np.where(trusted, fading * self.kept["peak_w"], 0.0), magnitude.max(axis=-1))
        coarse = self.kept["units"] != 1  # the others cannot become finer
        units = np.gcd.reduce(np.rint(magnitude[coarse] / _UNIT_W).astype(np.int64), axis=-1)
        self.kept["units"][coarse] = np.gcd(units, self.kept["units"][coarse].astype(np.int64))
        self.kept["known_s"] = self.kept["known_s"] + np.where(good, window.window_s, 0)
        self.kept["largest_w"] = largest_w
        self.kept["peak_w"] = np.minimum(peak_w, _HIGHEST_PEAK * largest_w)

    @property
    def step_w(self) -> Floats:
        """Give the resolution of the active power."""
        most_w = np.maximum(_COARSE_W, _COARSE * self.kept["largest_w"])
        step: Floats = np.minimum(self.kept["units"] * _UNIT_W, most_w)
        return step

    def doubt(self, window: Window) -> None:
        """Take the final letters of the window."""
        self.kept["doubted"] = lettered(window, *_DOUBTFUL).astype(float)
