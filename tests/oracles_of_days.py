"""Slow, plain-Python versions of the features of whole days: one number after the other, as a textbook has it.

A series is a list of floats in which NaN means unknown; a load over days is a list of days of 24 hours.
"""

import cmath
import math
from collections.abc import Sequence
from itertools import chain, pairwise

from tests.oracles import NAN, changes, known, mean, median, quantile, ratio

Days = Sequence[Sequence[float]]


def deviation(values: Sequence[float]) -> float:
    """Square root of the mean square distance from the mean, of two values at least."""
    finite = known(values)
    middle = mean(finite)
    return math.sqrt(math.fsum((v - middle) ** 2 for v in finite) / len(finite)) if len(finite) > 1 else NAN


def coefficient_of_variation(power: Sequence[float]) -> float:
    """Standard deviation over mean."""
    return ratio(deviation(power), mean(power))


def base_to_mean(power: Sequence[float]) -> float:
    """2.5th percentile over mean."""
    return ratio(quantile(power, 0.025), mean(power))


def base_to_peak(power: Sequence[float]) -> float:
    """2.5th percentile over 97.5th."""
    return ratio(quantile(power, 0.025), quantile(power, 0.975))


def roughness(power: Sequence[float]) -> float:
    """Mean change over mean."""
    return ratio(mean(changes(power)), mean(power))


def largest_ramp(power: Sequence[float]) -> float:
    """Largest change over mean."""
    return ratio(max(changes(power), default=NAN), mean(power))


def repeat_share(readings: Sequence[float]) -> float:
    """Identical neighbours among those that are known and not both zero."""
    pairs = [(a, b) for a, b in pairwise(readings) if math.isfinite(a) and math.isfinite(b) and (a or b)]
    return ratio(sum(a == b for a, b in pairs), len(pairs))


def night_to_day(days: Days, weekend: Sequence[bool]) -> float:
    """Five hours of every night over eight of every workday."""
    night = [w for day in days for w in day[0:5]]
    return ratio(mean(night), mean(w for day, rest in zip(days, weekend, strict=True) if not rest for w in day[9:17]))


def weekend_to_workday(days: Days, weekend: Sequence[bool]) -> float:
    """All hours of the ones over all hours of the others."""
    on, off = (
        [w for day, rest in zip(days, weekend, strict=True) if rest is kind for w in day] for kind in (True, False)
    )
    return ratio(mean(on), mean(off))


def price_response(days: Days, dear: Sequence[Sequence[bool]]) -> float:
    """Dear hours over the others."""
    pairs = [(w, d) for day, flags in zip(days, dear, strict=True) for w, d in zip(day, flags, strict=True)]
    return ratio(mean(w for w, d in pairs if d), mean(w for w, d in pairs if not d))


def daily_range(days: Days) -> float:
    """Median of highest less lowest of days with 18 known hours, over the mean."""
    spans = [max(known(day)) - min(known(day)) for day in days if len(known(day)) >= 18]
    return ratio(median(spans), mean(chain.from_iterable(days)))


def daily_mean(days: Days) -> list[float]:
    """Mean of each day with 18 known hours."""
    return [mean(day) if len(known(day)) >= 18 else NAN for day in days]


def lagged_correlation(series: Sequence[float], lag: int) -> float:
    """Pearson's correlation of the known pairs."""
    pairs = [(a, b) for a, b in zip(series, series[lag:], strict=False) if math.isfinite(a) and math.isfinite(b)]
    if len(pairs) < 3:
        return NAN
    x, y = mean(a for a, _ in pairs), mean(b for _, b in pairs)
    sxx, syy = math.fsum((a - x) ** 2 for a, _ in pairs), math.fsum((b - y) ** 2 for _, b in pairs)
    return ratio(math.fsum((a - x) * (b - y) for a, b in pairs), math.sqrt(sxx * syy))


def beyond_the_week(series: Sequence[float]) -> list[float]:
    """Each known value less the mean of its hour of the week; NaN stays."""
    means = [mean(series[hour::168]) for hour in range(168)]
    return [value - means[i % 168] for i, value in enumerate(series)]


def time_of_week_r2(series: Sequence[float]) -> float:
    """One less the variance that the hour of the week leaves, over the variance."""
    middle = mean(series)
    total = math.fsum((v - middle) ** 2 for v in known(series))
    left = math.fsum(v**2 for v in known(beyond_the_week(series)))
    return NAN if len(series) < 336 or not total else 1 - left / total


