"""From active and reactive power to everything else that a meter shows, consistent at every step.

Identities that hold exactly: the phases sum to the total, S² = P² + Q², I = S / U, PF = P / S.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_sim.chance import Chance, Floats
from firmware_sim.mains import NOMINAL_V, Mains

NOMINAL_HZ = 50.0
_PHASES = ("l1", "l2", "l3")


@dataclass(frozen=True, slots=True)
class Supply:
    """What the grid does to the whole site: frequency (steps,), voltages and their distortion (3, steps)."""

    frequency_hz: Floats
    voltage_v: Floats
    thd_percent: Floats


@dataclass(frozen=True, slots=True)
class Power:
    """What flows at a metering point, each of shape (steps,); NaN in a gap.

    ``harmonic_va`` is the harmonic part of the current, as apparent power.
    """

    active_w: Floats
    reactive_var: Floats
    harmonic_va: Floats

    def __add__(self, other: "Power") -> "Power":
        """Join two loads; harmonics of unlike loads add as squares do."""
        return Power(
            self.active_w + other.active_w,
            self.reactive_var + other.reactive_var,
            np.hypot(self.harmonic_va, other.harmonic_va),
        )

    def where(self, running: NDArray[np.bool_]) -> "Power":
        """Give this where a load runs, and nothing where it does not."""
        return Power(*(np.where(running, part, 0.0) for part in (self.active_w, self.reactive_var, self.harmonic_va)))

    @property
    def thd_percent(self) -> Floats:
        """The distortion of the current: harmonic over fundamental, percent."""
        apparent = np.hypot(self.active_w, self.reactive_var)
        return 100 * np.divide(self.harmonic_va, apparent, out=np.zeros_like(apparent), where=apparent > 0)


def supply(seed: int, time_s: Floats, step_s: float) -> Supply:
    """Give the grid at these times: even behind the flattest load, voltage and frequency flicker."""
    grid = Chance(seed, "grid")

    def noise(channel: str, *parts: tuple[float, float]) -> Floats:
        waves = [sd * grid.smooth(f"{channel}{n}", time_s, max(s, step_s)) for n, (sd, s) in enumerate(parts)]
        total: Floats = np.sum(waves, axis=0)
        return total

    common = Mains(seed).deviation(time_s, step_s)
    voltage_v = [NOMINAL_V * (1 + common + noise(phase, (0.003, 3600), (0.0006, 1))) for phase in _PHASES]
    thd = [np.clip(1.8 + noise(f"thd-{phase}", (0.3, 7200), (0.05, 10)), 0.3, None) for phase in _PHASES]
    frequency_hz = NOMINAL_HZ + noise("f", (0.012, 600), (0.008, 30), (0.003, 1))
    return Supply(frequency_hz, np.array(voltage_v), np.array(thd))


def phase_shares(chance: Chance, time_s: Floats, phases: int) -> Floats:
    """Give the share of each phase in the load, shape (3, steps), summing to 1; one phase has it all."""
    if phases == 1:
        return np.array([np.ones_like(time_s), np.zeros_like(time_s), np.zeros_like(time_s)])
    tilt = [0.03 * (2 * chance.once(p) - 1) + 0.004 * chance.smooth(p, time_s, 1800) for p in _PHASES]
    shares: Floats = (1 + np.array(tilt)) / (3 + np.sum(tilt, axis=0))
    return shares


@dataclass(frozen=True, slots=True)
class Phases:
    """What the three inputs of a meter get, each of shape (3, steps)."""

    active_w: Floats
    reactive_var: Floats
    voltage_v: Floats
    current_a: Floats

    def where(self, mask: NDArray[np.bool_], other: "Phases") -> "Phases":
        """Give these, and the other's where ``mask`` is true."""
        return Phases(
            np.where(mask, other.active_w, self.active_w),
            np.where(mask, other.reactive_var, self.reactive_var),
            np.where(mask, other.voltage_v, self.voltage_v),
            np.where(mask, other.current_a, self.current_a),
        )


_SAG = 0.015  # of the nominal voltage behind a load of the rated power, as cables are sized
_REACTANCE = 0.35  # of a cable and a transformer, over their resistance


def share_out(power: Power, grid: Supply, shares: Floats, rated_w: float) -> Phases:
    """Give what flows in each phase; the voltage sags with it: dU = (R P + X Q) / U."""
    pull = np.nan_to_num(power.active_w + _REACTANCE * power.reactive_var) / rated_w
    voltage = grid.voltage_v - NOMINAL_V * _SAG * np.clip(pull, -3, 3)
    current = shares * np.hypot(power.active_w, power.reactive_var) / voltage
    return Phases(shares * power.active_w, shares * power.reactive_var, voltage, current)


def measure(phases: Phases, thd_percent: Floats, grid: Supply) -> dict[str, Floats]:
    """Give every instantaneous quantity of the vocabulary, each of shape (steps,)."""
    active_w, reactive_var = phases.active_w.sum(axis=0), phases.reactive_var.sum(axis=0)
    apparent = np.hypot(active_w, reactive_var)
    voltage, current = phases.voltage_v, phases.current_a
    between = [_between(voltage[a], voltage[b]) for a, b in ((0, 1), (1, 2), (2, 0))]
    values = {
        "active_power_w": active_w,
        "reactive_power_var": reactive_var,
        "apparent_power_va": apparent,
        "power_factor": _factor(active_w, apparent),
        "frequency_hz": grid.frequency_hz,
        "voltage_ln_avg_v": voltage.mean(axis=0),
        "voltage_l12_v": between[0],
        "voltage_l23_v": between[1],
        "voltage_l31_v": between[2],
        "voltage_ll_avg_v": np.mean(between, axis=0),
        "current_n_a": _neutral(current),
        "current_sum_a": current.sum(axis=0),
        "current_avg_a": current.mean(axis=0),
    }
    for n, phase in enumerate(_PHASES):
        apparent_va = np.hypot(phases.active_w[n], phases.reactive_var[n])
        values |= {
            f"active_power_{phase}_w": phases.active_w[n],
            f"reactive_power_{phase}_var": phases.reactive_var[n],
            f"apparent_power_{phase}_va": apparent_va,
            f"power_factor_{phase}": _factor(phases.active_w[n], apparent_va),
            f"voltage_{phase}_v": voltage[n],
            f"current_{phase}_a": current[n],
            f"thd_voltage_{phase}_percent": grid.thd_percent[n],
            f"thd_current_{phase}_percent": thd_percent,
        }
    return values


def _factor(active_w: Floats, apparent_va: Floats) -> Floats:
    factor: Floats = np.divide(active_w, apparent_va, out=np.ones_like(active_w), where=apparent_va > 0)
    return factor


def _between(one_v: Floats, other_v: Floats) -> Floats:
    """Give the voltage between two phases that are 120 degrees apart."""
    voltage: Floats = np.sqrt(one_v**2 + other_v**2 + one_v * other_v)
    return voltage


def _neutral(current: Floats) -> Floats:
    """Give the length of the sum of three currents 120 degrees apart."""
    a, b, c = current
    neutral: Floats = np.sqrt(np.maximum(a * a + b * b + c * c - a * b - b * c - c * a, 0.0))
    return neutral
