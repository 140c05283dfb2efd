"""Does the meter answer, and with a power that can be? The letters that the window has already, and Q5, Q9."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from agent.analyse.quality.case import Check, Seen, Telling
from agent.analyse.quality.view import View, verdict
from agent.analyse.window import last, lettered
from agent.records import Quality, Window

_DAY_S = 86_400.0
SILENT = Check("silent", Quality.TIMEOUT, 1, 0, "answers again")
UNUSABLE = Check("unusable", Quality.FAULTY, 1, 0, "gives a usable active power again")
IMPOSSIBLE = Check("impossible", Quality.RANGE, 1, 0, "reports a possible active power again")
STUCK = Check("stuck", Quality.STUCK, 1, 0, "values move again")
OVERLOAD = Check("overload", Quality.RANGE, 1, 0, "power is within what the feeder can carry again")
UNUSED = Check("unused", Quality.GOOD, 1, 7 * _DAY_S, "power flows again")  # a weekend or a holiday rests for less
_OF_LETTERS = (SILENT, UNUSABLE, IMPOSSIBLE, STUCK)
CHECKS = (*_OF_LETTERS, OVERLOAD, UNUSED)

_BEYOND = 1.1  # of what the feeder can carry: reliability.md, Q5
_OFTEN = 0.1  # of the polls: a motor that starts takes several times its power, for seconds
_NOTHING_W = 1.0  # what a meter of a feeder without load shows


class Answers:
    """The checks of the answers themselves; ``max_power_w`` is what the feeders can carry, by meter."""

    def __init__(self, meters: Sequence[str], roles: Sequence[str], max_power_w: Mapping[str, float]) -> None:
        self._max_w = np.array([max_power_w.get(meter, np.nan) for meter in meters])
        self._is_limited = bool(np.isfinite(self._max_w).any())
        self._consumes = np.array([role == "load" for role in roles])

    def take(self, view: View) -> list[Seen]:
        """Give what this window shows."""
        return [*_letters(view.window), self._overload(view), self._unused(view)]

    def _overload(self, view: View) -> Seen:
        if not self._is_limited:
            return Seen(OVERLOAD, verdict(np.False_, view.good), _impossible)
        power = view.window.values["active_power_w"]
        beyond = np.abs(power) > _BEYOND * self._max_w[:, None]
        share = beyond.sum(axis=-1) / np.maximum(np.isfinite(power).sum(axis=-1), 1)

        def tell(row: int) -> Telling:
            highest_w = float(np.nanmax(np.abs(power[row])))
            limit_w = float(self._max_w[row])
            seen = (
                f"power reaches {highest_w / 1000:,.1f} kW, in {100 * share[row]:.0f} % of the polls beyond 1.1 times"
            )
            advice = (
                "the transformer ratio, the scale or the profile is wrong; or the feeder is overloaded, or max_power_w "
                "in gateway.toml too low"
            )
            return Telling(
                f"{seen} the {limit_w / 1000:,.1f} kW that the feeder carries",
                advice,
                {"highest_w": highest_w, "max_power_w": limit_w},
            )

        return Seen(OVERLOAD, verdict(share >= _OFTEN, view.good), tell)

    def _unused(self, view: View) -> Seen:
        """See nothing flow where something has: not where a spare feeder never had a load, nor where PV rests."""
        highest_w = np.fmax.reduce(np.abs(view.window.values["active_power_w"]), axis=-1)
        applies = view.good & (view.largest_w > 100 * _NOTHING_W)

        def tell(row: int) -> Telling:
            seen = f"no power flows ({highest_w[row]:.1f} W at most) on a feeder that has carried"
            advice = "if the load is not switched off, the current transformers are short-circuited or disconnected"
            return Telling(f"{seen} {view.largest_w[row] / 1000:,.1f} kW", f"{advice}: check", {})

        return Seen(UNUSED, verdict(self._consumes & (highest_w < _NOTHING_W), applies), tell)


def _letters(window: Window) -> list[Seen]:
    """Give the window's own letters as cases; one that measuring cut short says nothing."""
    if window.quality.count(Quality.GOOD) == len(window.quality):
        well = np.zeros(len(window.quality))
        return [Seen(check, well, _impossible) for check in _OF_LETTERS]
    told, silent = ~lettered(window, Quality.PARTIAL), lettered(window, Quality.TIMEOUT)
    answered = told & ~silent
    return [
        Seen(SILENT, verdict(silent, told), partial(_silent, window)),
        Seen(UNUSABLE, verdict(lettered(window, Quality.FAULTY), answered), partial(_unusable, window)),
        Seen(IMPOSSIBLE, verdict(lettered(window, Quality.RANGE), answered), _impossible),
        Seen(STUCK, verdict(lettered(window, Quality.STUCK), answered), partial(_stuck, window)),
    ]


def _silent(window: Window, row: int) -> Telling:
    coverage = float(window.coverage[row])
    advice = "check its supply, the bus wiring with its termination, its address, baud rate and parity"
    return Telling(f"answers in {100 * coverage:.0f} % of the polls", advice, {"coverage": coverage})


def _unusable(window: Window, row: int) -> Telling:
    coverage = float(window.coverage[row])
    advice = "the profile is of another model, or a setting of the meter differs: compare with `flatwatt read`"
    seen = f"answers, with an active power in {100 * coverage:.0f} % of the polls"
    return Telling(seen, advice, {"coverage": coverage})


def _impossible(row: int) -> Telling:
    advice = "the word order or the profile is wrong: compare with `flatwatt read` and the display"
    return Telling("reports an active power beyond 1 GW", advice, {})


def _stuck(window: Window, row: int) -> Telling:
    names = {"active_power_w": "W", "voltage_l1_v": "V", "current_l1_a": "A", "frequency_hz": "Hz"}
    values = {name: float(last(window.values[name])[row]) for name in names}
    known = {name: value for name, value in values.items() if np.isfinite(value)}
    seen = ", ".join(f"{value:,.2f} {names[name]}" for name, value in known.items())
    advice = "its registers are frozen, or a gateway serves old values: restart the meter, or what lies between"
    return Telling(f"repeats {seen} bit for bit", advice, known)
