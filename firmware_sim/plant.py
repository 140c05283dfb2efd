"""The facility in motion: what flows through each meter, and what its registers hold, at any time.

Everything is computed in blocks of steps counted from 1970, so the same time gives the same
numbers to whoever asks, whenever the simulator was started.
"""

import dataclasses
import functools
import hashlib
import math

import numpy as np

from firmware_sim.chance import Chance, Floats
from firmware_sim.electrical import NOMINAL_V, Power, measure, phase_shares, supply
from firmware_sim.errors import SimError
from firmware_sim.loads import Load
from firmware_sim.loads.base import Moments
from firmware_sim.profile import Entry, Profile
from firmware_sim.registers import Bytes, RegisterMap
from firmware_sim.scenario import MeterSpec, Scenario
from firmware_sim.sunspec import placed
from firmware_sim.weather import Weather

BLOCK = 2048  # steps computed at once: a few milliseconds a meter
_DEMAND_S = 900  # the usual demand interval
_TEN_YEARS_H = 87_660  # that long an energy register must not roll over
_SPARE = 1.5  # scale factors leave room above the rated value
_MAX_SERIAL = 10**8


class Plant:
    """All meters of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._weather = Weather(scenario.seed)
        self.feeders: dict[str, Feeder] = {}
        for meter in scenario.meters:
            self.feeders[meter.id] = Feeder(self, meter)
        self.first_block = self.step_of(scenario.start_s) // BLOCK
        self._counted_to = self.first_block
        self.moments = functools.lru_cache(maxsize=4)(self._moments)

    def step_of(self, time_s: float) -> int:
        """Give the number of the step in which a time lies, counted from 1970."""
        return math.floor(time_s / self.scenario.step_s)

    def times_s(self, block: int) -> Floats:
        """Give the middles of the steps of a block."""
        numbers = np.arange(block * BLOCK, (block + 1) * BLOCK, dtype=np.float64)
        return (numbers + 0.5) * self.scenario.step_s

    def _moments(self, block: int) -> Moments:
        return Moments(self.times_s(block), self.scenario.step_s, self._weather)

    def load_w(self, meter: MeterSpec, number: int, block: int) -> Floats:
        """Give the power of one load of a meter over a block; NaN is a gap."""
        return meter.loads[number].active_power_w(self.moments(block), Chance(self.scenario.seed, meter.id, number))

    def count_to(self, block: int) -> None:
        """Count all meters' energy up to the start of a block, abreast: who sums others finds their power computed."""
        for counted in range(self._counted_to, block):
            for feeder in self.feeders.values():
                feeder.count(counted)
            self._counted_to = counted + 1


