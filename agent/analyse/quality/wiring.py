"""Does each phase's current belong to its voltage, in the right direction? Q10, Q11, Q13.

Per-phase arrays have shape (meters, 3).
"""

from collections.abc import Sequence

import numpy as np

from agent.analyse.features.robust import Floats, ratio
from agent.analyse.quality.case import Check, Seen, Telling, joined
from agent.analyse.quality.tree import exporters
from agent.analyse.quality.view import CURRENTS, LOW, POWERS, VOLTAGES, Flags, View, verdict
from agent.config import MeterFacts
from agent.records import Quality

_DAY_S = 86_400.0
REVERSED = Check(
    "reversed", Quality.WIRING, 4, _DAY_S, "power flows in the declared direction again", unbroken=True
)  # not PV
CROSSED = Check("crossed", Quality.WIRING, 4, 3600, "currents and voltages belong together again")
UNTAPPED = Check("untapped", Quality.WIRING, 1, 900, "all voltages are measured again")
IDLE = Check("idle_phase", Quality.GOOD, 2, 1800, "all phases carry current again")
CHECKS = (REVERSED, CROSSED, UNTAPPED, IDLE)

_BALANCED = 0.2  # of the mean: reliability.md, Q15
_NEAR_FACTOR = 0.15  # a current on the wrong voltage is 120 degrees off, whatever the load
_CARRIES = 0.3  # of the other phases: a phase that has always carried its share does not stop by itself
_STEADY = 0.5  # of what the other phases carried before: else the whole load went
_TRUST_S = _DAY_S  # without a pause: a phase that rests at night is nobody's fault


class Wiring:
    """The checks of the phases; ``kept`` is how long each has carried its share, and what flowed last."""

    def __init__(self, meters: Sequence[MeterFacts]) -> None:
        self._may_export = np.array(exporters(meters))
        shape = (len(meters), 3)
        self.kept: dict[str, Floats] = {
            "carried_s": np.zeros(shape),
            "current_a": np.full(shape, np.nan),
            "tapped": np.zeros(shape),
        }

    def take(self, view: View) -> list[Seen]:
        """Give what this window shows."""
        seen = [self._reversed(view)]
        if view.has(*VOLTAGES):
            if view.has(*CURRENTS) and view.has(*POWERS):
                seen.append(_crossed(view))
            seen.append(self._untapped(view))
        if view.has(*CURRENTS):
            seen.append(self._idle(view))
        return seen

    def _reversed(self, view: View) -> Seen:
        """See one phase export throughout while the others import, or the whole meter; not where a generator may."""
        back, one_back = _back(view)
        peak_w = np.fmax.reduce(view.window.values["active_power_w"], axis=-1)
        fault = (one_back | (peak_w < 0)) & ~self._may_export

        def tell(row: int) -> Telling:
            if not one_back[row]:
                advice = "all current transformers are reversed, or supply and load are exchanged; or a generator"
                return Telling(
                    f"power is {view.power_w[row]:,.0f} W, negative throughout,", f"{advice} is not declared", {}
                )
            phase, others, powers = _odd(view.mean_phase_power_w[row], int(np.argmax(back[row])))
            seen = f"phase {phase} exports {-powers[0]:,.0f} W while phases {others} draw {joined(powers[1:], 'W', 0)}"
            advice = (
                f"the CT of phase {phase} is reversed: turn it, or exchange its two wires; or declare the generator"
            )
            return Telling(f"{seen} throughout", advice, {"phase": phase, "power_w": powers[0]})

        return Seen(REVERSED, verdict(fault, view.good & (view.loaded | self._may_export)), tell)

    def _untapped(self, view: View) -> Seen:
        """See current without voltage, on a phase that had one: some networks earth a phase."""
        current_a, voltage_v = view.mean_current_a, view.mean_voltage_v
        carries = current_a > LOW * current_a.max(axis=1, keepdims=True)
        missing = view.dead & carries & (self.kept["tapped"] > 0)
        self.kept["tapped"] = np.maximum(self.kept["tapped"], np.isfinite(voltage_v) & ~view.dead)

        def tell(row: int) -> Telling:
            phase, others, volts = _odd(voltage_v[row], int(np.argmax(missing[row])))
            amperes = float(current_a[row, phase - 1])
            seen = (
                f"phase {phase} carries {amperes:.1f} A with {volts[0]:.1f} V while phases {others} have "
                f"{joined(volts[1:], 'V', 0)}"
            )
            advice = f"the meter's voltage tap or fuse of phase {phase} is open and a part of the energy is not counted"
            return Telling(seen, f"{advice}: check it", {"phase": phase, "voltage_v": volts[0], "current_a": amperes})

        return Seen(UNTAPPED, verdict(missing.any(axis=1), view.good & np.isfinite(voltage_v).all(axis=1)), tell)

    def _idle(self, view: View) -> Seen:
        """See a phase without current that carried its share for a day, while the others carry on."""
        current_a = view.mean_current_a
        others_a = (current_a.sum(axis=1, keepdims=True) - current_a) / 2
        idle = (np.fmax.reduce(view.current_a, axis=-1) < LOW * others_a) & ~view.dead
        trusted = self.kept["carried_s"] >= _TRUST_S
        before_a = (self.kept["current_a"].sum(axis=1, keepdims=True) - self.kept["current_a"]) / 2
        stopped = trusted & idle & (others_a >= _STEADY * before_a)
        self._remember(view, idle & trusted, current_a >= _CARRIES * others_a)

        def tell(row: int) -> Telling:
            phase, others, amperes = _odd(current_a[row], int(np.argmax(stopped[row])))
            seen = (
                f"current in phase {phase} is {amperes[0]:.1f} A while phases {others} carry {joined(amperes[1:], 'A')}"
            )
            advice = f"the CT of phase {phase} is open, shorted or bypassed, or its fuse blew: check its terminals"
            return Telling(seen, advice, {"phase": phase, "current_a": amperes[0], "others_a": sum(amperes[1:]) / 2})

        unclear = (idle & trusted & ~stopped).any(axis=1)
        known = np.isfinite(current_a).all(axis=1) & view.good & view.loaded & ~unclear
        return Seen(IDLE, verdict(stopped.any(axis=1), known), tell)

    def _remember(self, view: View, paused: Flags, carries: Flags) -> None:
        """Count for how long each phase has carried its share without a pause; one that is missed keeps its count."""
        current_a = view.mean_current_a
        known = np.isfinite(current_a) & (view.good & view.loaded)[:, None]
        never_zero = np.fmin.reduce(view.current_a, axis=-1) > 0
        carried_s = np.where(carries & never_zero, self.kept["carried_s"] + view.window.window_s, 0.0)
        self.kept["carried_s"] = np.where(known & ~paused, carried_s, self.kept["carried_s"])
        whole = (known & carries).all(axis=1, keepdims=True)
        self.kept["current_a"] = np.where(whole, current_a, self.kept["current_a"])


