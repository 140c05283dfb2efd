"""One window as the checks of the metering look at it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import Floats
from agent.records import Window

Flags = NDArray[np.bool_]
_NO_VOLTAGE = 0.05  # of the other phases: an interruption in EN 50160
LOW = 0.01  # of the largest load: below, a class 1 meter's errors are not bounded (IEC 62053-21: from 2 to 5 % of I_n)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A window with what its checks share. Per-phase arrays have shape (meters, 3, ticks)."""

    window: Window
    good: Flags  # (meters,) whose answers are usable; of the others the checks say nothing
    follows: bool  # right after the window before
    largest_w: Floats  # (meters,) largest mean power of any window up to this one
    peak_w: Floats  # (meters,) largest of its samples that is remembered
    step_w: Floats  # (meters,) resolution of the active power
    known_s: Floats  # (meters,) for how long the meter has been measured well
    power_w: Floats  # (meters,) mean of this one
    voltage_v: Floats
    current_a: Floats  # magnitudes: some meters sign their currents
    phase_power_w: Floats
    mean_voltage_v: Floats  # these three have shape (meters, 3)
    mean_current_a: Floats
    mean_phase_power_w: Floats
    dead: Flags  # (meters, 3) phases without a voltage that deserves the name; not where none is known

    @property
    def loaded(self) -> Flags:
        """Whether enough flows for the meter's errors to be small, shape (meters,)."""
        flags: Flags = np.abs(self.power_w) > LOW * self.largest_w
        return flags


def phases(window: Window, stem: str, unit: str) -> Floats:
    """Give a quantity of all three phases, shape (meters, 3, ticks)."""
    return np.stack([window.values[f"{stem}_l{phase}_{unit}"] for phase in (1, 2, 3)], axis=1)


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
