"""Slow, plain-Python versions of what the agent computes with arrays: one number after the other, as a textbook has it.

A series is a list of floats in which NaN means unknown; a load over days is a list of days of 24 hours.
"""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations, pairwise

from agent.analyse.window import WINDOW_QUANTITIES
from agent.quantities import QUANTITIES
from agent.records import MeterProfile, Register, Sample

NAN = math.nan


def known(values: Iterable[float]) -> list[float]:
    """Leave out NaN."""
    return [value for value in values if math.isfinite(value)]


def mean(values: Iterable[float]) -> float:
    """Sum over count."""
    finite = known(values)
    return math.fsum(finite) / len(finite) if finite else NAN


def quantile(values: Iterable[float], q: float) -> float:
    """Linear interpolation between the two neighbours of rank ``q * (n - 1)``."""
    ordered = sorted(known(values))
    if not ordered:
        return NAN
    rank = q * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (rank - low) * (ordered[high] - ordered[low])


def median(values: Iterable[float]) -> float:
    """The value in the middle."""
    return quantile(values, 0.5)


def ratio(numerator: float, denominator: float) -> float:
    """A quotient; NaN where it has no value."""
    return NAN if denominator == 0 else numerator / denominator


def load_factor(power: Sequence[float]) -> float:
    """Mean over the 99.5th percentile."""
    return ratio(mean(power), quantile(power, 0.995))


def dwell(power: Sequence[float]) -> float:
    """Share of the known values that are less than 5 % from the median."""
    finite, middle = known(power), median(power)
    return ratio(sum(abs(value - middle) < 0.05 * abs(middle) for value in finite), len(finite))


