"""What is wrong between the conductors and the metering chip: electricians' mistakes."""

import cmath
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from firmware_sim.chance import Floats
from firmware_sim.electrical import Phases
from firmware_sim.faults.base import MeasuringFault, Reading, RegisterFault
from firmware_sim.fields import names, number

_INPUTS = ("l1", "l2", "l3")
_A_THIRD = cmath.exp(-2j * cmath.pi / 3)  # from one phase to the next


@dataclass(frozen=True, kw_only=True)
class Wiring(MeasuringFault):
    """Current transformers or voltage leads at the wrong input, or transformers the wrong way round.

    ``cts[n]`` and ``leads[n]`` name the phase whose transformer and whose voltage are connected
    to input n; ``reversed`` the inputs whose transformer sits the wrong way round.
    """

    cts: tuple[str, ...] = names(_INPUTS, 'three phases, one for each input, such as ["l2", "l1", "l3"]', _INPUTS, 3)
    leads: tuple[str, ...] = names(_INPUTS, 'three phases, one for each input, such as ["l2", "l1", "l3"]', _INPUTS, 3)
    reversed: tuple[str, ...] = names((), 'inputs such as ["l2"]', _INPUTS)

    def measured(self, phases: Phases, secondary: bool) -> Phases:
        """Turn each input's power by the angle between its voltage and its current: S = U * conj(I)."""
        currents, leads = [_INPUTS.index(ct) for ct in self.cts], [_INPUTS.index(lead) for lead in self.leads]
        turns = [_A_THIRD ** (lead - current) for lead, current in zip(leads, currents, strict=True)]
        signs = [-1 if input_ in self.reversed else 1 for input_ in _INPUTS]
        apparent = (phases.active_w + 1j * phases.reactive_var)[currents] / phases.voltage_v[currents]
        power = apparent * phases.voltage_v[leads] * (np.array(turns) * np.array(signs))[:, None]
        return Phases(power.real, power.imag, phases.voltage_v[leads], phases.current_a[currents])


@dataclass(frozen=True, kw_only=True)
class CtChange(MeasuringFault, RegisterFault):
    """Somebody set the ratio of the current transformers to ``factor`` times what they are."""

    factor: float = number(2.0, low=1e-4, high=1e4)

    def measured(self, phases: Phases, secondary: bool) -> Phases:
        """Multiply what the meter multiplies; where the reader does, only the ratio changes."""
        factor = 1.0 if secondary else self.factor
        return Phases(
            phases.active_w * factor, phases.reactive_var * factor, phases.voltage_v, phases.current_a * factor
        )

    def shown(self, reading: Reading) -> Mapping[str, Floats | float]:
        """Show the ratio that was set."""
        return {name: reading.values[name] * self.factor for name in ("ct_ratio", "ct_primary_a")}
