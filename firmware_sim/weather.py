"""Weather and calendar of the simulated site, in UTC, the same for all its loads."""

import numpy as np

from firmware_sim.chance import Chance, Floats

DAY_S = 86400
YEAR_S = 365.2425 * DAY_S
_WARMEST_S = 200 * DAY_S  # mid-July, northern hemisphere


def hour_of_day(time_s: Floats) -> Floats:
    """Give the hour, 0 to 24, with its fraction.

    >>> float(hour_of_day(np.array([86400.0 + 5400.0]))[0])
    1.5
    """
    hour: Floats = np.mod(time_s, DAY_S) / 3600
    return hour


def is_workday(time_s: Floats) -> Floats:
    """Give 1.0 from Monday to Friday, else 0.0 (1 January 1970 was a Thursday).

    >>> is_workday(np.array([0.0, 2 * 86400.0])).tolist()
    [1.0, 0.0]
    """
    weekday: Floats = np.mod(np.floor(time_s / DAY_S) + 3, 7)
    return (weekday < 5).astype(np.float64)


class Weather:
    """Outdoor temperature and clouds of a temperate site."""

    def __init__(self, seed: int) -> None:
        self._chance = Chance(seed, "weather")

    def temperature_c(self, time_s: Floats) -> Floats:
        """Give the outdoor temperature: the year, the day, and weather that lasts some days."""
        year = 10.0 + 9.5 * np.cos(2 * np.pi * (time_s - _WARMEST_S) / YEAR_S)
        day = 3.5 * np.cos(2 * np.pi * (hour_of_day(time_s) - 15) / 24)
        spell = 3.0 * self._chance.smooth("spell", time_s, 2 * DAY_S)
        temperature: Floats = year + day + spell + 0.4 * self._chance.smooth("hour", time_s, 3600)
        return temperature

    def clearness(self, time_s: Floats) -> Floats:
        """Give the share of clear-sky sunlight that passes the clouds, 0.08 to 1."""
        front = self._chance.smooth("front", time_s, DAY_S / 2)
        cloud = self._chance.smooth("cloud", time_s, 600)
        clear: Floats = np.clip(0.65 + 0.35 * front + 0.2 * cloud, 0.08, 1.0)
        return clear

    def sunlight(self, time_s: Floats) -> Floats:
        """Give the clear-sky sunlight at 50 degrees north on a module, 0 to 1."""
        season = np.cos(2 * np.pi * (time_s - 172 * DAY_S) / YEAR_S)  # 1 at the June solstice
        half_day_h = 6.0 + 2.1 * season
        height = np.cos(np.pi * (hour_of_day(time_s) - 12) / (2 * half_day_h))
        light: Floats = np.where(np.abs(hour_of_day(time_s) - 12) < half_day_h, height, 0.0) * (0.7 + 0.3 * season)
        return light