def spectrum(series: Sequence[float]) -> list[float]:
    """Square of each Fourier sum of the values less their mean, under Hann's window; gaps are the mean."""
    n, middle = len(series), mean(series)
    if len(known(series)) < n / 2 or len(set(known(series))) < 2:
        return [NAN] * (n // 2)
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * i / (n - 1)) for i in range(n)]
    off = [(v - middle) * h if math.isfinite(v) else 0.0 for v, h in zip(series, hann, strict=True)]
    turn = [cmath.exp(-2j * math.pi * i / n) for i in range(n)]
    return [abs(sum(v * turn[k * i % n] for i, v in enumerate(off))) ** 2 for k in range(1, n // 2 + 1)]


def spectral_flatness(power: Sequence[float]) -> float:
    """Geometric over arithmetic mean; a billionth of a thousandth of the mean is the least."""
    middle = mean(power)
    return NAN if math.isnan(middle) else math.exp(mean(math.log(max(p, 1e-12 * middle)) for p in power)) / middle


def diurnal_share(power: Sequence[float], days: int) -> float:
    """The bins within two of 1 to 6 cycles a day, over all; ``power[0]`` is one cycle in all days."""
    near = [p for k, p in enumerate(power, 1) if any(abs(k - h * days) <= 2 for h in range(1, 7))]
    return ratio(math.fsum(near), math.fsum(power))


def weather_fit(hours: Sequence[float], temperature: Sequence[float]) -> tuple[float, float, float]:
    """Least squares on the degrees beyond the hour of the week, of those that vary; what is explained of the rest."""
    both = [math.isfinite(w) and math.isfinite(t) for w, t in zip(hours, temperature, strict=True)]
    masked = [w if b else NAN for w, b in zip(hours, both, strict=True)]
    load = known(beyond_the_week(masked))
    ways = [
        known(
            beyond_the_week([max(0.0, sign * (t - 18.3)) if b else NAN for t, b in zip(temperature, both, strict=True)])
        )
        for sign in (1, -1)
    ]
    varies = [sum(both) >= 336 and math.fsum(d * d for d in way) > 0.25 * sum(both) for way in ways]
    used = [way for way, use in zip(ways, varies, strict=True) if use]
    if not used:
        return NAN, NAN, NAN
    slopes, left = _regress(load, used)
    spread = math.fsum(v * v for v in load)
    by_way = iter(slopes)
    cooling, heating = (next(by_way) / mean(masked) if use else NAN for use in varies)
    return cooling, heating, ratio(spread - left, spread)


def _regress(y: Sequence[float], ways: Sequence[Sequence[float]]) -> tuple[list[float], float]:
    """One or two slopes by taking turns until they stand, and the sum of squares that is left."""
    slopes, earlier = [0.0] * len(ways), [NAN] * len(ways)
    while slopes != earlier:
        earlier = list(slopes)
        for j, way in enumerate(ways):
            others = [
                sum(s * w[i] for k, (s, w) in enumerate(zip(slopes, ways, strict=True)) if k != j)
                for i in range(len(y))
            ]
            slopes[j] = math.fsum((v - o) * w for v, o, w in zip(y, others, way, strict=True)) / math.fsum(
                w * w for w in way
            )
    left = [v - sum(s * w[i] for s, w in zip(slopes, ways, strict=True)) for i, v in enumerate(y)]
    return slopes, math.fsum(v * v for v in left)


def rise(base: Sequence[float]) -> float:
    """Median of the last fortnight less that of the one before, ten days of each known."""
    recent = [NAN] * 28 + list(base)
    before, after = recent[-28:-14], recent[-14:]
    enough = len(known(before)) >= 10 and len(known(after)) >= 10
    return median(after) - median(before) if enough else NAN


def step_clarity(base: Sequence[float]) -> float:
    """The rise over the usual change from day to day."""
    return ratio(rise(base), 1.4826 * median(changes(base[-28:])))


def peer_steps(bases: Sequence[Sequence[float]]) -> list[float]:
    """The rise of each meter over its own median, less the median of the others day by day."""
    own = [[ratio(w, median(base[-28:])) for w in base[-28:]] for base in bases]
    beyond = [[w - median(other[day] for other in own if other is not row) for day, w in enumerate(row)] for row in own]
    return [rise(row) for row in beyond]


def hour_levels(days: Days, weekend: Sequence[bool]) -> tuple[list[float], list[float]]:
    """Median of each hour of workdays, then of weekends, seen twice; before and in the last fortnight."""
    missing = max(0, 28 - len(days))
    recent = [[NAN] * 24] * missing + list(days[-28:])
    rest = [False] * missing + list(weekend[-28:])

    def levels(part: slice) -> list[float]:
        seen = [
            [day[hour] for day, r in zip(recent[part], rest[part], strict=True) if r is kind]
            for kind in (False, True)
            for hour in range(24)
        ]
        return [median(hours) if len(known(hours)) >= 2 else NAN for hours in seen]

    return levels(slice(0, 14)), levels(slice(14, 28))


def lift_floor(lift: Sequence[float], before: float) -> float:
    """Tenth percentile over the load before."""
    return ratio(quantile(lift, 0.1), before)


def lift_evenness(lift: Sequence[float], before: float) -> float:
    """Median over spread, softened."""
    return ratio(median(lift), quantile(lift, 0.75) - quantile(lift, 0.25) + 0.02 * abs(before))


def offset_fit(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """The straight line through the known pairs."""
    pairs = [(x, y) for x, y in zip(before, after, strict=True) if math.isfinite(x) and math.isfinite(y)]
    if len(pairs) < 3:
        return NAN, NAN
    mx, my = mean(x for x, _ in pairs), mean(y for _, y in pairs)
    slope = ratio(math.fsum((x - mx) * (y - my) for x, y in pairs), math.fsum((x - mx) ** 2 for x, _ in pairs))
    return my - slope * mx, slope
