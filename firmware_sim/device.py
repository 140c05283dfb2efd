"""One meter as a Modbus device: a request's PDU in, the answer's PDU out."""

import functools
import struct

import numpy as np

from firmware_sim.clock import Clock
from firmware_sim.feeder import BLOCK, Feeder
from firmware_sim.plant import Plant
from firmware_sim.registers import ILLEGAL_FUNCTION, ILLEGAL_VALUE, Bytes

_DEVICE_FAILURE = 4
_READ = struct.Struct(">BHH")


class Device:
    """A meter that answers read requests with its registers of the moment."""

    def __init__(self, plant: Plant, feeder: Feeder, clock: Clock) -> None:
        self._plant, self._feeder, self._clock = plant, feeder, clock
        self._faults = feeder.faults
        self._locate = functools.lru_cache(maxsize=256)(feeder.map.locate)
        self._held: tuple[int, int] | None = None
        self._rows: tuple[Bytes, ...] = ()
        self._gaps = np.zeros(BLOCK, dtype=np.bool_)

    def prepare(self) -> None:
        """Make the registers of the present, so that the first request is answered as fast as any."""
        self._turn_to(self._clock.now_s())

    def answer(self, request: bytes) -> bytes:
        """Give the answer, an exception where the meter refuses."""
        if len(request) != _READ.size:
            return _exception(request, ILLEGAL_VALUE if request[0] in (3, 4) else ILLEGAL_FUNCTION)
        function, address, count = _READ.unpack(request)
        try:
            span, first = self._locate(function, address, count)
        except LookupError as refusal:
            return _exception(request, refusal.args[0])
        row = self._turn_to(self._clock.now_s())
        if self._gaps[row]:
            return _exception(request, _DEVICE_FAILURE)
        size = count * 2
        return bytes((function, size)) + self._rows[span][row, first : first + size].tobytes()

    def _turn_to(self, now_s: float) -> int:
        """Make the registers of this time available; give their row."""
        for fault in self._faults.times:
            if fault.at(now_s):
                now_s = fault.shown_s(now_s)
        block, row = divmod(self._plant.step_of(now_s), BLOCK)
        if self._held != (block, self._faults.version):
            self._rows = self._feeder.rows(block)
            self._gaps = np.isnan(self._feeder.power(block).active_w)
            self._held = block, self._faults.version
        return row


def _exception(request: bytes, code: int) -> bytes:
    return bytes((request[0] | 0x80, code))
