"""Words become quantities: the registers of one reply, or of all replies of a poll, into SI values.

What a set of requests needs is worked out once: which words to pick in which order, one ``struct``
that unpacks them all, and what refers to what. A poll is then a permutation, an unpack and a
multiplication a value, all in C; only values that refer to others are computed one by one.
"""

import math
import struct
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, chain
from operator import contains, itemgetter, le, mul

from agent.quantities import QUANTITIES
from agent.records import MeterProfile, ReadRequest, Register

_CODES = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}
_EXPONENT_MAX = 300  # what a float64 holds; SunSpec allows 10
_RATINGS = ("ct_primary_a", "ct_secondary_a")  # amperes on a transformer's nameplate, not on its wire
_FINITE = sys.float_info.max
_ANY = (-math.inf, math.inf)
_PROGRAMS = 4096  # 200 meters with a few sets of requests each, and what partial polls leave


@dataclass(frozen=True, slots=True)
class Decoded:
    """What replies say, in SI units, of every register that their requests cover, parameters too.

    A value is NaN where the meter said "not available" (an absent pattern, NaN, infinity), where a
    value that it refers to is missing, or where it lies outside the plausible range of its
    quantity; the last ones are named in ``out_of_range``.
    """

    values: dict[str, float]
    out_of_range: tuple[str, ...]


def decode(request: ReadRequest, words: Sequence[int], parameters: Mapping[str, float]) -> Decoded:
    """Give the values that one reply of ``request.count`` words carries; see ``decode_poll``."""
    return _program((request,)).run((words,), parameters)


def decode_poll(
    requests: tuple[ReadRequest, ...], replies: Collection[Sequence[int]], parameters: Mapping[str, float]
) -> Decoded:
    """Give the values that the replies to ``requests``, in the same order, carry together.

    ``parameters`` are values of earlier polls by which registers of this one are multiplied; what
    these replies say of them comes first. What is added (``plus``, ``minus``) is taken from these
    replies only: a sum of an old and a new value was never true.
    """
    return _program(requests).run(replies, parameters) if requests else Decoded({}, ())


def referred(registers: Iterable[Register]) -> frozenset[str]:
    """Give the names whose last value must be kept for ``parameters``: other registers multiply by them."""
    names = {name for register in registers for name in (*register.multiply_by, register.exponent_from)}
    return frozenset(names - {""})


def with_transformers(profile: MeterProfile, ct_ratio: float, vt_ratio: float) -> MeterProfile:
    """Give a meter's profile behind transformers that it does not know of: its scales take them in.

    Voltages are multiplied by ``vt_ratio``, currents by ``ct_ratio``, powers and energies by both;
    what describes a transformer, and what has no such unit, stays. A part of a sum has the unit of
    the sum.
    """
    parts = {part: register.name for register in profile.registers for part in (*register.plus, *register.minus)}
    factors = {"V": vt_ratio, "A": ct_ratio} | dict.fromkeys(("W", "var", "VA", "Wh", "varh"), ct_ratio * vt_ratio)

    def factor(register: Register) -> float:
        name = parts.get(register.name, register.name) if register.parameter else register.name
        quantity = QUANTITIES.get(name)
        return factors.get(quantity.unit, 1.0) if quantity and name not in _RATINGS else 1.0

    registers = tuple(replace(register, scale=register.scale * factor(register)) for register in profile.registers)
    return replace(profile, registers=registers)


_Scaled = tuple[tuple[tuple[str, ...], str, tuple[tuple[str, float, float], ...]], ...]


