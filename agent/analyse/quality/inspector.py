"""Looks at each window before it is judged: gives it its letters, and says once what an electrician should know."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.quality import answers, arithmetic, energy, supply, tree, wiring
from agent.analyse.quality.answers import Answers
from agent.analyse.quality.arithmetic import Arithmetic
from agent.analyse.quality.case import Case, CaseBook
from agent.analyse.quality.counter import Counter
from agent.analyse.quality.energy import Energy
from agent.analyse.quality.power import Power
from agent.analyse.quality.settings import Settings
from agent.analyse.quality.supply import Supply
from agent.analyse.quality.tree import Tree
from agent.analyse.quality.view import Flags, View
from agent.analyse.quality.wiring import Wiring
from agent.analyse.window import lettered
from agent.config import MeterFacts
from agent.records import Notice, Quality, Window

logger = logging.getLogger(__name__)

CHECKS = (
    *answers.CHECKS,
    arithmetic.ARITHMETIC,
    energy.ENERGY,
    *wiring.CHECKS,
    *supply.CHECKS,
    tree.EXCESS,
)  # the first letter stands


@dataclass(frozen=True, slots=True)
class Inspection:
    """A window with its final letters, and what is to be told."""

    window: Window
    notices: tuple[Notice, ...]


class _State(msgspec.Struct):
    meters: list[str]
    cases: dict[str, dict[str, Case]]
    kept: dict[str, dict[str, list[list[float]]]]


class Inspector:
    """All checks of a gateway; ``max_power_w`` is what the feeders can carry, by meter, where that is known.

    ``configured`` says by what each meter is read: ratios and the profile, a number for each meter.
    ``state`` is what :attr:`state` gave before a restart: what was told is not told again, and a
    meter that was exchanged meanwhile is noticed.
    """

    def __init__(
        self,
        meters: Sequence[MeterFacts],
        max_power_w: Mapping[str, float] | None = None,
        state: bytes = b"",
        configured: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self._meters = tuple(meter.id for meter in meters)
        self._book = CaseBook(self._meters)
        self._answers = Answers(self._meters, [meter.role for meter in meters], max_power_w or {})
        self._settings = Settings(self._meters, configured or {})
        self._counter = Counter(self._meters)
        self._energy = Energy(self._meters)
        self._arithmetic = Arithmetic(self._meters)
        self._wiring = Wiring(meters)
        self._supply = Supply(self._meters)
        self._tree = Tree(meters)
        self._power = Power(self._meters)
        self._end_s = 0
        kept = _decode(state) if state else None
        if kept is not None:
            self._restore(kept)

    def take(self, window: Window) -> Inspection:
        """Take the next window of all meters."""
        view = self._view(window)
        notices, exchanged = self._settings.take(window)
        readings, falls = self._counter.take(view, exchanged)
        seen = [
            *self._answers.take(view),
            *self._arithmetic.take(view),
            *self._energy.take(view, readings),
            *self._wiring.take(view),
            *self._supply.take(view),
            *self._tree.take(view),
        ]
        notices += falls
        for one in seen:
            notices += self._book.take(window, one)
        self._end_s = window.end_s
        inspected = self._lettered(window, exchanged, {notice.meter for notice in falls})
        self._power.doubt(inspected)
        return Inspection(inspected, tuple(notices))

    def interrupt(self) -> None:
        """Note that the clock was stepped: no window that comes follows on one that was."""
        self._end_s = -1

    @property
    def state(self) -> bytes:
        """All that must survive a restart."""
        kept = {
            name: {key: array.reshape(len(self._meters), -1).tolist() for key, array in arrays.items()}
            for name, arrays in self._kept().items()
        }
        return msgspec.msgpack.encode(_State(list(self._meters), self._book.cases, kept))

    def _view(self, window: Window) -> View:
        good = lettered(window, Quality.GOOD)
        self._power.take(window, good)
        return View(
            window=window,
            good=good,
            follows=window.start_s == self._end_s,
            largest_w=self._power.kept["largest_w"],
            peak_w=self._power.kept["peak_w"],
            step_w=self._power.step_w,
            known_s=self._power.kept["known_s"],
        )

    def _lettered(self, window: Window, exchanged: Flags, reset: set[str]) -> Window:
        """Give the final letters: the window's own, else that of an exchange, else the first that a case demands."""
        demands = [(row, Quality.EXCHANGED) for row in np.flatnonzero(exchanged).tolist()]
        demands += [(self._meters.index(meter), Quality.RESET) for meter in reset]
        demands += self._book.gated(CHECKS)
        if not demands:
            return window
        letters = list(window.quality)
        for row, letter in demands:
            if letters[row] is Quality.GOOD:
                letters[row] = letter
        return replace(window, quality=tuple(letters))

    def _kept(self) -> dict[str, dict[str, Floats]]:
        """Give the arrays that outlive a restart, by their owner; the first axis is the meters'."""
        return {
            "power": self._power.kept,
            "settings": self._settings.kept,
            "counter": self._counter.kept,
            "arithmetic": self._arithmetic.kept,
            "wiring": self._wiring.kept,
            "supply": self._supply.kept,
        }

    def _restore(self, state: _State) -> None:
        """Take up the state of meters that are still there; new meters begin anew."""
        self._book.cases = {
            check: {meter: case for meter, case in cases.items() if meter in self._meters}
            for check, cases in state.cases.items()
        }
        rows = [(row, state.meters.index(meter)) for row, meter in enumerate(self._meters) if meter in state.meters]
        for name, arrays in self._kept().items():
            for key, array in arrays.items():
                saved = state.kept.get(name, {}).get(key, [])
                if [len(values) for values in saved] != [math.prod(array.shape[1:])] * len(state.meters):
                    continue  # of another version: this begins anew
                for row, old in rows:
                    array[row] = np.reshape(saved[old], array[row].shape)


def _decode(state: bytes) -> _State | None:
    """Read a state; None where it is of another version: a gateway must go on measuring."""
    try:
        return msgspec.msgpack.decode(state, type=_State)
    except msgspec.DecodeError as error:
        logger.warning("the state of the metering checks cannot be read (%s); they begin anew", error)
        return None
