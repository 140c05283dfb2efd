"""Is the whole feeder a mining farm? Mode-based flatness over two weeks, then the power factor.

Variance and minima point the wrong way for a farm that is curtailed four hours a day, so they
are not used; dwell and shorth hold. Nor is the hourly noise: lit garages are the smoothest meters
of all, and the noise of a simulated farm is our own choice (docs/detection.md). Flatness alone
cannot tell a farm from a data hall, which is why its part is capped below the verdict.
"""

from collections.abc import Callable, Mapping

import numpy as np

from agent.analyse.detect.evidence import Rules
from agent.analyse.features import level
from agent.analyse.features.robust import Floats, mean, median

DAYS = 14  # two weekends; a shorter look mistakes a holiday for a rhythm
_MIN_DAYS = 5


def features(hourly_w: Floats, daily_power_factor: Floats) -> dict[str, Floats]:
    """Compute the evidence for the last two weeks; all (meters,), NaN where under five days are known.

    ``hourly_w`` (meters, days, 24), ``daily_power_factor`` (meters, days). NaN too where the feeder
    gives more than it takes: a ratio to a negative mean would read as perfectly flat.
    Logarithms make ratios additive; their floors are what an ideal simulated farm reaches.
    """
    series = hourly_w[:, -DAYS:].reshape(len(hourly_w), -1)
    enough = (np.isfinite(series).sum(axis=-1) >= _MIN_DAYS * 24) & (mean(series) > 0)
    values = {
        "peak_gap": np.log(np.maximum(1.0 - level.load_factor(series), 0.003)),
        "dwell": level.dwell(series),
        "shorth": np.log(np.maximum(level.shorth(series), 0.004)),
    }
    known = {name: np.where(enough, value, np.nan) for name, value in values.items()}
    return {**known, "power_factor": np.where(enough, median(daily_power_factor[:, -DAYS:]), np.nan)}


def weigh(values: Mapping[str, Floats], rules: Rules) -> tuple[Floats, dict[str, Floats]]:
    """Give the log-odds (meters,) of a dedicated farm and the parts; NaN where nothing is known."""
    flatness, parts = rules.dedicated.weigh(values)
    factor = values["power_factor"]
    electronics = np.where(
        factor >= rules.power_factor_good,
        rules.power_factor_weight,
        np.where(factor < rules.power_factor_bad, -2 * rules.power_factor_weight, 0.0),
    )
    parts["power_factor"] = np.where(np.isfinite(factor), electronics, 0.0)
    total = np.minimum(flatness, rules.flatness_cap) + parts["power_factor"]
    return np.where(np.isfinite(values["dwell"]), total, np.nan), parts


TEXTS: Mapping[str, Callable[[float], str]] = {
    "peak_gap": lambda v: f"the mean load is {100 * (1 - np.exp(v)):.0f} % of the peak",
    "dwell": lambda v: f"the load stays within 5 % of its median for {100 * v:.0f} % of the time",
    "shorth": lambda v: f"half of all hours lie within {100 * np.exp(v):.1f} % of the mean",
    "power_factor": lambda v: (
        f"the power factor is {v:.3f}" + (", as of servers' and miners' power supplies" if v >= 0.96 else "")
    ),
}
