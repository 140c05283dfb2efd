"""What every load has in common."""

import functools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.electrical import Power
from firmware_sim.fields import ALWAYS_S, NEVER_S, moment, number
from firmware_sim.mains import Mains
from firmware_sim.weather import Weather


@dataclass(frozen=True)
class Moments:
    """When powers are wanted: the middles of steps of ``step_s`` seconds, and weather and mains of the site."""

    time_s: Floats
    step_s: float
    weather: Weather
    mains: Mains

    @functools.cached_property
    def temperature_c(self) -> Floats:
        """The outdoor temperature then, computed once for all loads."""
        return self.weather.temperature_c(self.time_s)


@dataclass(frozen=True, kw_only=True)
class Load(ABC):
    """A load; the fields are the keys of ``[[meter.load]]``."""

    starts: float = moment(ALWAYS_S)
    ends: float = moment(NEVER_S)

    MINING: ClassVar[bool] = False

    @property
    @abstractmethod
    def rated_w(self) -> float:
        """The largest power to be expected, W."""

    @abstractmethod
    def flow(self, at: Moments, chance: Chance) -> Power:
        """Give what it draws, import and inductive positive, not regarding ``starts`` and ``ends``; NaN is a gap."""

    def power(self, at: Moments, chance: Chance) -> Power:
        """Give what it draws, nothing before ``starts`` and from ``ends`` on; NaN is a gap."""
        middle_s = at.time_s
        if middle_s[-1] < self.starts or middle_s[0] >= self.ends:
            nothing = np.zeros_like(middle_s)
            return Power(nothing, nothing, nothing)
        return self.flow(at, chance).where((middle_s >= self.starts) & (middle_s < self.ends))

    def check(self, step_s: float, begins_s: float) -> None:
        """Raise ValueError where the keys do not fit each other, the scenario's steps, or its start."""
        if self.starts >= self.ends:
            raise ValueError("ends: is not after starts")


@dataclass(frozen=True, kw_only=True)
class PlainLoad(Load):
    """A load whose power factor and distortion are the same whatever it draws.

    ``pf`` is the displacement power factor, ``thd_percent`` the distortion of the current;
    both default to what is typical of the kind.
    """

    pf: float | None = number(None, low=0.05, high=1.0)
    thd_percent: float | None = number(None, high=200.0)

    PF: ClassVar[float] = 1.0
    CAPACITIVE: ClassVar[bool] = False
    THD_PERCENT: ClassVar[float] = 1.0

    @abstractmethod
    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the active power in W, import positive; NaN is a gap."""

    def flow(self, at: Moments, chance: Chance) -> Power:
        """Give what it draws."""
        pf = self.PF if self.pf is None else self.pf
        thd_percent = self.THD_PERCENT if self.thd_percent is None else self.thd_percent
        return drawn(self.shape_w(at, chance), pf, thd_percent, self.CAPACITIVE)


def drawn(active_w: Floats, pf: float, thd_percent: float, capacitive: bool = False) -> Power:
    """Give what a load of a constant power factor draws.

    >>> drawn(np.array([800.0]), pf=0.8, thd_percent=5.0).reactive_var.round(6).tolist()
    [600.0]
    """
    reactive_var = active_w * np.sqrt(1 / pf**2 - 1) * (-1 if capacitive else 1)
    return Power(active_w, reactive_var, np.abs(active_w) / pf * thd_percent / 100)


def between(uniform: Floats, low_high: tuple[float, float]) -> Floats:
    """Give where uniform numbers in [0, 1) lie between two.

    >>> between(np.array([0.0, 0.5]), (30.0, 120.0)).tolist()
    [30.0, 75.0]
    """
    low, high = low_high
    return low + (high - low) * uniform


def wander(chance: Chance, at: Moments, *parts: tuple[float, float]) -> Floats:
    """Give 1 plus noise: each part is (standard deviation, seconds over which it forgets itself)."""
    noise = np.ones_like(at.time_s)
    for n, (deviation, spacing_s) in enumerate(parts):
        noise = noise + deviation * chance.smooth(f"wander{n}", at.time_s, max(spacing_s, at.step_s))
    positive: Floats = np.clip(noise, 0.05, None)
    return positive
