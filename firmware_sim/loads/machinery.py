"""Loads with motors: cold stores, pumps, and what runs by the shift or around the clock."""

from dataclasses import dataclass

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.electrical import Power
from firmware_sim.fields import hours, integer, number
from firmware_sim.loads.base import Load, Moments, drawn, wander
from firmware_sim.loads.cycles import Mask, cycling, switched
from firmware_sim.loads.motors import motors
from firmware_sim.weather import hour_of_day, is_workday

_MEAN_DUTY = 0.47  # of a compressor, over a year


@dataclass(frozen=True, kw_only=True)
class ColdStore(Load):
    """Compressors that switch on and off, longer on warm days and when doors open."""

    mean_w: float = number(low=1.0)
    compressors: int = integer(3, low=1, high=50)
    cycle_min: float = number(18.0, low=5.0, high=60.0)
    pf: float = number(0.84, low=0.05, high=1.0)

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.mean_w * 2.5

    def flow(self, at: Moments, chance: Chance) -> Power:
        """Give what it draws: fans always, and each compressor in its own cycle."""
        doors = 0.08 * is_workday(at.time_s) * (np.abs(hour_of_day(at.time_s) - 12) < 6)
        duty = np.clip(0.45 + 0.012 * (at.temperature_c - 10) + doors, 0.1, 0.95)
        running, started = np.zeros_like(at.time_s), np.zeros_like(at.time_s)
        for n in range(self.compressors):
            cycle_s = self.cycle_min * 60 * (0.8 + 0.4 * chance.once(f"cycle{n}"))
            on, begins = cycling(at, chance, f"compressor{n}", cycle_s, duty)
            running, started = running + on, started + begins
        compressor_w = 0.85 * self.mean_w / self.compressors / _MEAN_DUTY
        rated_w, noise = compressor_w * running, wander(chance, at, (0.01, 60), (0.005, 1))
        fans = drawn(0.15 * self.mean_w * noise, self.pf, 4.0)
        return motors(rated_w * noise, rated_w, compressor_w * started, self.pf, at.step_s) + fans


@dataclass(frozen=True, kw_only=True)
class Motor(Load):
    """A motor that runs in the ``hours`` of workdays and stands otherwise."""

    power_w: float = number(low=1.0)
    hours: tuple[float, float] = hours((6.0, 22.0))
    pf: float = number(0.8, low=0.05, high=1.0)

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.power_w * 1.4

    def flow(self, at: Moments, chance: Chance) -> Power:
        """Give what it draws; its controls stay on at 1 %."""
        running, started = switched(at, self._works)
        load = wander(chance, at, (0.04, 1200), (0.02, 1))
        motor = motors(
            self.power_w * load * running, self.power_w * running, self.power_w * started, self.pf, at.step_s
        )
        return motor + drawn(0.01 * self.power_w * (1 - running), self.pf, 4.0)

    def _works(self, time_s: Floats) -> Mask:
        hour = hour_of_day(time_s)
        return (hour >= self.hours[0]) & (hour < self.hours[1]) & (is_workday(time_s) > 0)


_DEMAND_HOURS = (0.0, 4.0, 7.0, 10.0, 15.0, 19.0, 22.0, 24.0)
_DEMAND = (0.4, 0.3, 1.7, 1.1, 0.9, 1.6, 0.9, 0.4)  # of water, over its mean; morning and evening


@dataclass(frozen=True, kw_only=True)
class Pump(Load):
    """A pump that fills a tank: on when it is low, off when it is full, and rather in ``cheap_hours``."""

    power_w: float = number(low=1.0)
    cycle_min: float = number(25.0, low=5.0, high=240.0)
    cheap_hours: tuple[float, float] | None = hours(None)
    pf: float = number(0.86, low=0.05, high=1.0)

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.power_w * 1.3

    def flow(self, at: Moments, chance: Chance) -> Power:
        """Give what it draws: a third of the time, as the water is used or the tariff suggests."""
        hour = hour_of_day(at.time_s)
        duty = 0.33 * np.interp(hour, _DEMAND_HOURS, _DEMAND)
        if self.cheap_hours is not None:
            cheap = (hour >= self.cheap_hours[0]) & (hour < self.cheap_hours[1])
            duty = np.where(cheap, 0.8, 0.4 * duty)
        on, begins = cycling(at, chance, "tank", self.cycle_min * 60, duty)
        load = wander(chance, at, (0.02, 600), (0.006, 1))
        return motors(self.power_w * load * on, self.power_w * on, self.power_w * begins, self.pf, at.step_s)


_STAGES = (0.0, 0.25, 0.80, 1.0)  # of a batch: heat up, hold, empty
_LEVELS = (1.0, 0.6, 0.25)


@dataclass(frozen=True, kw_only=True)
class Process(Load):
    """A plant that works around the clock, as a dryer does: batch after batch, each in three stages."""

    power_w: float = number(low=1.0)
    batch_h: float = number(3.0, low=0.2, high=48.0)
    pf: float = number(0.88, low=0.05, high=1.0)

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.power_w * 1.2

    def flow(self, at: Moments, chance: Chance) -> Power:
        """Give what it draws: drives that always turn, with more or less to do."""
        batch_s = self.batch_h * 3600
        phase = np.mod(at.time_s / batch_s + 0.3 * chance.smooth("batch", at.time_s, 4 * batch_s), 1.0)
        level = np.array(_LEVELS)[np.searchsorted(_STAGES, phase, side="right") - 1]
        active_w = self.power_w * level * wander(chance, at, (0.02, 300), (0.01, 1))
        return motors(active_w, np.full_like(active_w, self.power_w), np.zeros_like(active_w), self.pf, at.step_s)
