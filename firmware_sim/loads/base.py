"""What every load has in common."""

import functools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.fields import ALWAYS_S, NEVER_S, moment, number
from firmware_sim.weather import Weather


@dataclass(frozen=True)
class Moments:
    """When powers are wanted: the middles of steps of ``step_s`` seconds, and the weather of the site."""

    time_s: Floats
    step_s: float
    weather: Weather

    @functools.cached_property
    def temperature_c(self) -> Floats:
        """The outdoor temperature then, computed once for all loads."""
        return self.weather.temperature_c(self.time_s)


@dataclass(frozen=True, kw_only=True)
class Load(ABC):
    """A load; the fields are the keys of ``[[meter.load]]``.

    ``pf`` is the displacement power factor, ``thd_percent`` the distortion of the current;
    both default to what is typical of the kind.
    """

    starts: float = moment(ALWAYS_S)
    ends: float = moment(NEVER_S)
    pf: float | None = number(None, low=0.05, high=1.0)
    thd_percent: float | None = number(None, high=200.0)

    MINING: ClassVar[bool] = False
    PF: ClassVar[float] = 1.0
    CAPACITIVE: ClassVar[bool] = False
    THD_PERCENT: ClassVar[float] = 1.0

    @property
    @abstractmethod
    def rated_w(self) -> float:
        """The largest power to be expected, W."""

    @abstractmethod
    def shape_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the active power in W, import positive, not regarding ``starts`` and ``ends``; NaN is a gap."""

    def active_power_w(self, at: Moments, chance: Chance) -> Floats:
        """Give the active power in W, import positive, zero before ``starts`` and from ``ends`` on; NaN is a gap."""
        middle_s = at.time_s
        if middle_s[-1] < self.starts or middle_s[0] >= self.ends:
            return np.zeros_like(middle_s)
        running = (middle_s >= self.starts) & (middle_s < self.ends)
        return np.where(running, self.shape_w(at, chance), 0.0)

    @property
    def tan_phi(self) -> float:
        """Reactive over active power, inductive positive."""
        pf = self.PF if self.pf is None else self.pf
        return float(np.sqrt(1 / pf**2 - 1)) * (-1 if self.CAPACITIVE else 1)

    @property
    def distortion(self) -> float:
        """Harmonic over fundamental current."""
        return (self.THD_PERCENT if self.thd_percent is None else self.thd_percent) / 100

    def check(self, step_s: float, begins_s: float) -> None:
        """Raise ValueError where the keys do not fit each other, the scenario's steps, or its start."""
        if self.starts >= self.ends:
            raise ValueError("ends: is not after starts")


def wander(chance: Chance, at: Moments, *parts: tuple[float, float]) -> Floats:
    """Give 1 plus noise: each part is (standard deviation, seconds over which it forgets itself)."""
    noise = np.ones_like(at.time_s)
    for n, (deviation, spacing_s) in enumerate(parts):
        noise = noise + deviation * chance.smooth(f"wander{n}", at.time_s, max(spacing_s, at.step_s))
    positive: Floats = np.clip(noise, 0.05, None)
    return positive
