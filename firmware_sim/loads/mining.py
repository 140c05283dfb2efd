"""The mining farm that everybody looks for."""

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from firmware_sim.chance import Chance, Floats
from firmware_sim.electrical import Power
from firmware_sim.fields import choice, hours, integer, number
from firmware_sim.loads.asics import ASICS
from firmware_sim.loads.base import Load, Moments, between, wander
from firmware_sim.loads.outages import START_S, Outages, restarts
from firmware_sim.loads.population import Population
from firmware_sim.loads.rectifiers import rectified
from firmware_sim.weather import DAY_S, is_workday

_TOLERANCE = 0.05  # of a nameplate, either way
_LEADING = 0.1  # reactive over rated power: power factor 0.995 at full load and 0.98 at half of it
_HOTTER_C = 3.0  # how far the places in a rack differ
_STRINGS = 64  # of machines that are switched together; no fleet has more
_SLEEPING = 0.03  # controllers and fans, of the full power
_ASLEEP_WITHIN_S, _AWAKE_S = 180.0, (120.0, 300.0)  # a farm manager asks one machine after the other
_CONTACTORS_S = 20.0  # from the first to the last
_RETUNED_S = 10 * DAY_S
_TARGETS = (-0.10, -0.03, 0.0, 0.0, 0.0, 0.0, 0.03, 0.10)  # 100 to 300 W of a machine of 3.3 kW
_AGES_S = 10 * 365 * DAY_S  # before anything that is looked at


@dataclass(frozen=True, kw_only=True)
class MinerFarm(Load):
    """A fleet of mining machines at full power day and night, from a date on.

    Each machine has its own power within the tolerance of its nameplate, its own power target that
    is changed now and then, and its own restarts. ``curtail`` are hours in which the farm sleeps,
    or is off the mains, on so many of the workdays.
    """

    machines: int = integer(low=1, high=20_000)
    model: str = choice("s19_pro", *ASICS)
    machine_w: float | None = number(None, low=1.0, high=20_000.0)
    warmer_c: float = number(15.0, low=-20.0, high=60.0)
    reboots_per_week: float = number(5.0, high=500.0)
    switch_on_min: float = number(10.0, high=10_000.0)
    curtail: tuple[float, float] | None = hours(None)
    curtail_days: float = number(1.0, high=1.0)
    curtail_by: str = choice("sleep", "sleep", "contactor")

    MINING: ClassVar[bool] = True

    @property
    def nameplate_w(self) -> float:
        """The power of one machine, W."""
        return ASICS[self.model].nameplate_w if self.machine_w is None else self.machine_w

    @property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self.machines * self.nameplate_w * 1.2

    def flow(self, at: Moments, chance: Chance) -> Power:
        """Give what it draws: what its machines are set to, less what is down, by the heat and the hour."""
        machines_w = self._machines_w(chance)
        targets = Population(chance, "targets", self.machines, _RETUNED_S, functools.partial(self._targets, machines_w))
        down = restarts(chance, at, self.machines, self.reboots_per_week)
        lost_w, off_w = down.of(targets.of(down.machine, down.begins_s)).lost_w(at.time_s)
        awake, plugged = self._switched(at, chance, machines_w)
        noise = wander(chance, at, (0.002, 3600), (0.004 / np.sqrt(self.machines), 1))
        power_w = np.maximum(targets.total(at.time_s) - lost_w, 0.0) * self._heat(at, chance) * noise * awake
        return rectified(power_w, (machines_w.sum() - off_w) * plugged, _LEADING)

    def _machines_w(self, chance: Chance) -> Floats:
        uniform = chance.drawer("nameplates", 0).random(self.machines)
        return self.nameplate_w * between(uniform, (1 - _TOLERANCE, 1 + _TOLERANCE))

    def _targets(self, machines_w: Floats, uniform: Floats, _: float) -> Floats:
        """Give the power that each machine is set to."""
        targets: Floats = np.array(_TARGETS)[(uniform * len(_TARGETS)).astype(np.int64)]
        return machines_w * (1 + targets)

    def _heat(self, at: Moments, chance: Chance) -> Floats:
        asic, intake_c = ASICS[self.model], at.temperature_c + self.warmer_c
        places_c = between(chance.drawer("places", 0).random(self.machines), (0.0, _HOTTER_C))
        return asic.warmth(intake_c) * asic.running(intake_c, places_c)

    def _switched(self, at: Moments, chance: Chance, machines_w: Floats) -> tuple[Floats, Floats]:
        """Give the shares of the fleet that people let run, and that are on the mains at all."""
        strings = min(self.machines, _STRINGS)
        weights = np.bincount(np.arange(self.machines) % strings, machines_w) / machines_w.sum()
        awake, plugged = np.ones_like(at.time_s), np.ones_like(at.time_s)
        for outages in (self._before_start(chance, weights), self._curtailed(at, chance, weights)):
            if outages is not None:
                lost, off = outages.lost_w(at.time_s)
                awake, plugged = awake * (1 - np.minimum(lost, 1)), plugged * (1 - np.minimum(off, 1))
        return awake, plugged

    def _before_start(self, chance: Chance, weights: Floats) -> Outages | None:
        """Give the time before the start as an outage of each string: they are switched on one after another."""
        if not np.isfinite(self.starts):
            return None
        strings = len(weights)
        ready_s = self.starts + np.arange(strings) / strings * self.switch_on_min * 60
        begins_s = np.full(strings, self.starts - _AGES_S)
        start_s = between(chance.drawer("first start", 0).random(strings), START_S)
        return Outages(begins_s, ready_s - begins_s, start_s, np.zeros(strings), weights)

    def _curtailed(self, at: Moments, chance: Chance, weights: Floats) -> Outages | None:
        """Give the hours of the tariff as outages of each string, on the days on which they are used."""
        if self.curtail is None:
            return None
        days = self._curtailed_days(at, chance)
        strings, (begins_h, ends_h) = len(weights), self.curtail
        sleeps = self.curtail_by == "sleep"
        delays_s = chance.drawer("delays", 0).random(strings) * (_ASLEEP_WITHIN_S if sleeps else _CONTACTORS_S)
        start_s = between(chance.drawer("awake", 0).random(strings), _AWAKE_S if sleeps else START_S)
        count = strings * len(days)
        return Outages(
            begins_s=(days[:, None] * DAY_S + begins_h * 3600 + delays_s).ravel(),
            down_s=np.full(count, (ends_h - begins_h) * 3600),
            start_s=np.tile(start_s, len(days)),
            idle=np.full(count, _SLEEPING if sleeps else 0.0),
            power_w=np.tile(weights, len(days)),
        )

    def _curtailed_days(self, at: Moments, chance: Chance) -> NDArray[np.float64]:
        """Give the numbers of the days since 1970 that matter to these moments."""
        days = np.arange(at.time_s[0] // DAY_S - 1, at.time_s[-1] // DAY_S + 1)
        drawn = chance.slots("curtailed", days * DAY_S, DAY_S, "random") < self.curtail_days
        return days[drawn & (is_workday(days * DAY_S) > 0)]
