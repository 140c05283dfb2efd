"""Words become quantities: one request's registers into SI values.

What a request needs is worked out once: which bytes to pick in which order, and one ``struct``
that unpacks them all. A poll is then a permutation, an unpack, and a multiplication a value.
"""

import math
import struct
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter

from agent.quantities import QUANTITIES
from agent.records import ReadRequest, Register

_CODES = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}
_EXPONENT_MAX = 300  # what a float64 holds; SunSpec allows 10
_FINITE = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one reply says, in SI units, of every register that the request covers, parameters too.

    A value is NaN where the meter said "not available" (an absent pattern, NaN, infinity), where a
    parameter that it needs is missing, or where it lies outside the plausible range of its
    quantity; the last ones are named in ``out_of_range``.
    """

    values: dict[str, float]
    out_of_range: tuple[str, ...]


def decode(request: ReadRequest, words: Sequence[int], parameters: Mapping[str, float]) -> Decoded:
    """Give the values that a reply of ``request.count`` words carries.

    ``parameters`` are values of earlier replies that registers of this one refer to; what this
    reply itself says of them comes first.
    """
    return _program(request).run(words, parameters)


def referred(registers: Iterable[Register]) -> frozenset[str]:
    """Give the names whose last value must be kept for ``decode``: other registers refer to them."""
    names = {name for register in registers for name in (*register.multiply_by, register.exponent_from)}
    return frozenset(names - {""})


class _Program:
    """One request, worked out."""

    __slots__ = ("_pack", "_pick", "_rows", "_unpack")

    def __init__(self, request: ReadRequest) -> None:
        registers = sorted(request.registers, key=_refers)  # what others refer to comes first
        self._pack = struct.Struct(f">{request.count}H").pack
        self._pick: Callable[[bytes], tuple[int, ...]] = itemgetter(
            *(position for register in registers for position in _positions(request, register))
        )
        self._unpack = struct.Struct(">" + "".join(_CODES[register.dtype] for register in registers)).unpack
        self._rows = tuple(_row(register) for register in registers)

    def run(self, words: Sequence[int], parameters: Mapping[str, float]) -> Decoded:
        raws = self._unpack(bytes(self._pick(self._pack(*words))))
        values: dict[str, float] = {}
        out_of_range: list[str] = []
        for (name, scale, low, high, absent, factors, exponent), raw in zip(self._rows, raws, strict=True):
            if raw in absent:
                values[name] = math.nan
                continue
            value = raw * scale
            for factor in factors:
                value *= _known(factor, values, parameters)
            if exponent:
                value *= _power_of_ten(_known(exponent, values, parameters))
            if low <= value <= high:
                values[name] = value
            else:
                values[name] = math.nan
                if math.isfinite(value):
                    out_of_range.append(name)
        return Decoded(values, tuple(out_of_range))


@cache
def _program(request: ReadRequest) -> _Program:
    return _Program(request)


def _refers(register: Register) -> bool:
    return bool(register.multiply_by or register.exponent_from)


def _positions(request: ReadRequest, register: Register) -> list[int]:
    """Give where the bytes of a value stand in the reply, most significant byte first.

    The picture names the bytes in the order of the wire: CDAB has A, the most significant, third.
    """
    first = 2 * (register.address - request.address)
    return [first + register.order.index(letter) for letter in sorted(register.order)]


def _row(register: Register) -> tuple[str, float, float, float, frozenset[float], tuple[str, ...], str]:
    quantity = None if register.parameter else QUANTITIES[register.name]
    low, high = (quantity.low, quantity.high) if quantity else (-_FINITE, _FINITE)
    absent = frozenset(_as_value(register.dtype, pattern) for pattern in register.absent)
    return register.name, register.scale, low, high, absent, register.multiply_by, register.exponent_from


def _as_value(dtype: str, pattern: int) -> float:
    """Give what an unsigned bit pattern reads as, so that it compares with an unpacked value."""
    value: float = struct.unpack(f">{_CODES[dtype]}", pattern.to_bytes(int(dtype[1:]) // 8, "big"))[0]
    return value


def _known(name: str, values: Mapping[str, float], parameters: Mapping[str, float]) -> float:
    return values[name] if name in values else parameters.get(name, math.nan)


def _power_of_ten(exponent: float) -> float:
    return 10.0**exponent if abs(exponent) <= _EXPONENT_MAX else math.nan
