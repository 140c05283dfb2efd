"""The one vocabulary of measurands: name, unit, sign convention, plausible range.

Meter profiles, windows, features, topics, SQL columns, the page and the reports use these
names and no others. A name ends in its unit in lower case (``active_power_w``); a
dimensionless quantity has none (``power_factor``).

Sign convention: import from the grid into the facility is positive, for active power,
for power factor and for current where a meter signs it; inductive reactive power is positive.
"""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measurand.

    ``low`` and ``high`` bound what a correctly wired and correctly decoded meter of a
    building or industrial feeder can report; a value outside is a fault, not a load.
    ``counter`` marks registers that only grow, until they roll over or are reset.
    """

    name: str
    unit: str
    text: str
    low: float
    high: float
    counter: bool = False


_PHASES = ("l1", "l2", "l3")
_GIGA = 1e9  # 1 GW: above any metering point of a single facility
_ENERGY_MAX_WH = 1e16  # 10 PWh: above any register, below where float64 loses 2 Wh


def _per_phase(stem: str, unit_suffix: str, unit: str, text: str, low: float, high: float) -> list[Quantity]:
    suffix = f"_{unit_suffix}" if unit_suffix else ""
    return [Quantity(f"{stem}_{phase}{suffix}", unit, f"{text}, phase {phase[1]}", low, high) for phase in _PHASES]


_ALL = (
    Quantity("active_power_w", "W", "active power, all phases, import positive", -_GIGA, _GIGA),
    *_per_phase("active_power", "w", "W", "active power", -_GIGA, _GIGA),
    Quantity("reactive_power_var", "var", "reactive power, all phases, inductive positive", -_GIGA, _GIGA),
    *_per_phase("reactive_power", "var", "var", "reactive power", -_GIGA, _GIGA),
    Quantity("apparent_power_va", "VA", "apparent power, all phases", -_GIGA, _GIGA),
    *_per_phase("apparent_power", "va", "VA", "apparent power", -_GIGA, _GIGA),
    Quantity("power_factor", "", "power factor, all phases, import positive", -1.001, 1.001),
    *_per_phase("power_factor", "", "", "power factor", -1.001, 1.001),
    Quantity("frequency_hz", "Hz", "mains frequency", 40.0, 70.0),
    *_per_phase("voltage", "v", "V", "phase-to-neutral voltage", 0.0, 500_000.0),
    Quantity("voltage_ln_avg_v", "V", "mean phase-to-neutral voltage", 0.0, 500_000.0),
    Quantity("voltage_l12_v", "V", "voltage between phases 1 and 2", 0.0, 900_000.0),
    Quantity("voltage_l23_v", "V", "voltage between phases 2 and 3", 0.0, 900_000.0),
    Quantity("voltage_l31_v", "V", "voltage between phases 3 and 1", 0.0, 900_000.0),
    Quantity("voltage_ll_avg_v", "V", "mean phase-to-phase voltage", 0.0, 900_000.0),
    *_per_phase("current", "a", "A", "current", -1e6, 1e6),
    Quantity("current_n_a", "A", "neutral current", -1e6, 1e6),
    Quantity("current_sum_a", "A", "sum of the phase currents", -3e6, 3e6),
    Quantity("current_avg_a", "A", "mean of the phase currents", -1e6, 1e6),
    *_per_phase("thd_voltage", "percent", "%", "total harmonic distortion of the voltage", 0.0, 500.0),
    *_per_phase("thd_current", "percent", "%", "total harmonic distortion of the current", 0.0, 500.0),
    Quantity("active_energy_import_wh", "Wh", "active energy imported, never reset", 0.0, _ENERGY_MAX_WH, counter=True),
    Quantity("active_energy_export_wh", "Wh", "active energy exported, never reset", 0.0, _ENERGY_MAX_WH, counter=True),
    Quantity("active_energy_total_wh", "Wh", "active energy, both ways", 0.0, _ENERGY_MAX_WH, counter=True),
    Quantity("reactive_energy_import_varh", "varh", "reactive energy imported", 0.0, _ENERGY_MAX_WH, counter=True),
    Quantity("reactive_energy_export_varh", "varh", "reactive energy exported", 0.0, _ENERGY_MAX_WH, counter=True),
    Quantity("reactive_energy_total_varh", "varh", "reactive energy, both ways", 0.0, _ENERGY_MAX_WH, counter=True),
    Quantity("demand_active_power_w", "W", "active power demand as the meter averages it", -_GIGA, _GIGA),
    Quantity("outdoor_temperature_c", "°C", "air temperature outside, in the shade", -90.0, 70.0),
    Quantity("serial_number", "", "serial number of the meter", 0.0, 2.0**53),
    Quantity("model_code", "", "identification code of the model", 0.0, 2.0**53),
    Quantity("ct_ratio", "", "current transformer ratio", 0.0, 100_000.0),
    Quantity("vt_ratio", "", "voltage transformer ratio", 0.0, 100_000.0),
    Quantity("ct_primary_a", "A", "current transformer primary rating", 0.0, 100_000.0),
    Quantity("ct_secondary_a", "A", "current transformer secondary rating", 0.0, 100.0),
)

QUANTITIES: MappingProxyType[str, Quantity] = MappingProxyType({q.name: q for q in _ALL})