class _Program:
    """What a set of requests needs, worked out."""

    __slots__ = (
        "_absent",
        "_count",
        "_high",
        "_low",
        "_names",
        "_pack",
        "_pick",
        "_scaled",
        "_scales",
        "_sums",
        "_swapped",
        "_turned",
        "_unpack",
    )

    def __init__(self, requests: Sequence[ReadRequest]) -> None:
        ends = accumulate(request.count for request in requests)
        begins = {q: end - q.count - q.address for q, end in zip(requests, ends, strict=True)}
        placed = [(register, begin + register.address) for q, begin in begins.items() for register in q.registers]
        registers = [register for register, _ in placed]
        picture = [(at + word, swapped) for register, at in placed for word, swapped in _picture(register.order)]
        self._count = sum(request.count for request in requests)
        self._pick = _picker([at for at, _ in picture])
        self._swapped = tuple(index for index, (_, swapped) in enumerate(picture) if swapped)
        self._pack = struct.Struct(f">{len(picture)}H").pack
        self._unpack = struct.Struct(">" + "".join(_CODES[register.dtype] for register in registers)).unpack
        self._names = tuple(register.name for register in registers)
        self._scales = tuple(register.scale for register in registers)
        self._turned = tuple(register.name for register in registers if register.scale < 0)
        self._absent = tuple(map(_absent, registers)) if any(register.absent for register in registers) else ()
        limits = [_ANY if _refers(register) else _limits(register) for register in registers]
        self._low, self._high = zip(*limits, strict=True)
        self._scaled = _scaled(registers)
        self._sums = tuple((r.name, r.plus, r.minus, *_limits(r)) for r in registers if r.plus or r.minus)

    def run(self, replies: Collection[Sequence[int]], parameters: Mapping[str, float]) -> Decoded:
        raws = self._raws(replies)
        values = dict(zip(self._names, map(mul, raws, self._scales), strict=True))
        for name in self._turned:
            values[name] += 0.0  # a counter that stands at 0 is not at -0.0
        if any(map(contains, self._absent, raws)):
            found = zip(self._names, self._absent, raws, strict=True)
            values |= {name: math.nan for name, absent, raw in found if raw in absent}
        numbers, rejected = values.values(), []
        if not (all(map(le, self._low, numbers)) and all(map(le, numbers, self._high))):
            rejected = _reject(values, zip(self._names, self._low, self._high, strict=True))
        for names, exponent, rows in self._scaled:
            factor = _factor(names, exponent, values, parameters)
            for name, low, high in rows:
                value = values[name] = values[name] * factor
                if not low <= value <= high:
                    rejected += _reject(values, ((name, low, high),))
        for name, plus, minus, low, high in self._sums:
            values[name] += sum(values.get(part, math.nan) for part in plus)
            values[name] -= sum(values.get(part, math.nan) for part in minus)
            rejected += _reject(values, ((name, low, high),))
        return Decoded(values, tuple(rejected))

    def _raws(self, replies: Collection[Sequence[int]]) -> tuple[float, ...]:
        found = next(iter(replies)) if len(replies) == 1 else tuple(chain.from_iterable(replies))
        if len(found) != self._count:
            raise ValueError(f"{len(found)} words answer a request for {self._count}")
        words = self._pick(found)
        if self._swapped:
            words = tuple(_swap(word) if i in self._swapped else word for i, word in enumerate(words))
        return self._unpack(self._pack(*words))


@lru_cache(_PROGRAMS)
def _program(requests: tuple[ReadRequest, ...]) -> _Program:
    return _Program(requests)


def _refers(register: Register) -> bool:
    return bool(register.multiply_by or register.exponent_from or register.plus or register.minus)


def _picture(order: str) -> list[tuple[int, bool]]:
    """Give the words of a value, the most significant first: which one of the wire, and whether its bytes are swapped.

    >>> _picture("CDAB"), _picture("DCBA")
    ([(1, False), (0, False)], [(1, True), (0, True)])
    """
    high_bytes = sorted(order)[::2]
    return [(order.index(letter) // 2, order.index(letter) % 2 == 1) for letter in high_bytes]


def _picker(positions: Sequence[int]) -> Callable[[Sequence[int]], Sequence[int]]:
    if list(positions) == list(range(positions[0], positions[0] + len(positions))):
        return itemgetter(slice(positions[0], positions[0] + len(positions)))
    return itemgetter(*positions)


def _swap(word: int) -> int:
    return word >> 8 | (word & 0xFF) << 8


def _scaled(registers: Iterable[Register]) -> _Scaled:
    """Give what is multiplied, by what it is multiplied by: meters have few ratios and scale factors for many values.

    The limits are those of the product; a sum is held to its own once it is complete.
    """
    groups: defaultdict[tuple[tuple[str, ...], str], list[tuple[str, float, float]]] = defaultdict(list)
    for register in registers:
        if register.multiply_by or register.exponent_from:
            limits = _ANY if register.plus or register.minus else _limits(register)
            groups[register.multiply_by, register.exponent_from].append((register.name, *limits))
    return tuple((*factors, tuple(rows)) for factors, rows in groups.items())


def _limits(register: Register) -> tuple[float, float]:
    quantity = None if register.parameter else QUANTITIES[register.name]
    return (quantity.low, quantity.high) if quantity else (-_FINITE, _FINITE)


def _absent(register: Register) -> frozenset[float]:
    return frozenset(_as_value(register.dtype, pattern) for pattern in register.absent)


def _as_value(dtype: str, pattern: int) -> float:
    """Give what an unsigned bit pattern reads as, so that it compares with an unpacked value."""
    value: float = struct.unpack(f">{_CODES[dtype]}", pattern.to_bytes(int(dtype[1:]) // 8, "big"))[0]
    return value


def _factor(names: Iterable[str], exponent: str, values: Mapping[str, float], parameters: Mapping[str, float]) -> float:
    """Give the product of what values are multiplied by, of this poll or else of an earlier one."""
    factor = math.prod(_known(name, values, parameters) for name in names)
    return factor * _power_of_ten(_known(exponent, values, parameters)) if exponent else factor


def _known(name: str, values: Mapping[str, float], parameters: Mapping[str, float]) -> float:
    return values[name] if name in values else parameters.get(name, math.nan)


def _power_of_ten(exponent: float) -> float:
    return 10.0**exponent if abs(exponent) <= _EXPONENT_MAX else math.nan


def _reject(values: dict[str, float], limits: Iterable[tuple[str, float, float]]) -> list[str]:
    """Make what lies outside its limits unknown; name what was a number."""
    outside = [name for name, low, high in limits if not low <= values[name] <= high]
    finite = [name for name in outside if math.isfinite(values[name])]
    values |= dict.fromkeys(outside, math.nan)
    return finite
