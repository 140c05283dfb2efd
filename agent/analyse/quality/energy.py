"""Do the energy registers advance by what the power adds up to? Q2 and Q3.

The meter derives both from the same samples, but through different registers, scales and settings:
a frozen register, a wrong word order, a transformer ratio that only one of them knows, or somebody
who scales one of them on the way makes them disagree. They are compared over intervals from one
reading to another that are long enough for the register's steps not to matter. Arrays have shape
(meters, 2): import with the power drawn, export with the power fed back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from agent.analyse.features.robust import Floats, ratio
from agent.analyse.quality.case import Check, Seen, Telling
from agent.analyse.quality.counter import REGISTERS, Readings
from agent.analyse.quality.flow import flow, nothing
from agent.analyse.quality.view import LOW, Flags, View, verdict
from agent.records import Quality

ENERGY = Check("energy", Quality.ENERGY, 3, 0, "energy and power agree again")

_STEPS = 20  # of the register in an interval: two may be cut at its ends, 10 %
_LEAST_S = 900.0  # registers and powers may be up to a minute apart, 7 %; the sign tells these from faults
_LEAST_POLLS = 60  # in an interval: what is shorter than a poll and missed three times then counts for 5 %
_MISSED = 3  # polls' worth of the peak: what is not seen in N polls is rarer than 3 / N, with 95 %
_MOST_S = 7 * 86_400.0  # a load that needs longer for 20 steps is none
_UNKNOWN_WH = 10_000.0  # resolution of a register that never moved: coarse ones behind large transformers have it
_CLASS = 0.02  # class 1 for energy and for power: reliability.md, Q3
_NO_LOAD = 0.001  # of the largest load: errors of a class 1 meter below a twentieth of its nominal current
_YOUNG_S = 86_400.0  # as long, the load's peaks are not known yet
_YOUNG = 0.25  # of the energy: what they may bring that no poll has seen
_REFRESH_S = 10.0  # a meter may show power or energy of so long ago
_TELLING = 0.5  # of the interval's energy: a tolerance above proves nothing
_RATIOS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 25, 30, 32, 40, 50, 60, 80, 100, 120, 160, 200, 1000)
_LEAST_SAME = 5  # polls
_NEAR = 0.04  # of a ratio: twice the class


@dataclass(frozen=True, slots=True)
class _Ended:
    """What the intervals hold where a reading ends them; NaN where this window has none."""

    advanced_wh: Floats  # by the register
    added_wh: Floats  # by the power
    spent_s: Floats
    step_wh: Floats  # resolution of the register
    polls: Floats  # that were added up

    @property
    def ripe(self) -> Flags:
        """Whether the register's steps no longer matter, and enough of the load was seen."""
        long = (self.spent_s >= _LEAST_S) & (self.polls >= _LEAST_POLLS)
        flags: Flags = long & (np.abs(self.added_wh) >= _STEPS * self.step_wh)
        return flags


class Energy:
    """The intervals under way. They do not outlive a restart: what flows meanwhile is not known."""

    def __init__(self, meters: Sequence[str]) -> None:
        shape = (len(meters), len(REGISTERS))
        self._start_wh, self._start_s = np.full(shape, np.nan), np.full(shape, np.nan)  # the reading that began it
        self._added_wh = np.zeros(shape)  # what the power has added since
        self._flow = nothing(shape)
        self._side = np.zeros(shape)  # which was the greater when they last disagreed

    def take(self, view: View, readings: Readings | None) -> list[Seen]:
        """Give what the intervals that end with this window show, and begin new ones there."""
        if readings is None:
            return []
        self._start_wh[readings.broken | ~view.good[:, None] | (not view.follows)] = np.nan
        this_flow = flow(view, readings.moved)
        self._flow = self._flow.joined(this_flow)
        end_wh, end_s, head_wh, rest_wh = _divided(view, readings, this_flow.mean_w)
        step_wh = np.where(np.isfinite(readings.resolution_wh), readings.resolution_wh, _UNKNOWN_WH)
        ended = _Ended(
            end_wh - self._start_wh, self._added_wh + head_wh, end_s - self._start_s, step_wh, self._flow.known
        )
        fault = self._compare(view, ended)
        unbegun = ~(end_s - self._start_s <= _MOST_S) | np.isnan(self._start_wh)
        new = np.isfinite(end_wh) & (ended.ripe | unbegun)
        self._start_wh, self._start_s = np.where(new, end_wh, self._start_wh), np.where(new, end_s, self._start_s)
        self._flow = self._flow.replaced(new, this_flow)
        self._added_wh = np.where(new, 0.0, self._added_wh + head_wh) + rest_wh
        return [Seen(ENERGY, np.fmax.reduce(fault, axis=-1), partial(_tell, view, fault, ended))]

    def _compare(self, view: View, ended: _Ended) -> Floats:
        """Give 1 where register and power disagree, to the same side as before, 0 where not, NaN where unknown."""
        mean_w = ratio(ended.added_wh, ended.spent_s / 3600)
        one_way = (self._flow.high_w > 0) & (self._flow.low_w >= -LOW * self._flow.high_w)  # else both registers move
        enough = mean_w > LOW * view.largest_w[:, None]
        sure = ended.ripe & one_way & enough
        excess_wh = ended.advanced_wh - ended.added_wh
        tolerance_wh = self._tolerance_wh(view, ended)
        wrong = np.abs(excess_wh) > tolerance_wh
        turned = wrong & (self._side * excess_wh < 0)
        proved = wrong | (tolerance_wh < _TELLING * np.abs(ended.added_wh))
        self._side = np.where(sure & proved, np.where(wrong, np.sign(excess_wh), 0.0), self._side)
        return verdict(wrong & ~turned, sure & proved)

    def _tolerance_wh(self, view: View, ended: _Ended) -> Floats:
        """Give by how much they may differ: steps, classes, no-load errors, sampling, what was late or missed."""
        late_s = 2 * max(view.window.period_s, _REFRESH_S)
        late_wh = (self._flow.high_w - self._flow.low_w) * late_s / 3600
        sampled_wh = 3 * np.sqrt(self._flow.sum_variance_w2) * view.window.period_s / 3600
        idle_wh = _NO_LOAD * view.largest_w[:, None] * ended.spent_s / 3600
        class_wh = _CLASS * np.abs(ended.advanced_wh)
        missed = _MISSED + self._flow.ticks - self._flow.known  # a load may well be what kept a meter from answering
        missed_wh = missed * view.peak_w[:, None] * view.window.period_s / 3600
        young_wh = np.where(view.known_s < _YOUNG_S, _YOUNG, 0.0)[:, None] * np.abs(ended.added_wh)
        rounded_wh = view.step_w[:, None] * ended.spent_s / 3600
        tolerance: Floats = (
            2 * ended.step_wh + class_wh + idle_wh + rounded_wh + np.hypot(sampled_wh, missed_wh) + late_wh + young_wh
        )
        return tolerance


