"""What the features of a gateway's meters are computed from, and what several of them share."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features import edges, rhythm, spectrum, step, voltage, weather
from agent.analyse.features.robust import Floats, mean, median

_MIN_HOURS = 5 * 24  # known; a shorter look mistakes a holiday for a rhythm
_FINE_S = 2.0  # between ticks at most, to see a machine switch


@dataclass(frozen=True, kw_only=True)
class Days:
    """The last whole days of all meters of one site, the newest last; NaN where unknown.

    56 days are meant: eight of each hour of the week. What is None is known of no meter.
    """

    hourly_w: Floats  # (meters, days, 24), active power
    weekend: NDArray[np.bool_]  # (days,)
    reactive_var: Floats | None = None  # (meters, days, 24)
    temperature_c: Floats | None = None  # (meters, days, 24)
    power_factor: Floats | None = None  # (meters, days)
    noise_floor: Floats | None = None  # (meters, days)
    dear: NDArray[np.bool_] | None = None  # (days, 24): hours of peak price

    def meters(self, rows: slice) -> "Days":
        """Give the same of some of the meters."""

        def some(values: Floats | None) -> Floats | None:
            return None if values is None else values[rows]

        return replace(
            self,
            hourly_w=self.hourly_w[rows],
            reactive_var=some(self.reactive_var),
            temperature_c=some(self.temperature_c),
            power_factor=some(self.power_factor),
            noise_floor=some(self.noise_floor),
        )

    @cached_property
    def load_w(self) -> Floats:
        """The hours of meters that can be described: five days known, and more taken than given.

        A ratio to a negative mean would read as perfectly flat.
        """
        rows = self.hourly_w.reshape(len(self.hourly_w), -1)
        telling = (np.isfinite(rows).sum(axis=-1) >= _MIN_HOURS) & (mean(rows) > 0)
        return np.where(telling[:, None, None], self.hourly_w, np.nan)

    @cached_property
    def series_w(self) -> Floats:
        """The same in one row, (meters, hours)."""
        return self.load_w.reshape(len(self.load_w), -1)

    @cached_property
    def base_w(self) -> Floats:
        """Daily baseload, (meters, days)."""
        return rhythm.baseload(self.load_w)

    @cached_property
    def before_w(self) -> Floats:
        """Mean load of the fortnight before the last, (meters,)."""
        fortnight = self.load_w[:, -2 * step.FORTNIGHT : -step.FORTNIGHT]
        return mean(fortnight.reshape(len(fortnight), -1))

    @cached_property
    def spectrum(self) -> Floats:
        """Spectrum of all hours."""
        return spectrum.spectrum(self.series_w)

    @cached_property
    def hour_levels(self) -> tuple[Floats, Floats]:
        """Level of the 48 hours before and in the last fortnight."""
        return step.hour_levels(self.load_w, self.weekend)

    @cached_property
    def lift_w(self) -> Floats:
        """By how much each of the 48 hours rose, (meters, 48)."""
        before, after = self.hour_levels
        return after - before

    @cached_property
    def lift_var(self) -> Floats:
        """By how much the reactive power of the median hour rose, (meters,)."""
        if self.reactive_var is None:
            return self.unknown
        before, after = step.hour_levels(self.reactive_var, self.weekend)
        return median(after - before)

    @cached_property
    def offset(self) -> tuple[Floats, Floats]:
        """Constant and slope of the hours after over the hours before."""
        return step.offset_fit(*self.hour_levels)

    @cached_property
    def weather(self) -> weather.WeatherFit:
        """What temperature explains."""
        if self.temperature_c is None:
            return weather.WeatherFit(self.unknown, self.unknown, self.unknown)
        return weather.weather_fit(self.series_w, self.temperature_c.reshape(self.series_w.shape))

    @property
    def unknown(self) -> Floats:
        """NaN for every meter."""
        return np.full(len(self.hourly_w), np.nan)


@dataclass(frozen=True)
class Ticks:
    """What the meters of one site said tick by tick, by quantity, (meters, ticks); a window or a day."""

    values: Mapping[str, Floats]
    period_s: float

    def __getitem__(self, quantity: str) -> Floats:
        """Give a quantity; NaN where no meter has it."""
        power = self.values["active_power_w"]
        return self.values.get(quantity, np.full(power.shape, np.nan))

    def phases(self, pattern: str) -> list[Floats]:
        """Give the three phases of a quantity; ``pattern`` has ``{}`` in the place of the phase."""
        return [self[pattern.format(phase)] for phase in ("l1", "l2", "l3")]

    @cached_property
    def fine_w(self) -> Floats:
        """Active power, if its ticks are so close that a machine is seen to switch; else NaN."""
        power = self["active_power_w"]
        return power if self.period_s <= _FINE_S else np.full(power.shape, np.nan)

    @cached_property
    def machine_step(self) -> tuple[Floats, Floats]:
        """Size in W and share of the commonest step."""
        return edges.machine_step(self.fine_w)

    @cached_property
    def notches(self) -> tuple[Floats, Floats]:
        """Count and median length of the notches."""
        return edges.notches(self.fine_w, self.period_s)

    @cached_property
    def voltage_exponent(self) -> tuple[Floats, Floats]:
        """Exponent and its standard error."""
        volts = mean(np.stack(self.phases("voltage_{}_v")), axis=0)
        return voltage.voltage_exponent(self["active_power_w"], volts, self.period_s)
