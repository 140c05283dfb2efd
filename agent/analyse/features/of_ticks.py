"""Every feature of single polls by its name; ``docs/features.md`` is written from these tables.

The functions hold the formulas, the rules for gaps, and what is usual.
"""

import math
from collections.abc import Mapping

from agent.analyse.features import edges, electrical, level
from agent.analyse.features.feature import CHANGE, RATIO, SHARE, Feature, Range
from agent.analyse.features.inputs import Ticks
from agent.analyse.features.robust import Floats

_UNBALANCE = Range("", 0.0, 2.0)
_PERCENT = Range("%", 0.0, math.inf)
_D_CENTRAL = "d-central, trip facts"
_ZIP = "Bokhari et al. 2014; instrumental variable"


def features(ticks: Ticks) -> dict[str, Floats]:
    """Give every feature of single polls for all meters, name → (meters,); NaN where unknown.

    >>> import numpy as np
    >>> features(Ticks({"active_power_w": np.array([[5000.0, 1500.0]])}, 1.0))["step_rate_per_h"].item()
    3600.0
    """
    return {name: feature.compute(ticks) for table in TABLES.values() for name, feature in table.items()}


_ELECTRICAL: Mapping[str, Feature[Ticks]] = {
    "power_factor_spread": Feature(
        "interquartile range of the power factor",
        "IEEE 1459",
        Range("", 0.0, 1.001),
        lambda t: electrical.power_factor_spread(t["active_power_w"], t["apparent_power_va"], t["power_factor"]),
    ),
    "power_unbalance": Feature(
        "largest deviation of a phase's active power from the phases' mean, over it",
        "NEMA MG 1, of power",
        _UNBALANCE,
        lambda t: electrical.unbalance(t.phases("active_power_{}_w")),
    ),
    "current_unbalance": Feature(
        "the same of the currents",
        "NEMA MG 1; State Grid Jiangsu 2021",
        _UNBALANCE,
        lambda t: electrical.unbalance(t.phases("current_{}_a")),
    ),
    "voltage_unbalance": Feature(
        "the same of the voltages",
        "NEMA MG 1",
        _UNBALANCE,
        lambda t: electrical.unbalance(t.phases("voltage_{}_v")),
    ),
    "neutral_share": Feature(
        "neutral current over the mean of the phases' currents",
        "IEEE 519",
        RATIO,
        lambda t: electrical.neutral_share(t["current_n_a"], t.phases("current_{}_a")),
    ),
    "thd_current_percent": Feature(
        "total harmonic distortion of the current, mean of the phases",
        "IEEE 519",
        _PERCENT,
        lambda t: electrical.distortion(t.phases("thd_current_{}_percent")),
    ),
    "thd_voltage_percent": Feature(
        "total harmonic distortion of the voltage, mean of the phases",
        "IEEE 519",
        _PERCENT,
        lambda t: electrical.distortion(t.phases("thd_voltage_{}_percent")),
    ),
    "stuck_share": Feature(
        "share of neighbouring polls that are the same number",
        "BDG2, meter Mouse_science_Micheal",
        SHARE,
        lambda t: level.repeat_share(t["active_power_w"]),
    ),
    "fast_drop_share": Feature(
        "share of the drops below a tenth of the median that took under ten minutes",
        "ERCOT, large flexible loads",
        SHARE,
        lambda t: edges.fast_drop_share(t["active_power_w"], t.period_s),
    ),
}
_MACHINES: Mapping[str, Feature[Ticks]] = {
    "step_rate_per_h": Feature(
        "steps of 1 kW or more per hour",
        "NILM edges",
        Range("1/h", 0.0, math.inf),
        lambda t: edges.step_rate(t.fine_w, t.period_s),
    ),
    "machine_step_w": Feature(
        "the commonest size of a step",
        "NILM edges, shortest half",
        Range("W", 1000.0, math.inf),
        lambda t: t.machine_step[0],
    ),
    "machine_step_share": Feature(
        "share of the steps within 5 % of that size",
        "NILM edges, shortest half",
        SHARE,
        lambda t: t.machine_step[1],
    ),
    "edge_power_factor": Feature(
        "median over the steps of |ΔP| / √(ΔP² + ΔQ²)",
        "NILM",
        SHARE,
        lambda t: edges.edge_power_factor(t.fine_w, t["reactive_power_var"]),
    ),
    "notches": Feature(
        "count of drops of 1 kW or more that come back after 2 to 20 minutes: reboots",
        _D_CENTRAL,
        RATIO,
        lambda t: t.notches[0],
    ),
    "notch_length_s": Feature(
        "median length of those",
        _D_CENTRAL,
        Range("s", 120.0, 1200.0),
        lambda t: t.notches[1],
    ),
}
_VOLTAGE: Mapping[str, Feature[Ticks]] = {
    "voltage_exponent": Feature(
        "d ln P / d ln V at 20 or more voltage events that other meters saw too, else unknown",
        _ZIP,
        CHANGE,
        lambda t: t.voltage_exponent[0],
    ),
    "voltage_exponent_error": Feature(
        "standard error of that",
        _ZIP,
        RATIO,
        lambda t: t.voltage_exponent[1],
    ),
}
TABLES: Mapping[str, Mapping[str, Feature[Ticks]]] = {
    "Phases, harmonics and freezes, from polls at any pace": _ELECTRICAL,
    "Machines, from polls 2 s or less apart": _MACHINES,
    "Answer to the voltage, from polls 5 s or less apart": _VOLTAGE,
}
