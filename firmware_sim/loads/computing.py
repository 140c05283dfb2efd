"""Computing and radio: what the power supplies of mining machines are taken for."""

from dataclasses import dataclass

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.electrical import Power
from firmware_sim.fields import integer, number
from firmware_sim.loads.base import Load, Moments, drawn, wander
from firmware_sim.loads.population import Population
from firmware_sim.loads.rectifiers import rectified
from firmware_sim.weather import hour_of_day, is_workday

_MONTH_S = 30 * 86400
_EPOCH_S = 1_767_225_600  # 2026-01-01: where the growth of a data hall is counted from
_LEADING = 0.15  # reactive over rated power: power factor 0.989 at full load, 0.92 at a third of it


@dataclass(frozen=True, kw_only=True)
class DataHall(Load):
    """Servers that breathe a little and grow slowly, with cooling that follows the day and the weather."""

    it_w: float = number(low=1.0)
    cooling_share: float = number(0.25, high=2.0)
    growth_percent_per_month: float = number(0.5, low=-20.0, high=20.0)

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.it_w * (1 + self.cooling_share) * 1.3

    def flow(self, at: Moments, chance: Chance) -> Power:
        """Give what it draws: servers are busier by day, and batches of new ones arrive over months."""
        growth = np.clip(1 + self.growth_percent_per_month / 100 * (at.time_s - _EPOCH_S) / _MONTH_S, 0.1, 1.25)
        busy = 1 + 0.02 * np.cos(2 * np.pi * (hour_of_day(at.time_s) - 14) / 24) * (0.4 + 0.6 * is_workday(at.time_s))
        it_w = self.it_w * growth * busy * wander(chance, at, (0.008, 7200), (0.006, 300), (0.002, 1))
        cooling_w = it_w * self.cooling_share * np.clip(1 + 0.03 * (at.temperature_c - 10), 0.4, 2)
        return rectified(it_w, 1.5 * self.it_w * growth, _LEADING) + drawn(cooling_w, 0.9, 8.0)


_JOBS_S = (300.0, 1200.0, 3600.0)  # how long servers are busy or idle at a time
_BEGINS_S = 2.0  # from idle to full power, the median of what was measured


@dataclass(frozen=True, kw_only=True)
class Servers(Load):
    """A rack of servers, each idle or at full power, as jobs come and go; more of them by day."""

    servers: int = integer(low=1, high=5_000)
    server_w: float = number(800.0, low=50.0, high=20_000.0)
    idle_share: float = number(0.35, low=0.05, high=1.0)
    busy_share: float = number(0.4, high=1.0)

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.servers * self.server_w * 1.1

    def flow(self, at: Moments, chance: Chance) -> Power:
        """Give what they draw; a job takes its seconds to begin and to end."""
        moments_s = [at.time_s + s for s in (-_BEGINS_S / 2, _BEGINS_S / 2)] if at.step_s <= _BEGINS_S else [at.time_s]
        power_w: Floats = np.mean([self._jobs_w(time_s, at, chance) for time_s in moments_s], axis=0)
        noise = wander(chance, at, (0.004, 600), (0.005 / np.sqrt(self.servers), 1))
        return rectified(power_w * noise, np.full_like(at.time_s, self.servers * self.server_w), _LEADING)

    def _jobs_w(self, time_s: Floats, at: Moments, chance: Chance) -> Floats:
        """Give the power of servers whose jobs take effect at once: short ones, longer ones and long ones."""
        total = np.zeros_like(time_s)
        for n, lasts_s in enumerate(_JOBS_S):
            count = len(range(n, self.servers, len(_JOBS_S)))
            if count:
                total += Population(chance, f"jobs{n}", count, max(lasts_s, at.step_s), self._levels_w).total(time_s)
        return total

    def _levels_w(self, uniform: Floats, time_s: float) -> Floats:
        """Give the power of each server in a stretch of time."""
        hour = hour_of_day(np.array([time_s]))
        busy = uniform < self.busy_share * (1 + 0.3 * np.cos(2 * np.pi * (hour - 15) / 24))
        return self.server_w * np.where(busy, 1.0, self.idle_share)


_TRAFFIC_HOURS = (0.0, 4.0, 8.0, 12.0, 18.0, 21.0, 24.0)
_TRAFFIC = (0.3, 0.0, 0.7, 0.9, 1.0, 1.0, 0.3)
_NIGHT_SHARE = 0.67  # of the busiest hour: night over day is then 0.72, the mean of 923 stations


@dataclass(frozen=True, kw_only=True)
class BaseStation(Load):
    """Radio equipment on rectifiers: busy by day, quieter at night, restless by the second."""

    power_w: float = number(low=1.0)

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.power_w * 1.3

    def flow(self, at: Moments, chance: Chance) -> Power:
        """Give what it draws: ``power_w`` in the busiest hour, and as the traffic is else."""
        traffic = np.interp(hour_of_day(at.time_s), _TRAFFIC_HOURS, _TRAFFIC)
        noise = wander(chance, at, (0.03, 3600), (0.02, 60), (0.03, 1))
        power_w = self.power_w * (_NIGHT_SHARE + (1 - _NIGHT_SHARE) * traffic) * noise
        return rectified(power_w, np.full_like(power_w, self.power_w * 1.3), 0.1)
