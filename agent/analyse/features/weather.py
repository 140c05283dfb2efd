"""How a load follows the weather, beyond what the hour of the week explains."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.rhythm import hour_sums
from agent.analyse.features.robust import Floats, centred, mean, product_sum, ratio

_BALANCE_C = 18.3  # 65 °F: the base of degree days of ASHRAE and NOAA, for cooling and heating
_LEAST_SPREAD_C = 0.5  # standard deviation of the degrees; less is the error of a thermometer in the sun
_COLLINEAR = 1e-6  # of the determinant: below, cooling and heating cannot be told apart
_MIN_PAIRS = 336  # hours: each hour of the week twice, or the residual is zero by construction


@dataclass(frozen=True, slots=True)
class WeatherFit:
    """What temperature explains, arrays (meters,).

    ``cooling`` and ``heating``: change of the load per degree above and below 18.3 °C, over the mean
    load, 1/°C. University buildings of Cambridge, few of them cooled, have 0.004 and 0.007 (within
    ±0.05), a farm nearly 0. NaN where there was no such weather. ``r2``: share, 0 to 1, of what the
    hour of the week leaves that temperature explains (partial R²); NaN where neither slope is known.
    """

    cooling: Floats
    heating: Floats
    r2: Floats


def weather_fit(hourly_w: Floats, temperature_c: Floats) -> WeatherFit:
    """Regress the load on cooling and heating degrees, all as deviations from the mean of their hour of the week.

    Ordinary least squares of x - x̄ₛ on max(0, T - 18.3) and max(0, 18.3 - T), likewise less their means
    (CalTRACK's degree-hours in a time-of-week model). ``hourly_w`` and ``temperature_c``
    (meters, n) in W and °C; hours in which either is unknown do not count.

    >>> hours = np.arange(24.0 * 28)
    >>> temperature = 18.3 + 6 * np.sin(hours / 150)[None]
    >>> fit = weather_fit(100.0 + 2.0 * np.maximum(0, temperature - 18.3), temperature)
    >>> fit.cooling.round(3).item(), abs(fit.heating.round(3).item()), fit.r2.round(3).item()
    (0.019, 0.0, 1.0)
    """
    known = np.isfinite(hourly_w) & np.isfinite(temperature_c)
    seen = hour_sums(known.astype(np.float64))
    degrees = np.where(known, temperature_c - _BALANCE_C, 0.0)
    load = _Column(centred(np.where(known, hourly_w, np.nan)), seen)
    cooling, heating = _Column(np.maximum(degrees, 0.0), seen), _Column(np.maximum(-degrees, 0.0), seen)
    count = known.sum(axis=-1)
    ways = [(way.beyond(way), way.beyond(load)) for way in (cooling, heating)]
    has_c, has_h = ((count >= _MIN_PAIRS) & (own > _LEAST_SPREAD_C**2 * count) for own, _ in ways)
    by_c, by_h, explained = _least_squares(ways, cooling.beyond(heating), (has_c, has_h))
    level = mean(np.where(known, hourly_w, np.nan))
    return WeatherFit(
        cooling=np.where(has_c, ratio(by_c, level), np.nan),
        heating=np.where(has_h, ratio(by_h, level), np.nan),
        r2=np.where(has_c | has_h, np.clip(ratio(explained, load.beyond(load)), 0.0, 1.0), np.nan),
    )


class _Column:
    """Hours (meters, n), 0 where unknown, with sums and means by the hour of the week, each known ``seen`` times."""

    def __init__(self, values: Floats, seen: Floats) -> None:
        self.values, self.sums = values, hour_sums(values)
        self.means = self.sums / np.maximum(seen, 1.0)

    def beyond(self, other: "_Column") -> Floats:
        """Sum the products of the deviations of both from the mean of their hour of the week."""
        return product_sum(self.values, other.values) - product_sum(self.sums, other.means)


def _least_squares(
    ways: Sequence[tuple[Floats, Floats]], between: Floats, used: Sequence[NDArray[np.bool_]]
) -> tuple[Floats, Floats, Floats]:
    """Give two coefficients and what they explain, from the sums of squares and of products with the load."""
    s11, s22 = (np.where(use, own, 1.0) for (own, _), use in zip(ways, used, strict=True))
    s1y, s2y = (np.where(use, with_load, 0.0) for (_, with_load), use in zip(ways, used, strict=True))
    s12 = np.where(used[0] & used[1], between, 0.0)
    determinant = s11 * s22 - s12**2
    determinant = np.where(determinant > _COLLINEAR * s11 * s22, determinant, np.nan)
    one, two = (s22 * s1y - s12 * s2y) / determinant, (s11 * s2y - s12 * s1y) / determinant
    return one, two, one * s1y + two * s2y
