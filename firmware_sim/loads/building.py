"""Loads of buildings: offices, lighting, lifts, heating, and a constant for tests."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.electrical import Power
from firmware_sim.fields import choice, integer, number
from firmware_sim.loads.base import Load, Moments, PlainLoad, between, wander
from firmware_sim.loads.cycles import cycling
from firmware_sim.loads.rectifiers import rectified
from firmware_sim.weather import DAY_S, hour_of_day, is_workday

_HOURS = (0.0, 5.5, 7.0, 9.0, 11.5, 12.5, 13.5, 16.5, 18.5, 21.0, 24.0)
_OCCUPIED = (0.0, 0.0, 0.35, 1.0, 1.0, 0.86, 1.0, 0.92, 0.4, 0.05, 0.0)
_DAY_MEAN = float(np.mean(np.interp(np.linspace(0, 24, 2401), _HOURS, _OCCUPIED)))
_OCCUPIED_MEAN = _DAY_MEAN * 5 / 7  # weekends are empty


@dataclass(frozen=True, kw_only=True)
class Office(PlainLoad):
    """An office building: people on workdays with a lunch dip, a base at night, heating and cooling by the weather."""

    mean_w: float = number(low=1.0)
    base_share: float = number(0.5, high=1.0)

    PF: ClassVar[float] = 0.93
    THD_PERCENT: ClassVar[float] = 12.0

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.mean_w * 3

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the power in W: a base and a busy part that vary on their own, and heating or cooling on top."""
        occupied = np.interp(hour_of_day(at.time_s), _HOURS, _OCCUPIED) * is_workday(at.time_s)
        busy_today = 1 + 0.05 * chance.slots("day", at.time_s, DAY_S, "standard_normal")
        busy = occupied / _OCCUPIED_MEAN * (1 - self.base_share) * busy_today
        discomfort = np.abs(at.temperature_c - 17) / 10
        climate = 0.08 * discomfort * (0.4 + 0.6 * occupied)
        noise = wander(chance, at, (0.015, 14400), (0.02, 900), (0.012, 1))
        return self.mean_w * (0.93 * (self.base_share + busy) + climate) * noise


_DUSK = (0.02, 0.12)  # of the clear noon of midsummer: where the first and the last block are switched
_ARRIVAL_H, _DEPARTURE_H = (6.5, 8.5), (16.5, 20.0)
_PUNCTUAL_H = 0.2  # no day begins and ends to the second as the one before


@dataclass(frozen=True, kw_only=True)
class Lighting(PlainLoad):
    """Lights in blocks: day and night as in a garage, the flattest honest load there is; in the dark; or by workday."""

    power_w: float = number(low=1.0)
    burns: str = choice("always", "always", "dark", "workdays")
    blocks: int = integer(1, low=1, high=100)

    PF: ClassVar[float] = 0.95
    CAPACITIVE: ClassVar[bool] = True
    THD_PERCENT: ClassVar[float] = 15.0

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.power_w * 1.05

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the power in W: blocks that burn; some lamps fail and are replaced over weeks."""
        return self.power_w * self._burning(at, chance) * wander(chance, at, (0.008, 20 * DAY_S), (0.001, 1))

    def _burning(self, at: Moments, chance: Chance) -> Floats:
        """Give the share of blocks that are on."""
        place = (np.arange(self.blocks) + 0.5) / self.blocks
        if self.burns == "always":
            return np.ones_like(at.time_s)
        if self.burns == "dark":
            return 1 - np.searchsorted(between(place, _DUSK), at.weather.sunlight(at.time_s)) / self.blocks
        hour = hour_of_day(at.time_s) + _PUNCTUAL_H * chance.slots("people", at.time_s, DAY_S, "standard_normal")
        come = np.searchsorted(between(place, _ARRIVAL_H), hour)
        gone = np.searchsorted(between(place, _DEPARTURE_H), hour)
        return is_workday(at.time_s) * (come - gone) / self.blocks


_TRIP_SLOT_S = 75.0  # the most that a lift does is a trip in each of these
_TRIP_S = (10.0, 60.0)
_TRIP_LOAD = (-0.35, 1.0)  # an empty car up or a full one down gives energy back; of the motor's power
_STANDBY = 0.03  # doors, light and drive: 40 % of the energy of an office's lifts


@dataclass(frozen=True, kw_only=True)
class Lift(Load):
    """Lifts on inverters that give energy back: bursts of 10 to 60 s, most of them when people come and go."""

    power_w: float = number(low=100.0, high=200_000.0)
    lifts: int = integer(2, low=1, high=50)

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.power_w * self.lifts * 1.1

    def flow(self, at: Moments, chance: Chance) -> Power:
        """Give what they draw; negative where they brake."""
        people = 0.04 + 0.76 * np.interp(hour_of_day(at.time_s), _HOURS, _OCCUPIED) * is_workday(at.time_s)
        share = sum((self._trips(at, chance, f"lift{n}", people) for n in range(self.lifts)), np.zeros(1))
        active_w = self.power_w * (share + _STANDBY * self.lifts)
        return rectified(active_w, np.full_like(active_w, self.power_w * self.lifts), 0.05)

    @staticmethod
    def _trips(at: Moments, chance: Chance, lift: str, people: Floats) -> Floats:
        """Give the power of one lift over its motor's."""

        def drawn(what: str) -> Floats:
            return chance.slots(f"{lift}/{what}", at.time_s, _TRIP_SLOT_S, "random")

        lasts_s = between(drawn("lasts"), _TRIP_S)
        since_s = np.mod(at.time_s, _TRIP_SLOT_S) - drawn("begins") * (_TRIP_SLOT_S - lasts_s)
        moving = (drawn("called") < people) & (since_s >= 0) & (since_s < lasts_s)
        return np.where(moving, between(drawn("load"), _TRIP_LOAD), 0.0)


@dataclass(frozen=True, kw_only=True)
class Heater(PlainLoad):
    """Resistive heating by thermostats: on longer in the cold, and more powerful at a higher voltage."""

    power_w: float = number(low=1.0)
    heaters: int = integer(1, low=1, high=200)
    cycle_min: float = number(12.0, low=1.0, high=120.0)

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.power_w * 1.1

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the power in W: by the square of the voltage, as a resistance takes it."""
        duty = np.clip(0.5 + 0.025 * (8 - at.temperature_c), 0.0, 1.0)
        on = np.zeros_like(at.time_s)
        for n in range(self.heaters):
            cycle_s = self.cycle_min * 60 * (0.7 + 0.6 * chance.once(f"cycle{n}"))
            on = on + cycling(at, chance, f"thermostat{n}", cycle_s, duty)[0]
        voltage = 1 + at.mains.deviation(at.time_s, at.step_s)
        return self.power_w * voltage**2 * on / self.heaters


@dataclass(frozen=True, kw_only=True)
class Constant(PlainLoad):
    """Exactly one power, for tests."""

    power_w: float = number(low=-1e9)

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return abs(self.power_w)

    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the power in W."""
        return np.full_like(at.time_s, self.power_w)
