"""One metering point: what flows through it, what the meter takes that for, and what it has counted."""

import functools
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from firmware_sim.chance import Chance, Floats
from firmware_sim.electrical import Phases, Power, Supply, measure, phase_shares, share_out
from firmware_sim.errors import SimError
from firmware_sim.faults.base import Fault, Reading, RegisterFault
from firmware_sim.faults.book import FaultBook
from firmware_sim.fields import did_you_mean
from firmware_sim.nameplate import Nameplate
from firmware_sim.registers import Bytes, RegisterMap
from firmware_sim.scenario import MeterSpec, Scenario

BLOCK = 2048  # steps computed at once: a few milliseconds a meter
PAGE = 512  # steps held as registers: those of a block would take a megabyte a meter
_DEMAND_S = 900  # the usual demand interval


class Facility(Protocol):
    """What a metering point needs of the facility around it; blocks are numbers of ``BLOCK`` steps since 1970."""

    scenario: Scenario
    first_block: int

    @property
    def feeders(self) -> "Mapping[str, Feeder]":
        """All metering points by the ids of their meters."""

    def step_of(self, time_s: float) -> int:
        """Give the number of the step in which a time lies."""

    def times_s(self, block: int) -> Floats:
        """Give the middles of the steps of a block."""

    def supply(self, block: int) -> Supply:
        """Give voltages and frequency over a block."""

    def load_power(self, meter: MeterSpec, number: int, block: int) -> Power:
        """Give what one load of a meter draws over a block; NaN is a gap."""

    def rated_w(self, meter: MeterSpec) -> float:
        """Give the largest power to be expected behind a meter, W."""

    def count_to(self, block: int) -> None:
        """Count all meters' energy up to the start of a block."""


