"""From quantities to 16-bit registers: the meter's side of a register map.

Works on whole stretches of time: an array of values gives an array of rows, one for each step,
so that answering a request is only cutting bytes from a row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_sim.chance import Floats
from firmware_sim.parts import split
from firmware_sim.profile import Entry, Fixed, Profile

Bytes = NDArray[np.uint8]

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
MAX_REGISTERS = 125  # of one read, by the Modbus specification
_BEYOND = 1e30  # more than any register holds, and finite
_WIDEST_GAP = MAX_REGISTERS - 2  # a read reaches across no more, with a register at either end


def encode(values: Floats, entry: Entry, factor: float = 1.0) -> Bytes:
    """Give the bytes on the wire, shape (steps, bytes), of values in SI units, shape (steps,).

    ``factor`` is what the reader multiplies by besides the scale: transformer ratios and powers
    of ten. A value that is NaN or does not fit becomes the meter's pattern for "not available";
    without such a pattern an integer stops at its limit, and NaN reads as 0, as real meters do.
    Energy registers roll over instead.

    >>> encode(np.array([230.0]), Entry(name="voltage_l1_v", function=4, address=0, dtype="f32", order="CDAB")).tolist()
    [[0, 0, 67, 102]]
    """
    raw = values / (entry.scale * factor)
    size = entry.count * 2
    data = raw.astype(f">f{size}") if entry.dtype[0] == "f" else _integers(raw, entry)
    if entry.absent:
        lost = np.isnan(raw) if entry.dtype[0] == "f" else ~_fits(raw, entry)
        data[lost] = np.array([entry.absent[0]], dtype=f">u{size}").view(data.dtype)[0]
    bytes_ = np.ascontiguousarray(data).view(np.uint8).reshape(-1, size)
    return bytes_[:, [ord(letter) - ord("A") for letter in entry.order]]


def _limits(entry: Entry) -> tuple[int, int]:
    bits = entry.count * 16
    return (0, 2**bits - 1) if entry.dtype[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _fits(raw: Floats, entry: Entry) -> NDArray[np.bool_]:
    low, high = _limits(entry)
    return (np.rint(raw) >= low) & ((np.rint(raw) <= high) | _is_counter(entry))


def _is_counter(entry: Entry) -> bool:
    return entry.name.endswith(("_wh", "_varh"))


def _integers(raw: Floats, entry: Entry) -> NDArray[np.integer]:
    low, high = _limits(entry)
    whole = np.rint(np.clip(raw, -_BEYOND, _BEYOND))
    whole[np.isnan(whole)] = 0.0
    if _is_counter(entry):
        whole = np.fmod(whole, float(high) + 1)  # with its sign: some count what flows back downwards
    kind = np.dtype(f">{entry.dtype[0]}{entry.count * 2}")
    if entry.count == 4:  # the limits of 64 bits are no floats: float64 ends where 2**53 does
        return np.clip(whole, low, float(high) - 1024).astype(kind)
    return np.clip(whole, low, high).astype(kind)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of addresses of one function that a request may lie in, and what lies there."""

    function: int
    first: int
    width: int
    entries: tuple[Entry, ...]
    fixed: tuple[Fixed, ...]


class RegisterMap:
    """The address space of one meter model: which requests it answers, and with which registers."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        entries = (*profile.entries, *profile.parameters)
        single = [entry for entry in entries if entry.name in profile.single]
        self._max_gap = _WIDEST_GAP if profile.max_gap is None else profile.max_gap
        blocks: list[Entry | Fixed] = [*profile.fixed, *(entry for entry in entries if entry not in single)]
        self.spans = (*self._merge(blocks), *(self._span([entry]) for entry in single))
        self._single_from = len(self.spans) - len(single)

    def _merge(self, items: Sequence[Entry | Fixed]) -> list[Span]:
        spans: list[list[Entry | Fixed]] = []
        end = 0
        for item in sorted(items, key=lambda item: (item.function, item.address)):
            near = bool(spans) and spans[-1][0].function == item.function
            if not near or item.address - end > self._max_gap:
                spans.append([])
                end = 0
            spans[-1].append(item)
            end = max(end, item.address + item.count)
        return [self._span(span) for span in spans]

    def _span(self, items: Sequence[Entry | Fixed]) -> Span:
        even = 2 if self._profile.even_blocks else 1
        first = items[0].address // even * even
        end = max(item.address + item.count for item in items)
        entries = tuple(item for item in items if isinstance(item, Entry))
        fixed = tuple(item for item in items if isinstance(item, Fixed))
        return Span(items[0].function, first, -(-(end - first) // even) * even, entries, fixed)

    def locate(self, function: int, address: int, count: int) -> tuple[int, int]:
        """Give (index of the span, first byte in its rows); raise LookupError(exception code) where it refuses."""
        if function not in (3, 4):
            raise LookupError(ILLEGAL_FUNCTION)
        if not 1 <= count <= min(MAX_REGISTERS, self._profile.max_registers):
            raise LookupError(ILLEGAL_VALUE)
        if self._profile.even_blocks and (address % 2 or count % 2):
            raise LookupError(ILLEGAL_ADDRESS)
        if any(address <= last and first < address + count for first, last in self._profile.forbidden):
            raise LookupError(ILLEGAL_ADDRESS)
        for index in reversed(range(len(self.spans))):  # those that want a request of their own come first
            span = self.spans[index]
            offset = address - span.first
            whole = offset == 0 and count == span.width
            inside = offset >= 0 and offset + count <= span.width
            if span.function == function and (whole if index >= self._single_from else inside):
                return index, offset * 2
        raise LookupError(ILLEGAL_ADDRESS)

    def rows(self, values: Mapping[str, Floats], factors: Mapping[str, float]) -> tuple[Bytes, ...]:
        """Give for each span the bytes of its registers, shape (steps, 2 * width).

        ``values`` are arrays of one length by quantity or parameter; ``factors`` the number by
        which a reader multiplies the entry of that name.
        """
        shown = split(self._profile, values, factors)
        return tuple(self._rows(span, shown, factors) for span in self.spans)

    @staticmethod
    def _rows(span: Span, shown: Mapping[str, Floats], factors: Mapping[str, float]) -> Bytes:
        steps = len(next(iter(shown.values())))
        row = np.zeros((steps, span.width * 2), dtype=np.uint8)  # unlisted registers read as 0
        for fixed in span.fixed:
            at = (fixed.address - span.first) * 2
            row[:, at : at + len(fixed.data)] = np.frombuffer(fixed.data, dtype=np.uint8)
        for entry in span.entries:
            at = (entry.address - span.first) * 2
            row[:, at : at + entry.count * 2] = encode(shown[entry.name], entry, factors[entry.name])
        return row
