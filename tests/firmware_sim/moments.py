"""Stretches of simulated time to ask a load about, without a scenario around it."""

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.electrical import Power
from firmware_sim.loads import Load
from firmware_sim.loads.base import Moments
from firmware_sim.mains import Mains
from firmware_sim.weather import Weather

MONDAY_S = 1_767_571_200.0  # 2026-01-05, 00:00 UTC
DAY_S = 86_400.0


class WarmWeather(Weather):
    """Air of one temperature."""

    def __init__(self, temperature_c: float) -> None:
        super().__init__(1)
        self._given_c = temperature_c

    def temperature_c(self, time_s: Floats) -> Floats:
        """Give the same always."""
        return np.full_like(time_s, self._given_c)


def moments(
    days: float, *, step_s: float = 1.0, from_s: float = MONDAY_S, seed: int = 1, weather: Weather | None = None
) -> Moments:
    """Give the middles of the steps of so many days."""
    time_s = from_s + (np.arange(days * DAY_S / step_s) + 0.5) * step_s
    return Moments(time_s, step_s, weather or Weather(seed), Mains(seed))


def flow(load: Load, at: Moments, seed: int = 1) -> Power:
    """Give what a load draws."""
    return load.power(at, Chance(seed, "load"))
