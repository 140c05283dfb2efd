"""What never changes about a meter: its register map as built, serial number, ratios and factors."""

import dataclasses
import functools
import hashlib
import math

from firmware_sim.mains import NOMINAL_V
from firmware_sim.profile import Entry, Profile
from firmware_sim.scenario import MeterSpec
from firmware_sim.sunspec import placed

_TEN_YEARS_H = 87_660  # that long an energy register must not roll over
_SPARE = 1.5  # scale factors leave room above the rated value
_MAX_SERIAL = 10**8
_FLOAT_END_WH = 1e9  # where meters with floats roll over: after 999999.9 kWh


class Nameplate:
    """One meter of a model, behind which up to ``rated_w`` flow."""

    def __init__(self, meter: MeterSpec, seed: int, rated_w: float) -> None:
        self._meter, self._seed, self._rated_w = meter, seed, rated_w

    @functools.cached_property
    def profile(self) -> Profile:
        """Give the register map of this very meter: its place in a SunSpec device, its mind about gaps."""
        profile = self._meter.registers
        if profile.sunspec:
            profile = placed(profile, self._meter.sunspec_base, self._serial)
        if self._meter.refuses_gaps and profile.max_gap is None:
            profile = dataclasses.replace(profile, max_gap=0)
        return profile

    @functools.cached_property
    def _serial(self) -> int:
        digest = hashlib.blake2b(f"{self._seed}/{self._meter.id}".encode(), digest_size=8).digest()
        smallest = min(
            (_capacity(e) for e in self._meter.registers.entries if e.name == "serial_number"), default=_MAX_SERIAL
        )
        return int.from_bytes(digest, "little") % _MAX_SERIAL % smallest

    @functools.cached_property
    def constants(self) -> dict[str, float]:
        """Give identity, transformer ratios, the profile's own factors and powers of ten."""
        ratio = self._meter.ct_ratio
        known: dict[str, float] = {"model_code": 0.0, "serial_number": self._serial}
        known |= {"ct_ratio": ratio, "ct_primary_a": 5 * ratio, "ct_secondary_a": 5.0, "vt_ratio": self._meter.vt_ratio}
        known |= self.profile.identity
        factors = {name for entry in self._everything for name in entry.multiply_by}
        exponents = {entry.exponent_from for entry in self._everything}
        for entry in self.profile.parameters:
            if entry.name in exponents:
                known[entry.name] = float(self._exponent(entry))
            elif entry.name in factors:
                known[entry.name] = max(1.0, entry.scale)  # the smallest multiplier that its register can say
        return known

    @property
    def _everything(self) -> tuple[Entry, ...]:
        return (*self.profile.entries, *self.profile.parameters)

    @functools.cached_property
    def factors(self) -> dict[str, float]:
        """Give by which number a reader multiplies each entry, besides its scale."""
        factors = {}
        for entry in self._everything:
            factor = math.prod(self.constants[name] for name in entry.multiply_by)
            exponent = self.constants[entry.exponent_from] if entry.exponent_from else 0.0
            factors[entry.name] = factor * 10**exponent
        return factors

    @functools.cached_property
    def secondary(self) -> bool:
        """Tell whether the registers hold values of the transformers' secondary side."""
        return any("ct_ratio" in entry.multiply_by or "ct_primary_a" in entry.multiply_by for entry in self._everything)

    @functools.cached_property
    def ends(self) -> dict[str, float]:
        """Give for each energy counter the value at which its register rolls over, SI units."""
        counters = [entry for entry in self.profile.entries if _is_energy(entry.name)]
        return {entry.name: self._end(entry) for entry in counters}

    def _end(self, entry: Entry) -> float:
        if entry.dtype[0] == "f":
            return _FLOAT_END_WH
        return _size(entry) * abs(entry.scale) * self.factors[entry.name]

    def _exponent(self, parameter: Entry) -> int:
        """Give the smallest power of ten with which all that refer to a scale factor fit their registers."""
        users = [entry for entry in self._everything if entry.exponent_from == parameter.name]
        needed = [math.log10(self._largest(e.name) * _SPARE / (abs(e.scale) * _capacity(e))) for e in users]
        return max((max(-3, math.ceil(exponent)) for exponent in needed), default=0)

    def _largest(self, name: str) -> float:
        """Give a bound of a quantity behind this meter, SI units."""
        if _is_energy(name):
            return self._rated_w * _TEN_YEARS_H
        if name.startswith("current"):
            return self._rated_w / NOMINAL_V
        bounds = {"voltage": 2 * NOMINAL_V, "frequency": 70.0, "power_factor": 1.0, "thd": 200.0}
        return next((bound for stem, bound in bounds.items() if name.startswith(stem)), self._rated_w)


def _is_energy(name: str) -> bool:
    return name.endswith(("_wh", "_varh"))


def _size(entry: Entry) -> float:
    """Give how many values a counter's register counts through."""
    return float(2 ** (entry.count * 16 - (entry.dtype[0] == "i")))


def _capacity(entry: Entry) -> int:
    """Give the largest whole number that a register holds, below patterns for "not available"."""
    if entry.dtype[0] == "f":
        return 2**24
    return int(_size(entry)) - 2