def _back(view: View) -> tuple[Flags, Flags]:
    """Tell which phases (meters, 3) export throughout, and of which meters it is one while the two others import."""
    if not view.has(*POWERS):
        return np.zeros((len(view.good), 3), dtype=np.bool_), np.zeros(len(view.good), dtype=np.bool_)
    low_w, high_w = np.fmin.reduce(view.phase_power_w, axis=-1), np.fmax.reduce(view.phase_power_w, axis=-1)
    back = high_w < 0
    return back, (back.sum(axis=1) == 1) & ((low_w > 0).sum(axis=1) == 2)


def _crossed(view: View) -> Seen:
    """See two phases 120 degrees off: their currents are measured with each other's voltage."""
    current_a, product_va = view.mean_current_a, view.mean_voltage_v * view.mean_current_a
    factor = np.clip(ratio(view.mean_phase_power_w, product_va), -1.0, 1.0)
    spread = ratio(np.abs(current_a - current_a.mean(axis=1, keepdims=True)).max(axis=1), current_a.mean(axis=1))
    fits = np.array([_fits(factor, right) for right in range(3)])

    def tell(row: int) -> Telling:
        right = int(np.argmax(fits[:, row]))
        phase, others, factors = _odd(factor[row], right)
        texts = " and ".join(f"{value:.2f}" for value in factors[1:])
        seen = f"phases {others} have power factors of {texts}, phase {phase} has {factors[0]:.2f}, at like currents"
        advice = f"the CTs (or the voltages) of phases {others} are exchanged: exchange them back"
        return Telling(seen, advice, {"right_phase": phase})

    loaded = product_va.sum(axis=1) > LOW * view.largest_w  # the powers themselves may cancel out
    known = np.isfinite(factor).all(axis=1) & view.good & loaded & (spread < _BALANCED)
    return Seen(CROSSED, verdict(fits.any(axis=0), known), tell)


def _fits(factor: Floats, right: int) -> Flags:
    """Tell where the factors of the two other phases are those of the ``right`` one, 120 degrees off either way."""
    angle = np.arccos(factor[:, right])
    third = 2 * np.pi / 3
    expected = np.sort([np.cos(angle - third), np.cos(angle + third)], axis=0)
    found = np.sort(np.delete(factor, right, axis=1), axis=1).T
    flags: Flags = (factor[:, right] > 0.5) & (np.abs(found - expected) < _NEAR_FACTOR).all(axis=0)
    return flags


def _odd(values: Floats, index: int) -> tuple[int, str, list[float]]:
    """Give the number of one phase, the names of the others, and their values in that order."""
    others = [phase for phase in range(3) if phase != index]
    names = " and ".join(str(phase + 1) for phase in others)
    return index + 1, names, [float(values[index]), *(float(values[phase]) for phase in others)]
