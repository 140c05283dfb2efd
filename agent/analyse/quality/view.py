"""One window as the checks of the metering look at it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import Floats, mean
from agent.analyse.window import known
from agent.records import Window

Flags = NDArray[np.bool_]
VOLTAGES = ("voltage_l1_v", "voltage_l2_v", "voltage_l3_v")
CURRENTS = ("current_l1_a", "current_l2_a", "current_l3_a")
POWERS = ("active_power_l1_w", "active_power_l2_w", "active_power_l3_w")
_NO_VOLTAGE = 0.05  # of the other phases: an interruption in EN 50160
LOW = 0.01  # of the largest load: below, a class 1 meter's errors are not bounded (IEC 62053-21: from 2 to 5 % of I_n)


@dataclass(frozen=True, kw_only=True)  # no slots: what several checks ask for is kept
class View:
    """A window with what its checks share. Per-phase arrays have shape (meters, 3, ticks), their means (meters, 3)."""

    window: Window
    good: Flags  # (meters,) whose answers are usable; of the others the checks say nothing
    follows: bool  # right after the window before
    largest_w: Floats  # (meters,) largest mean power of any window up to this one
    peak_w: Floats  # (meters,) largest of its samples that is remembered
    step_w: Floats  # (meters,) resolution of the active power
    known_s: Floats  # (meters,) for how long the meter has been measured well

    def has(self, *names: str) -> bool:
        """Tell whether any meter has any of these quantities in this window."""
        return not self._known.isdisjoint(names)

    @cached_property
    def _known(self) -> frozenset[str]:
        return known(self.window.values)

    @cached_property
    def power_w(self) -> Floats:
        """Mean power of this window, shape (meters,)."""
        return mean(self.window.values["active_power_w"])

    @cached_property
    def voltage_v(self) -> Floats:
        """Voltages of the phases."""
        return phases(self.window, VOLTAGES)

    @cached_property
    def current_a(self) -> Floats:
        """Currents of the phases, as magnitudes: some meters sign theirs."""
        current_a = phases(self.window, CURRENTS)
        return np.abs(current_a, out=current_a)

    @cached_property
    def phase_power_w(self) -> Floats:
        """Powers of the phases."""
        return phases(self.window, POWERS)

    @cached_property
    def mean_voltage_v(self) -> Floats:
        """Means of the voltages."""
        return mean(self.voltage_v)

    @cached_property
    def mean_current_a(self) -> Floats:
        """Means of the currents."""
        return mean(self.current_a)

    @cached_property
    def mean_phase_power_w(self) -> Floats:
        """Means of the phases' powers."""
        return mean(self.phase_power_w)

    @cached_property
    def dead(self) -> Flags:
        """Phases (meters, 3) without a voltage that deserves the name; not where none is known."""
        return without_voltage(self.mean_voltage_v)

    @cached_property
    def loaded(self) -> Flags:
        """Whether enough flows for the meter's errors to be small, shape (meters,)."""
        flags: Flags = np.abs(self.power_w) > LOW * self.largest_w
        return flags


def phases(window: Window, names: tuple[str, ...]) -> Floats:
    """Give a quantity of all three phases, shape (meters, 3, ticks)."""
    return np.stack([window.values[name] for name in names], axis=1)


def without_voltage(mean_voltage_v: Floats) -> Flags:
    """Tell the phases (meters, 3) that have no voltage that deserves the name.

    >>> without_voltage(np.array([[230.0, 3.0, np.nan]])).tolist()
    [[False, True, False]]
    """
    flags: Flags = mean_voltage_v <= _NO_VOLTAGE * np.fmax.reduce(mean_voltage_v, axis=1, keepdims=True)
    return flags


def verdict(fault: Flags | np.bool, known: Flags | np.bool) -> Floats:
    """Give 1 where a fault is seen, 0 where not, NaN where it cannot be known.

    >>> verdict(np.array([True, False, True]), np.array([True, True, False])).tolist()
    [1.0, 0.0, nan]
    """
    return np.where(known, fault.astype(float), np.nan)