class Feeder:
    """One metering point."""

    def __init__(self, plant: Plant, meter: MeterSpec) -> None:
        self.meter = meter
        self._plant = plant
        self._scenario = plant.scenario
        self.profile = _as_built(meter, self._serial)
        self.map = RegisterMap(self.profile)
        self._counted: list[dict[str, float]] = [dict.fromkeys(_COUNTERS, 0.0)]  # at the start of each block
        self.power = functools.lru_cache(maxsize=4)(self._power)

    @functools.cached_property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        inner = sum(self._plant.feeders[name].rated_w for name in self.meter.sum_of)
        return max(1.0, inner + sum(load.rated_w for load in self.meter.loads))

    def _power(self, block: int) -> Power:
        """Give what flows through the meter over a block: its own loads and those of ``sum_of``."""
        zero = np.zeros(BLOCK)
        total = Power(zero, zero, zero)
        for number, load in enumerate(self.meter.loads):
            total += _flow(load, self._plant.load_w(self.meter, number, block))
        for name in self.meter.sum_of:
            total += self._plant.feeders[name].power(block)
        return total

    def _increments(self, block: int) -> dict[str, Floats]:
        """Give what each step of a block adds to the energy counters; nothing before the start, nothing in gaps."""
        power = self.power(block)
        counting = self._plant.times_s(block) > self._scenario.start_s
        hours = np.where(counting, self._scenario.step_s / 3600, 0.0)
        active, reactive = np.nan_to_num(power.active_w) * hours, np.nan_to_num(power.reactive_var) * hours
        parts = (np.maximum(active, 0), np.maximum(-active, 0), np.maximum(reactive, 0), np.maximum(-reactive, 0))
        return dict(zip(_COUNTERS, parts, strict=True))

    def count(self, block: int) -> None:
        """Go on from the start of the last block counted, this one, to that of the next."""
        ends = self._add(self._increments(block), self._counted[-1])
        self._counted.append({name: float(values[-1]) for name, values in ends.items()})

    def counters(self, block: int) -> dict[str, Floats]:
        """Give the energy counters at the start of each step of a block: exactly the sum of power before it."""
        if block < self._plant.first_block:
            return dict.fromkeys((*_COUNTERS, *_TOTALS), np.zeros(BLOCK))
        self._plant.count_to(block)
        at_start = self._counted[block - self._plant.first_block]
        ends = self._add(self._increments(block), at_start)
        values = {name: np.concatenate(([at_start[name]], ends[name][:-1])) for name in _COUNTERS}
        for total, (one, other) in _TOTALS.items():
            values[total] = values[one] + values[other]
        return values

    @staticmethod
    def _add(increments: dict[str, Floats], start: dict[str, float]) -> dict[str, Floats]:
        return {name: np.cumsum(np.concatenate(([start[name]], parts)))[1:] for name, parts in increments.items()}

    def values(self, block: int) -> dict[str, Floats]:
        """Give every quantity over a block, in SI units; NaN where a recording has a gap."""
        times_s, seed = self._plant.times_s(block), self._scenario.seed
        shares = phase_shares(Chance(seed, self.meter.id, "phases"), times_s, self.meter.registers.phases)
        grid = supply(seed, times_s, self._scenario.step_s)
        values = measure(self.power(block), grid, shares, self.rated_w) | self.counters(block)
        values["demand_active_power_w"] = self._demand_w(block)
        return values | {name: np.full(BLOCK, value) for name, value in self.constants.items()}

    def _demand_w(self, block: int) -> Floats:
        """Give the mean power of the last 15 minutes."""
        steps = max(1, int(_DEMAND_S // self._scenario.step_s))
        both = np.concatenate((self.power(block - 1).active_w, self.power(block).active_w))
        sums = np.cumsum(np.concatenate(([0.0], np.nan_to_num(both))))
        ends = np.arange(BLOCK, 2 * BLOCK)
        demand: Floats = (sums[ends] - sums[ends - steps]) / steps
        return demand

    def rows(self, block: int) -> tuple[Bytes, ...]:
        """Give the register bytes of each span of the map, one row a step."""
        return self.map.rows(self.values(block), self._factors)

    @functools.cached_property
    def _serial(self) -> int:
        digest = hashlib.blake2b(f"{self._scenario.seed}/{self.meter.id}".encode(), digest_size=8).digest()
        smallest = min(
            (_capacity(e) for e in self.meter.registers.entries if e.name == "serial_number"), default=_MAX_SERIAL
        )
        return int.from_bytes(digest, "little") % _MAX_SERIAL % smallest

    @functools.cached_property
    def constants(self) -> dict[str, float]:
        """What never changes: identity, transformer ratios, the profile's own factors and powers of ten."""
        profile, ratio = self.profile, self.meter.ct_ratio
        known: dict[str, float] = {"model_code": 0.0, "serial_number": self._serial}
        known |= {"ct_ratio": ratio, "ct_primary_a": 5 * ratio, "ct_secondary_a": 5.0, "vt_ratio": self.meter.vt_ratio}
        known |= profile.identity
        everything = (*profile.entries, *profile.parameters)
        factors = {name for entry in everything for name in entry.multiply_by}
        exponents = {entry.exponent_from for entry in everything}
        for entry in profile.parameters:
            if entry.name in exponents:
                known[entry.name] = float(self._exponent(entry))
            elif entry.name in factors:
                known[entry.name] = max(1.0, entry.scale)  # the smallest multiplier that its register can say
        return known

    @functools.cached_property
    def _factors(self) -> dict[str, float]:
        factors = {}
        for entry in (*self.profile.entries, *self.profile.parameters):
            factor = math.prod(self.constants[name] for name in entry.multiply_by)
            exponent = self.constants[entry.exponent_from] if entry.exponent_from else 0.0
            factors[entry.name] = factor * 10**exponent
        return factors

    def _exponent(self, parameter: Entry) -> int:
        """Give the smallest power of ten with which all that refer to a scale factor fit their registers."""
        everything = (*self.profile.entries, *self.profile.parameters)
        users = [entry for entry in everything if entry.exponent_from == parameter.name]
        needed = [math.log10(self._largest(e.name) * _SPARE / (e.scale * _capacity(e))) for e in users]
        return max((max(-3, math.ceil(exponent)) for exponent in needed), default=0)

    def _largest(self, name: str) -> float:
        """Give a bound of a quantity behind this meter, SI units."""
        if name.endswith(("_wh", "_varh")):
            return self.rated_w * _TEN_YEARS_H
        if name.startswith("current"):
            return self.rated_w / NOMINAL_V
        bounds = {"voltage": 2 * NOMINAL_V, "frequency": 70.0, "power_factor": 1.0, "thd": 200.0}
        return next((bound for stem, bound in bounds.items() if name.startswith(stem)), self.rated_w)

    def check(self) -> None:
        """Raise SimError where the profile lists what is not modelled."""
        modelled = self.values(self._plant.first_block).keys()
        profile = self.profile
        unknown = sorted({entry.name for entry in profile.entries} - modelled)
        if unknown:
            raise SimError(f"{profile.name}: the simulator does not model {', '.join(unknown)}")


_COUNTERS = (
    "active_energy_import_wh",
    "active_energy_export_wh",
    "reactive_energy_import_varh",
    "reactive_energy_export_varh",
)
_TOTALS = {"active_energy_total_wh": _COUNTERS[:2], "reactive_energy_total_varh": _COUNTERS[2:]}


def _as_built(meter: MeterSpec, serial: int) -> Profile:
    """Give the register map of this very meter: its place in a SunSpec device, its mind about gaps."""
    profile = meter.registers
    if profile.sunspec:
        profile = placed(profile, meter.sunspec_base, serial)
    if meter.refuses_gaps and profile.max_gap is None:
        profile = dataclasses.replace(profile, max_gap=0)
    return profile


def _flow(load: Load, active_w: Floats) -> Power:
    apparent = np.abs(active_w) * math.hypot(1.0, load.tan_phi)
    return Power(active_w, active_w * load.tan_phi, apparent * load.distortion)


def _capacity(entry: Entry) -> int:
    """Give the largest whole number that a register holds, below patterns for "not available"."""
    if entry.dtype[0] == "f":
        return 2**24
    return int(2 ** (entry.count * 16 - (entry.dtype[0] == "i"))) - 2
