"""Do the meter's own quantities agree (Q17)? A wrong word order, scale or register shows on the first day.

Only what no definition of apparent or reactive power allows is called a fault: S may be the vector
or the arithmetic sum of the phases, with or without harmonics, and Q of the fundamental alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from agent.analyse.features.robust import Floats, mean, ratio, zeroed
from agent.analyse.quality.case import Check, Seen, Telling
from agent.analyse.quality.view import CURRENTS, POWERS, VOLTAGES, Flags, View, verdict
from agent.records import Quality

ARITHMETIC = Check("arithmetic", Quality.ARITHMETIC, 3, 3600, "quantities agree with each other again")

_SUM = 0.1  # of the power: five times what two meters of class 1 may differ by
_EXCESS = 1.2  # P or Q over S, P over U x I: physically at most 1
_UNIT_A = 0.001  # in which steps of currents are measured
_FACTOR = 0.5  # power factor below P / S: displacement and true factor differ by 0.3 at 100 % distortion


@dataclass(frozen=True, slots=True)
class _Rule:
    """Two numbers of each meter that must go together, and whether they do not."""

    text: str
    one: Floats
    other: Floats
    broken: Callable[[Floats, Floats], Flags]


class Arithmetic:
    """The check; ``kept`` are the steps of the currents, and which phases a meter has.

    A phase whose answer is missing must not be left out of a sum.
    """

    def __init__(self, meters: Sequence[str]) -> None:
        self.kept: dict[str, Floats] = {"phases": np.zeros((len(meters), 3)), "units": np.zeros(len(meters))}

    def take(self, view: View) -> list[Seen]:
        """Give what this window shows."""
        self._learn(view)
        rules = self._rules(view)
        if not rules:
            return []
        wrong = np.array([rule.broken(rule.one, rule.other) for rule in rules])
        can_tell = np.array([np.isfinite(rule.one) & np.isfinite(rule.other) for rule in rules]).any(axis=0)

        def tell(row: int) -> Telling:
            rule = rules[int(np.argmax(wrong[:, row]))]
            one, other = float(rule.one[row]), float(rule.other[row])
            advice = "a register, a word order or a scale of the profile is wrong: compare with the display"
            return Telling(rule.text.format(one, other), advice, {"one": one, "other": other})

        return [Seen(ARITHMETIC, verdict(wrong.any(axis=0), can_tell & view.good & view.loaded), tell)]

    def _learn(self, view: View) -> None:
        """Take notice of the phases that a meter has, and of the steps of its currents."""
        if view.has(*POWERS):
            known = np.isfinite(view.mean_phase_power_w)
            self.kept["phases"] = np.maximum(self.kept["phases"], known)
        if view.has(*CURRENTS):
            coarse = self.kept["units"] != 1  # the others cannot become finer
            units = np.rint(zeroed(view.current_a[coarse]) / _UNIT_A).astype(np.int64)
            divisor = np.gcd.reduce(np.gcd.reduce(units, axis=-1), axis=-1)
            self.kept["units"][coarse] = np.gcd(divisor, self.kept["units"][coarse].astype(np.int64))

    def _rules(self, view: View) -> list[_Rule]:
        """Give the rules of which both numbers are known of some meter."""
        values, power_w, exceeds = view.window.values, view.power_w, partial(_exceeds, view.step_w)
        rules = []
        if view.has(*POWERS):
            text = "the total power is {:,.0f} W, the phases add up to {:,.0f} W"
            apart = partial(_differ, lambda: self._sum(np.abs(view.phase_power_w)), view.step_w)
            rules.append(_Rule(text, power_w, self._sum(view.phase_power_w), apart))
        has_apparent = view.has("apparent_power_va")
        if has_apparent:
            apparent_va = _used(mean(np.abs(values["apparent_power_va"])))
            text = "the active power is {:,.0f} W, the apparent power {:,.0f} VA"
            rules.append(_Rule(text, power_w, apparent_va, exceeds))
        if has_apparent and view.has("reactive_power_var"):
            text = "the reactive power is {:,.0f} var, the apparent {:,.0f} VA"
            rules.append(_Rule(text, mean(values["reactive_power_var"]), apparent_va, exceeds))
        if view.has(*VOLTAGES) and view.has(*CURRENTS):
            text = "the power is {:,.0f} W, volts times amperes are {:,.0f} VA at most"
            rules.append(_Rule(text, power_w, self._sum(self._products_va(view)), exceeds))
        if has_apparent and view.has("power_factor"):
            text = "the power factor is {:.2f}, but P / S {:.2f}"
            factor, share = _used(np.abs(mean(values["power_factor"]))), np.abs(ratio(power_w, apparent_va))
            rules.append(_Rule(text, factor, share, _is_off))
        return rules

    def _products_va(self, view: View) -> Floats:
        """Give the most that each phase's voltage times current may be: a coarse register cuts up to a step off.

        Unknown where networks or wiring leave a phase without voltage, and where no current is shown at all.
        """
        products_va = view.current_a + self.kept["units"][:, None, None] * _UNIT_A
        products_va *= view.voltage_v
        products_va[view.dead] = np.nan
        flows = np.fmax.reduce(view.current_a, axis=1) > 0
        return products_va if flows.all() else np.where(flows[:, None], products_va, np.nan)

    def _sum(self, phases: Floats) -> Floats:
        """Give the mean sum of the phases that the meter has, over the ticks at which all of them are known."""
        has = self.kept["phases"] > 0
        flowing = phases if has.all() else np.where(has[..., None], phases, 0.0)
        return _used(mean(flowing.sum(axis=1)))


def _used(values: Floats) -> Floats:
    """Give NaN for a quantity that is zero while a load flows: the meter does not have it, or not in this wiring."""
    return np.where(values == 0, np.nan, values)


def _differ(flowing_w: Callable[[], Floats], step_w: Floats, total_w: Floats, parts_w: Floats) -> Flags:
    """Tell where the sum is off: by a share of all that flows, in either direction, and the steps of four registers.

    What flows is asked for only where the total alone would not do.
    """
    apart_w, most_w = np.abs(total_w - parts_w), np.abs(total_w)
    flags: Flags = apart_w > _SUM * most_w + 4 * step_w
    return apart_w > _SUM * np.fmax(most_w, flowing_w()) + 4 * step_w if flags.any() else flags


def _exceeds(step_w: Floats, part: Floats, whole: Floats) -> Flags:
    flags: Flags = np.abs(part) > _EXCESS * whole + 2 * step_w
    return flags


def _is_off(reported: Floats, computed: Floats) -> Flags:
    """Tell where the reported factor is too low; where phases feed each other it may be as high as it likes."""
    flags: Flags = np.minimum(computed, 1.0) - reported > _FACTOR
    return flags
