"""The voltage that the street brings to the site, before the site's own loads pull at it."""

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.weather import hour_of_day

NOMINAL_V = 230.0
_EVENING_DIP = 0.008  # of the nominal, when the neighbourhood cooks: part of the +-10 % that EN 50160 allows
_LOWEST_HOUR = 18.5


class Mains:
    """What all phases and all meters of a site have in common."""

    def __init__(self, seed: int) -> None:
        self._chance = Chance(seed, "grid")

    def deviation(self, time_s: Floats, step_s: float) -> Floats:
        """Give the deviation of the voltage from the nominal: the day, hours, minutes and flicker.

        >>> noon, evening = (Mains(1).deviation(np.arange(10) * 86400 + h * 3600.0, 60.0).mean() for h in (11, 18))
        >>> bool(noon > evening)
        True
        """
        day = -_EVENING_DIP * np.cos(2 * np.pi * (hour_of_day(time_s) - _LOWEST_HOUR) / 24)
        waves = [
            sd * self._chance.smooth(f"u{n}", time_s, max(spacing_s, step_s))
            for n, (sd, spacing_s) in enumerate(((0.006, 7200), (0.003, 300), (0.0012, 1)))
        ]
        deviation: Floats = np.sum([day, *waves], axis=0)
        return deviation
