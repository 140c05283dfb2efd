"""Whether a meter's values agree with the mains and with each other.

What holds for every electricity meter: the phases sum to the total, |P| is at most S, |PF| is P / S,
S of a phase is U times I, phase-to-phase voltage is 1.73 times phase-to-neutral. Values are read one
after the other, so a load that switches in between may spoil one reading; take the median of several.
"""

import math
from collections.abc import Iterator, Set
from dataclasses import dataclass
from enum import Enum
from statistics import median

from agent.commission.diagnose.finding import Values, shown
from agent.quantities import QUANTITIES

PHASES = ("l1", "l2", "l3")
PHASE_VOLTAGES = tuple(f"voltage_{phase}_v" for phase in PHASES)
_LINE_VOLTAGES = ("voltage_l12_v", "voltage_l23_v", "voltage_l31_v", "voltage_ll_avg_v")

HERTZ = (45.0, 65.0)  # 50 and 60 Hz grids, and what a generator makes of them
_LN_VOLTS = (80.0, 420.0)  # from 100 V (Japan) to 690 V systems, with their tolerances
_LL_VOLTS = (140.0, 730.0)  # the same between phases
MEDIUM_V = 1000.0  # from here on it is medium voltage, of which nothing is expected

_RELATIVE = 0.05  # two class 1 values, rounded, and a load that moves between two requests
_FLOOR_VA = 30.0  # 0.1 A or 0.01 kW a phase, rounded: the coarsest resolutions of registers
_FLOOR_V = 2.0
_FLOOR_PF = 0.05


class Mains(Enum):
    """Whether values look like the low-voltage mains."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"  # neither voltage nor frequency is known


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two ways to the same value that disagree; ``ratio`` is found over expected."""

    name: str
    others: str  # how the expected value was computed
    found: float
    expected: float

    @property
    def ratio(self) -> float:
        """Found over expected."""
        return self.found / self.expected if self.expected else math.inf

    def __str__(self) -> str:
        return f"{self.name} is {shown(self.found)}, {self.others} gives {shown(self.expected)}"


def looks_like_mains(values: Values, impossible: Set[str]) -> Mains:
    """Tell whether voltages and frequency are those of a low-voltage supply.

    >>> looks_like_mains({"voltage_l1_v": 231.0, "frequency_hz": 49.98}, set())
    <Mains.YES: 'yes'>
    >>> looks_like_mains({"voltage_l1_v": 2.6e-23, "frequency_hz": math.nan}, {"frequency_hz"})
    <Mains.NO: 'no'>
    """
    names = [name for name in ("frequency_hz", *PHASE_VOLTAGES, *_LINE_VOLTAGES) if name in values]
    known = [name for name in names if name in impossible or (values[name] and not math.isnan(values[name]))]
    if not known:
        return Mains.UNKNOWN
    fine = all(name not in impossible and not is_unusual(name, values[name]) for name in known)
    return Mains.YES if fine else Mains.NO


def usual(name: str) -> tuple[float, float] | None:
    """Give what is usual on low-voltage mains for a voltage or the frequency."""
    if name == "frequency_hz":
        return HERTZ
    if name in _LINE_VOLTAGES:
        return _LL_VOLTS
    return _LN_VOLTS if name in PHASE_VOLTAGES or name == "voltage_ln_avg_v" else None


def is_unusual(name: str, value: float) -> bool:
    """Tell whether a value is possible and yet none that mains have; 0 V is a phase that is off."""
    bounds = usual(name)
    if bounds is None or math.isnan(value) or (name != "frequency_hz" and (value == 0 or value >= MEDIUM_V)):
        return False
    return not bounds[0] <= value <= bounds[1]


def contradictions(values: Values) -> list[Contradiction]:
    """Give every pair of values that cannot both be right."""
    return [
        found
        for found, floor, both_ways in _relations(values)
        if not _agrees(found.found, found.expected, floor, both_ways)
    ]


def disagreement(values: Values) -> float:
    """Give by how much two ways to the same value typically differ, relative; NaN where no value is known twice.

    A wrong word order or address may leave the high words right: then values are plausible, and this
    is half a percent, where it is next to nothing for the right ones.
    """
    pairs = [(item.found, item.expected) for item, _, both_ways in _relations(values) if both_ways]
    known = [abs(found / expected - 1) for found, expected in pairs if expected and not math.isnan(found / expected)]
    return median(known) if known else math.nan


