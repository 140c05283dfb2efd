"""What is known of a step besides the active power: the outdoor temperature, and the step's own power factor.

Neither is needed; where one is known, it speaks for or against the onset that the hours suggest.
"""

from collections.abc import Callable, Mapping

import numpy as np

from agent.analyse.detect.evidence import Rules
from agent.analyse.detect.hidden import LOOKED_AT_DAYS, Candidates, LoadOf
from agent.analyse.features.electrical import cos_phi
from agent.analyse.features.robust import Floats, mean, median

_BALANCE_C = (15.0, 18.3)  # heated below, cooled above: degree days of Europe and of ASHRAE
_YEAR_DAYS = 365
_LEAST_DAYS = 60  # before the onset, with a known temperature: two months hold cold and warm weeks
_FORTNIGHT = 14
_NIGHT = slice(0, 6)


class Causes:
    """The causes of the steps of some meters, day by day. All that it keeps follows from the history."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._temperature_c = np.zeros(0)  # daily means, as many days as the baseload
        self._day: int | None = None

    def day(
        self, found: Candidates, base_w: Floats, load_w: LoadOf, reactive_var: LoadOf, temperature_c: LoadOf, day: int
    ) -> tuple[Mapping[str, Floats], Mapping[str, Floats]]:
        """Give each cause of the candidates of ``day``, (meters,), NaN where unknown, and its log-odds."""
        self._take(temperature_c, day)
        values = {
            "weather_share": self._weather(found, base_w),
            "step_power_factor": _step_power_factor(found, load_w, reactive_var),
        }
        factor, rules = values["step_power_factor"], self._rules
        electronics = np.where(factor >= rules.power_factor_good, rules.power_factor_weight, 0.0)
        motors = np.where(factor < rules.power_factor_bad, -4 * rules.power_factor_weight, 0.0)
        return values, {
            "weather_share": -rules.weather_weight * np.clip(np.nan_to_num(values["weather_share"]), 0.0, 1.5),
            "step_power_factor": electronics + motors,
        }

    def _take(self, temperature_c: LoadOf, day: int) -> None:
        """Remember the site's temperature: that of any meter that has one."""
        follows = self._day == day - 1
        days = temperature_c(1 if follows else None)
        daily = mean(np.moveaxis(days, 0, 1).reshape(days.shape[1], -1))
        self._temperature_c = (np.append(self._temperature_c, daily) if follows else daily)[-_YEAR_DAYS:]
        self._day = day

    def _weather(self, found: Candidates, base_w: Floats) -> Floats:
        """Give which share of each step the temperature's change explains, by the meter's own past."""
        share = np.full(len(base_w), np.nan)
        days = min(len(self._temperature_c), base_w.shape[1])
        temperature_c = self._temperature_c[-days:]
        if np.isfinite(temperature_c).sum() < _LEAST_DAYS:
            return share
        degrees = np.stack(
            [np.maximum(_BALANCE_C[0] - temperature_c, 0.0), np.maximum(temperature_c - _BALANCE_C[1], 0.0)]
        )
        for row in np.flatnonzero(np.isfinite(found.margin)):
            onset = days - int(found.age[row])
            if onset >= _LEAST_DAYS:
                share[row] = _explained_w(base_w[row, -days:], degrees, onset) / found.height_w[row]
        return share


def _explained_w(base_w: Floats, degrees: Floats, onset: int) -> float:
    """Give the step, W, that heating and cooling degrees (2, days) explain; NaN where too few days are known."""
    before = slice(0, onset)
    known = np.isfinite(base_w[before]) & np.isfinite(degrees[0, before])
    if known.sum() < _LEAST_DAYS:
        return float("nan")
    design = np.column_stack([np.ones(known.sum()), *degrees[:, before][:, known]])
    slopes = np.linalg.lstsq(design, base_w[before][known], rcond=None)[0][1:]
    change = mean(degrees[:, onset : onset + _FORTNIGHT]) - mean(degrees[:, max(0, onset - _FORTNIGHT) : onset])
    return float(np.maximum(slopes, 0.0) @ change)  # a building does not draw less the colder it is


def _step_power_factor(found: Candidates, load_w: LoadOf, reactive_var: LoadOf) -> Floats:
    """Give cos phi of each step by its nights: the rise of active over that of apparent power."""
    if not np.isfinite(reactive_var(1)).any():
        return np.full(len(found.margin), np.nan)
    nights = [hours(LOOKED_AT_DAYS)[:, :, _NIGHT] for hours in (load_w, reactive_var)]
    result = np.full(len(found.margin), np.nan)
    rising = np.isfinite(found.margin)
    for age in np.unique(found.age[rising]):
        rows = (found.age == age) & rising
        rise_w, rise_var = (_rise(series[rows], int(age)) for series in nights)
        result[rows] = np.where(rise_w > 0, cos_phi(rise_w, rise_var), np.nan)
    return result


def _rise(nights: Floats, age: int) -> Floats:
    onset = nights.shape[1] - age
    after, before = nights[:, onset : onset + _FORTNIGHT], nights[:, max(0, onset - _FORTNIGHT) : onset]
    return median(after.reshape(len(nights), -1)) - median(before.reshape(len(nights), -1))


TEXTS: Mapping[str, Callable[[float], str]] = {
    "weather_share": lambda v: f"the weather explains {100 * v:.0f} % of the step",
    "step_power_factor": lambda v: (
        f"what came has a power factor of {v:.2f}, "
        + ("as power supplies have" if v >= 0.96 else "as motors have" if v < 0.85 else "as many loads have")
    ),
}