class Feeder:
    """One metering point."""

    def __init__(self, plant: Facility, meter: MeterSpec, faults: FaultBook) -> None:
        self.meter, self.faults = meter, faults
        self._plant = plant
        self._scenario = plant.scenario
        self.nameplate = Nameplate(meter, plant.scenario.seed, self.rated_w)
        self.map = RegisterMap(self.nameplate.profile)
        self._counted: list[dict[str, float]] = [dict.fromkeys(_COUNTERS, 0.0)]  # at the start of each block
        self.power = functools.lru_cache(maxsize=4)(self._power)
        self._shares = functools.lru_cache(maxsize=1)(self._phase_shares)  # of the block that pages are made of

    @functools.cached_property
    def rated_w(self) -> float:
        """The largest power to be expected, W."""
        return self._plant.rated_w(self.meter)

    def _power(self, block: int) -> Power:
        """Give what flows through the meter over a block: its own loads and those of ``sum_of``."""
        zero = np.zeros(BLOCK)
        total = Power(zero, zero, zero)
        for number in range(len(self.meter.loads)):
            total += self._plant.load_power(self.meter, number, block)
        for name in self.meter.sum_of:
            total += self._plant.feeders[name].power(block)
        return total

    def _phase_shares(self, block: int) -> Floats:
        chance = Chance(self._scenario.seed, self.meter.id, "phases")
        return phase_shares(chance, self._plant.times_s(block), self.meter.registers.phases)

    def _phases(self, block: int) -> Phases:
        """Give what the meter takes for the three phases: the truth, but for wrong wiring and settings."""
        phases = share_out(self.power(block), self._plant.supply(block), self._shares(block), self.rated_w)
        for fault in self.faults.measuring:
            on = fault.during(block * BLOCK, BLOCK, self._scenario.step_s)
            if on.any():
                phases = phases.where(on, fault.measured(phases, self.nameplate.secondary))
        return phases

    def _total(self, block: int) -> tuple[Floats, Floats]:
        """Give the active and reactive power that the meter counts."""
        if self.faults.measuring:
            phases = self._phases(block)
            return phases.active_w.sum(axis=0), phases.reactive_var.sum(axis=0)
        power = self.power(block)
        return power.active_w, power.reactive_var

    def _increments(self, block: int) -> dict[str, Floats]:
        """Give what each step of a block adds to the energy counters; nothing before the start, nothing in gaps."""
        active_w, reactive_var = self._total(block)
        counting = self._plant.times_s(block) > self._scenario.start_s
        hours = np.where(counting, self._scenario.step_s / 3600, 0.0)
        active, reactive = np.nan_to_num(active_w) * hours, np.nan_to_num(reactive_var) * hours
        parts = (np.maximum(active, 0), np.maximum(-active, 0), np.maximum(reactive, 0), np.maximum(-reactive, 0))
        return dict(zip(_COUNTERS, parts, strict=True))

    def count(self, block: int) -> None:
        """Go on from the start of the last block counted, this one, to that of the next."""
        ends = self._add(self._increments(block), self._counted[-1])
        self._counted.append({name: float(values[-1]) for name, values in ends.items()})

    def forget(self, blocks: int) -> None:
        """Forget what was counted beyond the start of the first so many blocks."""
        del self._counted[blocks + 1 :]

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
        """Give every quantity over a block as the registers say it, in SI units; NaN where a recording has a gap."""
        return self._said(block, self.faults.registers)

    def _said(self, block: int, faults: tuple[RegisterFault, ...]) -> dict[str, Floats]:
        """Give every quantity over a block, after what these faults make of it."""
        phases, distortion = self._phases(block), self.power(block).thd_percent
        values = measure(phases, distortion, self._plant.supply(block)) | self.counters(block)
        values["demand_active_power_w"] = self._demand_w(block)
        values |= {name: np.full(BLOCK, value) for name, value in self.nameplate.constants.items()}
        for number, fault in enumerate(faults):
            on = fault.during(block * BLOCK, BLOCK, self._scenario.step_s)
            if on.any():
                at_start = self._counters_at(fault.from_s, faults[:number])
                shown = fault.shown(Reading(values, at_start, self.nameplate.ends))
                values |= {name: np.where(on, value, values[name]) for name, value in shown.items()}
        return values

    def _counters_at(self, time_s: float, before: tuple[RegisterFault, ...]) -> dict[str, float]:
        """Give what the counters say at a time, after what the faults before have made of them."""
        block, row = divmod(self._plant.step_of(time_s), BLOCK)
        values = self._said(block, before) if before else self.counters(block)
        return {name: float(values[name][row]) for name in (*_COUNTERS, *_TOTALS)}

    def _demand_w(self, block: int) -> Floats:
        """Give the mean power of the last 15 minutes."""
        steps = max(1, int(_DEMAND_S // self._scenario.step_s))
        both = np.concatenate((self._total(block - 1)[0], self._total(block)[0]))
        sums = np.cumsum(np.concatenate(([0.0], np.nan_to_num(both))))
        ends = np.arange(BLOCK, 2 * BLOCK)
        demand: Floats = (sums[ends] - sums[ends - steps]) / steps
        return demand

    def rows(self, page: int) -> tuple[Bytes, ...]:
        """Give the register bytes of each span of the map over a page, one row a step."""
        block, first = divmod(page * PAGE, BLOCK)
        values = {name: series[first : first + PAGE] for name, series in self.values(block).items()}
        return self.map.rows(values, self.nameplate.factors)

    def gaps(self, page: int) -> NDArray[np.bool_]:
        """Tell of each step of a page whether a recording has a gap there."""
        block, first = divmod(page * PAGE, BLOCK)
        missing: NDArray[np.bool_] = np.isnan(self.power(block).active_w[first : first + PAGE])
        return missing

    def check(self) -> None:
        """Raise SimError where the profile names what is not modelled, or a fault what the meter does not have."""
        profile = self.nameplate.profile
        unknown = sorted({entry.name for entry in profile.entries} - self.values(self._plant.first_block).keys())
        if unknown:
            raise SimError(f"{profile.name}: the simulator does not model {', '.join(unknown)}")
        for fault in self.faults.registers:
            self.check_fault(fault)

    def check_fault(self, fault: Fault) -> None:
        """Raise SimError where a fault names what the meter does not have."""
        known = [entry.name for entry in self.nameplate.profile.entries]
        for name in fault.quantities if isinstance(fault, RegisterFault) else ():
            if name not in known:
                hint = did_you_mean(name, known)
                raise SimError(
                    f"meter {self.meter.id}: {self.nameplate.profile.name} has no register of {name!r}{hint}"
                )


_COUNTERS = (
    "active_energy_import_wh",
    "active_energy_export_wh",
    "reactive_energy_import_varh",
    "reactive_energy_export_varh",
)
_TOTALS = {"active_energy_total_wh": _COUNTERS[:2], "reactive_energy_total_varh": _COUNTERS[2:]}