def _agrees(found: float, expected: float, floor: float, both_ways: bool) -> bool:
    """Compare; without ``both_ways`` the found value may be smaller. What is not known contradicts nothing."""
    if math.isnan(found) or math.isnan(expected):
        return True
    margin = floor + _RELATIVE * max(abs(found), abs(expected))
    return (abs(found - expected) if both_ways else found - expected) <= margin


def _relations(values: Values) -> Iterator[tuple[Contradiction, float, bool]]:
    """Give every relation that this meter's values allow: the two values, the tolerance, and whether they are equal."""
    if all(f"active_power_{phase}_w" in values for phase in PHASES):
        total = sum(values[f"active_power_{phase}_w"] for phase in PHASES)
        name = "active_power_w"
        yield Contradiction(name, "the sum of its phases", _known(values, name), total), _FLOOR_VA, True
    for phase in ("", *PHASES):
        yield from _power_relations(values, f"_{phase}" if phase else "")
    yield from _voltage_relations(values)


def _power_relations(values: Values, phase: str) -> Iterator[tuple[Contradiction, float, bool]]:
    """Compare P, S, PF and U times I of one phase, or of all (``phase`` is empty)."""
    active, apparent, factor = f"active_power{phase}_w", f"apparent_power{phase}_va", f"power_factor{phase}"
    active_w, apparent_va = _known(values, active), _known(values, apparent)
    yield Contradiction(active, f"{apparent} at most", abs(active_w), apparent_va), _FLOOR_VA, False
    if apparent_va > 4 * _FLOOR_VA:
        ratio = abs(active_w) / apparent_va
        yield Contradiction(factor, f"{active} / {apparent}", abs(_known(values, factor)), ratio), _FLOOR_PF, True
    product_va, words = _volt_amperes(values, phase)
    if math.isnan(apparent_va):
        yield Contradiction(active, f"{words} at most", abs(active_w), product_va), _FLOOR_VA, False
    else:
        yield Contradiction(apparent, words, apparent_va, product_va), _FLOOR_VA, bool(phase) or _is_single(values)


def _volt_amperes(values: Values, phase: str) -> tuple[float, str]:
    """Give U times I of one phase, or the sum over all phases, and how it was computed."""
    phases = [phase] if phase else ["_l1"] if _is_single(values) else [f"_{name}" for name in PHASES]
    product = sum(_known(values, f"voltage{p}_v") * abs(_known(values, f"current{p}_a")) for p in phases)
    return product, " + ".join(f"voltage{p}_v x current{p}_a" for p in phases)


def _is_single(values: Values) -> bool:
    return "voltage_l2_v" not in values and "current_l2_a" not in values


def _voltage_relations(values: Values) -> Iterator[tuple[Contradiction, float, bool]]:
    phases = [_known(values, name) for name in PHASE_VOLTAGES]
    mean = sum(phases) / 3
    name = "voltage_ln_avg_v"
    yield Contradiction(name, "the mean of the phases", _known(values, name), mean), _FLOOR_V, True
    if all(volts > _LN_VOLTS[0] for volts in phases):  # a phase that is off has no angle
        for name in _LINE_VOLTAGES:
            expected = math.sqrt(3) * mean
            yield Contradiction(name, "1.73 x the mean of the phases", _known(values, name), expected), _FLOOR_V, True


def _known(values: Values, name: str) -> float:
    return values.get(name, math.nan)


def judgement(name: str, values: Values, impossible: Set[str]) -> str:
    """Say of one quantity that was read whether it can be believed: "ok" or what is wrong with it."""
    value, quantity = values.get(name, math.nan), QUANTITIES[name]
    if name in impossible:
        return f"impossible: outside {quantity.low:g} to {quantity.high:g} {quantity.unit}".rstrip()
    if math.isnan(value):
        return "not available"
    bounds = usual(name)
    if bounds and is_unusual(name, value):
        return f"unusual: mains have {bounds[0]:g} to {bounds[1]:g} {quantity.unit}"
    wrong = next((other for other in contradictions(values) if other.name == name), None)
    return f"contradicts: {wrong.others} gives {shown(wrong.expected)}" if wrong else "ok"