def shorth(power: Sequence[float]) -> float:
    """Width of the shortest interval that holds half of the values, over the mean."""
    ordered = sorted(known(power))
    half = max(len(ordered) // 2, 1)
    if len(ordered) < 2:
        return NAN
    widths = [ordered[i + half - 1] - ordered[i] for i in range(len(ordered) - half + 1)]
    return ratio(min(widths), mean(ordered))


def changes(series: Sequence[float]) -> list[float]:
    """Absolute differences of neighbours, where both are known."""
    return known(abs(b - a) for a, b in pairwise(series))


def noise_floor(power: Sequence[float]) -> float:
    """Median change from tick to tick over the median."""
    return ratio(median(changes(power)), abs(median(power)))


def baseload(days: Sequence[Sequence[float]]) -> list[float]:
    """Mean of the six lowest hours of each day that has 18 known ones."""
    return [mean(sorted(known(day))[:6]) if len(known(day)) >= 18 else NAN for day in days]


def power_factor(power: Sequence[float], apparent: Sequence[float], reported: Sequence[float]) -> float:
    """Mean of what the meter reports, else the mean of P over S where S is positive."""
    own = mean(map(abs, reported))
    computed = mean(p / s for p, s in zip(power, apparent, strict=True) if s > 0)
    return abs(computed) if math.isnan(own) else own


def longest_repeat(quantities: Sequence[Sequence[float]], witness: Sequence[float]) -> float:
    """Most polls in a row that repeat the one before in all of at least two known quantities, and in the witness."""
    longest = row = 0
    for before, after in pairwise(zip(*quantities, witness, strict=True)):
        both = [(a and b and math.isfinite(a) and math.isfinite(b), a, b) for a, b in zip(before, after, strict=True)]
        same = all(a == b for known, a, b in both if known)
        row = row + 1 if same and sum(bool(known) for known, *_ in both[:-1]) >= 2 else 0
        longest = max(longest, row)
    return float(longest)


def last(series: Sequence[float]) -> float:
    """The last known value, be it smaller than the one before: a counter that rolled over."""
    finite = known(series)
    return finite[-1] if finite else NAN


@dataclass
class BatchWindow:
    """One window of one meter, filled from a list of samples: a tick holds what arrived for it last."""

    ticks: int
    period_s: float
    first: int = 0  # ticks between which anybody was there
    last: int = -1
    series: dict[str, list[float]] = field(init=False)
    status: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.series = {quantity: [NAN] * self.ticks for quantity in WINDOW_QUANTITIES}
        self.status = ["timeout"] * self.ticks

    def fill(self, samples: Iterable[Sample], start_s: int) -> "BatchWindow":
        """Take the samples of this meter and window, in the order of their arrival."""
        for sample in samples:
            tick = round((sample.time_s - start_s) / self.period_s)
            self.status[tick] = sample.status
            for quantity, series in self.series.items():
                series[tick] = sample.values.get(quantity, series[tick])
        return self

    @property
    def coverage(self) -> float:
        """Share of ticks with a power."""
        return len(known(self.series["active_power_w"])) / self.ticks

    @property
    def quality(self) -> str:
        """Stuck for a minute or the whole window; good with half of the ticks; else what kept it from them."""
        phases = ("l1", "l2", "l3")
        flickering = ("active_power_w", "reactive_power_var", *(f"voltage_{phase}_v" for phase in phases))
        flickering = (*flickering, *(f"current_{phase}_a" for phase in phases))
        repeats = longest_repeat([self.series[name] for name in flickering], self.series["frequency_hz"])
        if repeats >= 4 and ((repeats >= 8 and repeats * self.period_s >= 60) or repeats == self.ticks - 1):
            return "K"
        if self.coverage >= 0.5:
            return "G"
        answered = [status not in ("timeout", "disconnected", "backoff") for status in self.status]
        if sum(answered) < 0.5 * self.ticks:
            there = answered[self.first : self.last + 1]
            cut_short = 0 < len(there) < 0.5 * self.ticks
            return "P" if there and (cut_short or sum(there) >= 0.5 * len(there)) else "T"
        return "O" if self.status.count("range") >= 0.5 * self.ticks else "F"

    @property
    def features(self) -> dict[str, float]:
        """What leaves the window."""
        power = self.series["active_power_w"]
        return {
            "active_power_w": mean(power),
            "active_power_min_w": min(known(power), default=NAN),
            "active_power_max_w": max(known(power), default=NAN),
            "power_factor": power_factor(power, self.series["apparent_power_va"], self.series["power_factor"]),
            "noise_floor": noise_floor(power),
            "active_energy_import_wh": last(self.series["active_energy_import_wh"]),
            "active_energy_export_wh": last(self.series["active_energy_export_wh"]),
        }


def addresses_read(group: Sequence[Register], even: bool) -> range:
    """From the first register of a group to its last one, and to the next even address where that is asked for."""
    first, end = min(r.address for r in group), max(r.address + r.count for r in group)
    return range(first - first % 2, end + end % 2) if even else range(first, end)


def may_be_read_together(group: Sequence[Register], profile: MeterProfile) -> bool:
    """One function, no name that is read alone, and no limit broken by any address on the way."""
    addresses = addresses_read(group, profile.even_blocks)
    if any(low <= address <= high for low, high in profile.forbidden for address in addresses):
        return False
    if len(group) == 1:
        return True  # a value is never split, however short requests must be
    together = {r.function for r in group} == {group[0].function} and not {r.name for r in group} & set(profile.single)
    return together and len(addresses) <= profile.max_registers and not _gap_too_long(group, profile)


def _gap_too_long(group: Sequence[Register], profile: MeterProfile) -> bool:
    sharing = [r for r in profile.registers if r.function == group[0].function and r.name not in profile.single]
    listed = {address for r in sharing for address in range(r.address, r.address + r.count)}
    run = longest = 0
    for address in addresses_read(group, even=False):
        run = 0 if address in listed else run + 1
        longest = max(longest, run)
    return profile.max_gap is not None and longest > profile.max_gap


def least_read_s(profile: MeterProfile, wanted: Sequence[Register], cost_s: Callable[[int], float]) -> float:
    """The least time in which all that can be read is read, over every set of requests there is.

    Some request reads the first register that is left, with whichever others; the rest is read in its own least time.
    """
    readable = [r for r in wanted if may_be_read_together([r], profile)]

    @cache
    def request_s(places: tuple[int, ...]) -> float:
        group = [readable[place] for place in places]
        allowed = may_be_read_together(group, profile)
        return cost_s(len(addresses_read(group, profile.even_blocks))) if allowed else math.inf

    @cache
    def least_s(left: tuple[int, ...]) -> float:
        if not left:
            return 0.0
        requests = [(left[0], *others) for many in range(len(left)) for others in combinations(left[1:], many)]
        allowed = [request for request in requests if request_s(request) < math.inf]
        return min(
            request_s(request) + least_s(tuple(place for place in left if place not in request)) for request in allowed
        )

    return least_s(tuple(range(len(readable))))


def decoded(registers: Sequence[Register], words: Mapping[int, int], earlier: Mapping[str, float]) -> dict[str, float]:
    """What registers say, one after the other and byte by byte; ``words`` are those of the wire by their address."""
    raw = {register.name: _raw(register, words) for register in registers}
    values: dict[str, float] = {}
    for register in sorted(registers, key=lambda r: (bool(r.plus or r.minus), bool(r.multiply_by or r.exponent_from))):
        value = raw[register.name] * register.scale
        for name in register.multiply_by:
            value *= values[name] if name in values else earlier.get(name, NAN)
        if register.exponent_from:
            exponent = register.exponent_from
            power = values[exponent] if exponent in values else earlier.get(exponent, NAN)
            value *= 10.0**power if abs(power) <= 300 else NAN
        value += sum(values.get(name, NAN) for name in register.plus)
        value -= sum(values.get(name, NAN) for name in register.minus)
        low, high = (-1.8e308, 1.8e308) if register.parameter else _plausible(register.name)
        values[register.name] = value if low <= value <= high and math.isfinite(value) else NAN
    return values


def _plausible(name: str) -> tuple[float, float]:
    return QUANTITIES[name].low, QUANTITIES[name].high


def _raw(register: Register, words: Mapping[int, int]) -> float:
    wire = b"".join(words[register.address + i].to_bytes(2, "big") for i in range(register.count))
    ordered = bytes(wire[register.order.index(letter)] for letter in sorted(register.order))
    number = int.from_bytes(ordered, "big")
    if number in register.absent:
        return NAN
    if register.dtype[0] == "f":
        value: float = struct.unpack(">f" if register.count == 2 else ">d", ordered)[0]
        return value
    negative = register.dtype[0] == "i" and number >= 1 << (16 * register.count - 1)
    return number - (1 << 16 * register.count) if negative else number
