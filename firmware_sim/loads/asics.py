"""Mining machines by model: what their nameplates say, and what they do in the heat.

Sources: makers' figures at the wall, 1,400 W for 13.5 TH/s (S9), 3,250 W for 110 TH/s (S19 Pro),
3,500 W for 200 TH/s (S21), 4,785 W for 319 TH/s (S21+ Hydro); tolerance 5 % (d-central.tech); an
S21 runs at 440 instead of 490 MHz in air above 40 degrees and stops above 47 (hackernoon); an
X19's wall power rises with its boards' temperature at the same voltage and frequency (ydminer).
"""

from dataclasses import dataclass

import numpy as np

from firmware_sim.chance import Floats

_REFERENCE_C = 25.0  # intake air in which a nameplate is measured
_DERATES_C, _STOPS_C = 40.0, 47.0
_DERATED = 1 - 440 / 490


@dataclass(frozen=True, slots=True)
class Asic:
    """A model. ``per_kelvin`` is how much of its power leakage adds with each degree of the intake air."""

    nameplate_w: float
    per_kelvin: float = 0.002  # our estimate: about 6 % between a cold night and a hot afternoon
    protects_itself: bool = False  # runs slower in hot air, and stops in hotter

    def warmth(self, intake_c: Floats) -> Floats:
        """Give power over nameplate in this air.

        >>> ASICS["s21"].warmth(np.array([25.0, 40.0, 47.0])).round(2).tolist()
        [1.0, 1.03, 0.94]
        """
        warmth: Floats = 1 + self.per_kelvin * (intake_c - _REFERENCE_C)
        if self.protects_itself:
            warmth = warmth * (1 - _DERATED * np.clip((intake_c - _DERATES_C) / (_STOPS_C - _DERATES_C), 0, 1))
        return warmth

    def running(self, intake_c: Floats, offsets_c: Floats) -> Floats:
        """Give the share of machines that it is not too hot for; ``offsets_c`` is how much hotter each one stands."""
        if not self.protects_itself:
            return np.ones_like(intake_c)
        coolest_first = np.sort(offsets_c)
        return np.searchsorted(coolest_first, _STOPS_C - intake_c, side="right") / len(offsets_c)


ASICS = {
    "s9": Asic(1400.0),
    "s19_pro": Asic(3250.0),
    "s21": Asic(3500.0, per_kelvin=0.002, protects_itself=True),
    "s21_plus_hydro": Asic(4785.0, per_kelvin=0.0),  # its water is kept at one temperature
}
