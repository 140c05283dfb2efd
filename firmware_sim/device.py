"""One meter as a Modbus device: a request's PDU in, the answer's PDU out."""

import functools
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_sim.clock import Clock
from firmware_sim.feeder import PAGE, Feeder
from firmware_sim.plant import Plant
from firmware_sim.registers import ILLEGAL_FUNCTION, ILLEGAL_VALUE, Bytes

_DEVICE_FAILURE = 4
_READ = struct.Struct(">BHH")


@dataclass(frozen=True, slots=True)
class _Page:
    """The registers of some hundred steps, and of which ``version`` of the faults they are."""

    number: int
    version: int
    rows: tuple[Bytes, ...]
    gaps: NDArray[np.bool_]


class Device:
    """A meter that answers read requests with its registers of the moment."""

    def __init__(self, plant: Plant, feeder: Feeder, clock: Clock) -> None:
        self._plant, self._feeder, self._clock = plant, feeder, clock
        self._faults = feeder.faults
        self._locate = functools.lru_cache(maxsize=256)(feeder.map.locate)
        self._page: _Page | None = None
        self._next: _Page | None = None

    def prepare(self, ahead_s: float = 0.0) -> None:
        """Make the registers of a time to come, so that the first request then is answered as fast as any."""
        number, _ = self._place(self._clock.now_s() + ahead_s)
        if not _is_of(self._page, number, self._faults.version) and not _is_of(
            self._next, number, self._faults.version
        ):
            self._next = self._make(number)

    def answer(self, request: bytes) -> bytes:
        """Give the answer, an exception where the meter refuses."""
        if len(request) != _READ.size:
            return _exception(request, ILLEGAL_VALUE if request[0] in (3, 4) else ILLEGAL_FUNCTION)
        function, address, count = _READ.unpack(request)
        try:
            span, first = self._locate(function, address, count)
        except LookupError as refusal:
            return _exception(request, refusal.args[0])
        page, row = self._now()
        if page.gaps[row]:
            return _exception(request, _DEVICE_FAILURE)
        size = count * 2
        return bytes((function, size)) + page.rows[span][row, first : first + size].tobytes()

    def _now(self) -> tuple[_Page, int]:
        """Give the registers of now, and the row in them."""
        number, row = self._place(self._clock.now_s())
        page, version = self._page, self._faults.version
        if page is None or page.number != number or page.version != version:
            ahead = self._next
            page = ahead if ahead and _is_of(ahead, number, version) else self._make(number)
            self._page, self._next = page, None
        return page, row

    def _place(self, now_s: float) -> tuple[int, int]:
        """Give the number of the page whose registers are answered with at a time, and the row."""
        return divmod(self._plant.step_of(self._faults.shown_s(now_s)), PAGE)

    def _make(self, number: int) -> _Page:
        return _Page(number, self._faults.version, self._feeder.rows(number), self._feeder.gaps(number))


def _is_of(page: _Page | None, number: int, version: int) -> bool:
    return page is not None and (page.number, page.version) == (number, version)


def _exception(request: bytes, code: int) -> bytes:
    return bytes((request[0] | 0x80, code))
