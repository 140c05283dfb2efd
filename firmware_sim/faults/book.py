"""The faults of one meter, by the stage of a reply's way at which they strike."""

from collections.abc import Iterable

from firmware_sim.faults.base import (
    AddressFault,
    Fault,
    LineFault,
    MeasuringFault,
    RegisterFault,
    ReplyFault,
    TimeFault,
)


class FaultBook:
    """What is, was and will be wrong with a meter. ``version`` changes with every entry."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = tuple(faults)
        self.version = 0
        self._sort()

    def _sort(self) -> None:
        self.measuring = tuple(fault for fault in self._faults if isinstance(fault, MeasuringFault))
        self.registers = tuple(fault for fault in self._faults if isinstance(fault, RegisterFault))
        self.times = tuple(fault for fault in self._faults if isinstance(fault, TimeFault))
        self.addresses = tuple(fault for fault in self._faults if isinstance(fault, AddressFault))
        self.replies = tuple(fault for fault in self._faults if isinstance(fault, ReplyFault))
        self.lines = tuple(fault for fault in self._faults if isinstance(fault, LineFault))

    def on(self, now_s: float) -> tuple[Fault, ...]:
        """Give what is wrong now."""
        return tuple(fault for fault in self._faults if fault.at(now_s))

    def shown_s(self, now_s: float) -> float:
        """Give the time whose registers are answered with now."""
        for fault in self.times:
            if fault.at(now_s):
                now_s = fault.shown_s(now_s)
        return now_s

    def add(self, fault: Fault) -> None:
        """Let something go wrong."""
        self._change((*self._faults, fault))

    def end(self, fault: Fault, now_s: float) -> None:
        """Put it right. What wrong wiring has counted stays counted, so that one is kept as a thing of the past."""
        kept = (fault.ended(now_s),) if isinstance(fault, MeasuringFault) else ()
        self._change((*(other for other in self._faults if other is not fault), *kept))

    def _change(self, faults: tuple[Fault, ...]) -> None:
        self._faults = faults
        self.version += 1
        self._sort()