def _divided(view: View, readings: Readings, mean_w: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Divide the window at its last reading: that reading, its time, the energy of the power before and after it.

    Without a reading (NaN) all of it comes before. A poll that is missing had the window's mean.
    """
    window = view.window
    known = np.isfinite(readings.energy_wh)
    power_w = window.values["active_power_w"]
    power_w = np.where(np.isfinite(power_w), power_w, mean_w[:, :1])
    ticks = power_w.shape[-1]
    tick = (known * np.arange(ticks)).max(axis=-1)
    has = known.any(axis=-1)
    before = np.arange(ticks) < np.where(has, tick, ticks)[..., None]
    direction = np.array([1.0, -1.0])
    head_wh = np.where(before, power_w[:, None], 0.0).sum(axis=-1) * direction * window.period_s / 3600
    rest_wh = np.where(before, 0.0, power_w[:, None]).sum(axis=-1) * direction * window.period_s / 3600
    end_wh = np.take_along_axis(readings.energy_wh, tick[..., None], -1)[..., 0]
    return end_wh, np.where(has, window.start_s + tick * window.period_s, np.nan), head_wh, rest_wh


def _tell(view: View, fault: Floats, ended: _Ended, row: int) -> Telling:
    register = int(np.nanargmax(fault[row]))
    advanced_wh, added_wh = float(ended.advanced_wh[row, register]), float(ended.added_wh[row, register])
    name = ("import", "export")[register]
    seen = (
        f"the {name} register advanced by {advanced_wh / 1000:,.2f} kWh where the power adds up to "
        f"{added_wh / 1000:,.2f} kWh, repeatedly"
    )
    power_w = view.window.values["active_power_w"][row]
    data = {"advanced_wh": advanced_wh, "added_wh": added_wh}
    if advanced_wh <= 2 * ended.step_wh[row, register]:
        advice = "the register is frozen, or the profile reads another one: compare it with the display"
    elif len(power_w) >= _LEAST_SAME and np.fmin.reduce(power_w) == np.fmax.reduce(power_w):
        advice = (
            f"the power stands still at {power_w[0]:,.1f} W: its register is frozen, or a gateway serves old values"
        )
    elif (factor := _factor(advanced_wh / added_wh)) is not None:
        advice = (
            f"the CT ratio is set wrong in the meter or the profile's scale is off by ×{factor}: compare both with the "
            "transformers' nameplates and the display"
        )
    else:
        advice = (
            "one of them is read wrongly (register, word order, scale) or scaled on the way: compare with the display"
        )
    return Telling(seen, advice, data)


def _factor(found: float) -> int | None:
    """Give the ratio of transformers or units that two energies stand in, if they do.

    >>> _factor(0.201), _factor(2.02), _factor(1.3)
    (5, 2, None)
    """
    found = max(found, 1 / found)
    return next((factor for factor in _RATIOS if abs(found / factor - 1) <= _NEAR), None)
