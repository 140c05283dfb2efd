"""Whether the register map fits the meter: order of words, address, function, scale, model, ratios.

What a wrong map looks like is known, so the map is tried in each way that people get it wrong: with
words or bytes swapped, one address off, with the other function. The one under which voltage and
frequency are those of the mains is told.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence, Set
from dataclasses import dataclass, replace

from agent.commission.diagnose.finding import Finding, Severity, Values, shown
from agent.commission.diagnose.values import PHASE_VOLTAGES, PHASES, Contradiction, contradictions, usual
from agent.records import MeterProfile, Register

_COMPARABLE = ("voltage", "frequency", "current", "active_power", "apparent_power", "power_factor")
MAINS = ("frequency_hz", *PHASE_VOLTAGES, "voltage_l12_v")
_DECADES = (-3, -2, -1, 1, 2, 3)  # powers of ten by which maps are wrong: kW for W, 0.1 V for V
_SCALED = ("active_power", "apparent_power")
_DECADE_MARGIN = 0.08  # of log10: a factor of 1.2, class errors and harmonics included
_SECONDARY_A = 5.0  # the larger of the usual secondary ratings: a primary no larger is not set, or not used
_OVERLOAD = 1.2  # what a current transformer carries for long (IEC 61869-2)
_MOST_TOLD = 3  # contradictions: they mostly come from one wrong value
_TOO_SMALL = 1.1  # power beyond what the feeder can carry, by how much it is no surge


@dataclass(frozen=True, slots=True)
class Variant:
    """A profile as it would be with one common mistake put right."""

    code: str
    text: str  # what is so in this variant
    profile: MeterProfile


def part(profile: MeterProfile, names: Collection[str]) -> MeterProfile:
    """Give the profile with these entries and what they refer to, and nothing else."""
    wanted = {
        name for register in profile.registers if register.name in names for name in (register.name, *_refers(register))
    }
    return replace(profile, registers=tuple(register for register in profile.registers if register.name in wanted))


def mains_part(profile: MeterProfile) -> MeterProfile:
    """Give the profile with voltages and frequency."""
    return part(profile, MAINS)


def variants(profile: MeterProfile) -> Iterator[Variant]:
    """Give the profile with each common mistake made, the most common first."""
    for text, swap in (("words", _swap_words), ("bytes", _swap_bytes), ("words and bytes", _swap_both)):
        changed = [_reordered(register, swap) for register in profile.registers]
        if any(new.order != old.order for new, old in zip(changed, profile.registers, strict=True)):
            ((order, _),) = Counter(register.order for register in changed if register.count > 1).most_common(1)
            changed_profile = replace(profile, registers=tuple(changed))
            yield Variant("word_order", f'with swapped {text}, order = "{order}"', changed_profile)
    for step in (-1, 1):
        moved = [replace(register, address=register.address + step) for register in profile.registers]
        inside = (register for register in moved if 0 <= register.address <= 0x10000 - register.count)
        yield Variant("address", f"with every address {step:+d}", replace(profile, registers=tuple(inside)))
    other = [replace(register, function=7 - register.function) for register in profile.registers]
    yield Variant("function", f"with function {other[0].function}", replace(profile, registers=tuple(other)))


def _reordered(register: Register, swap: Callable[[str], str]) -> Register:
    """Change the order of a value of several words; that of one word has no other by the standard."""
    return register if register.count == 1 else replace(register, order=swap(register.order))


def _swap_words(order: str) -> str:
    return "".join(order[index : index + 2] for index in range(len(order) - 2, -1, -2))


def _swap_bytes(order: str) -> str:
    return "".join(order[index : index + 2][::-1] for index in range(0, len(order), 2))


def _swap_both(order: str) -> str:
    return order[::-1]


def _refers(register: Register) -> tuple[str, ...]:
    return (*register.multiply_by, *filter(None, (register.exponent_from,)), *register.plus, *register.minus)


def instantaneous_part(profile: MeterProfile) -> MeterProfile:
    """Give the profile with the values of which some can be computed from others."""
    return part(profile, [name for name in profile.quantities if name.startswith(_COMPARABLE)])


def map_finding(profile: MeterProfile, values: Values, fitting: Sequence[Variant]) -> Finding:
    """Tell of values that are not those of mains, and which variants of the profile, best first, make them so."""
    named = [name for name in MAINS if not math.isnan(values.get(name, math.nan))]
    seen = ", ".join(f"{name} {shown(values[name])}" for name in named[:3]) or "no possible voltage or frequency"
    if not fitting:
        return Finding(
            severity=Severity.FAULT,
            code="not_mains",
            seen=f"{seen}: not those of mains",
            cause=f"profile {profile.name} does not fit this meter, or it measures no low-voltage mains",
            next_step="run `flatwatt scan` on this bus to find the model, and compare with the meter's display",
        )
    best, *others = fitting
    causes = {
        "word_order": "the meter sends its words or bytes in another order, a setting of some models",
        "address": "the profile's addresses are one off: the list that they are from counts from 1",
        "function": "the meter keeps these values in its other table",
    }
    return Finding(
        severity=Severity.FAULT,
        code=best.code,
        seen=f"{seen}: not those of mains; {best.text} they are"
        + "".join(f", and less exactly {variant.text}" for variant in others),
        cause=causes[best.code],
        next_step=f"put the meter's setting right, or copy the profile and read it {best.text} "
        "(docs/adding-a-meter.md)",
    )


def identity_findings(profile: MeterProfile, values: Values) -> Iterator[Finding]:
    """Tell where the meter says of itself that it is another model."""
    for name, expected in profile.identity.items():
        value = values.get(name, math.nan)
        if not math.isnan(value) and value not in expected:
            yield Finding(
                severity=Severity.FAULT,
                code="wrong_profile",
                seen=f"{name} is {shown(value)}, a {profile.maker} {profile.model} says "
                f"{' or '.join(map(shown, expected))}",
                cause=f"this is another model than profile {profile.name} is for",
                next_step="run `flatwatt scan` on this bus to find the model, and change profile in gateway.toml",
            )


def power_findings(profile: MeterProfile, impossible: Set[str], values: Values) -> Iterator[Finding]:
    """Tell a meter that does not give the one value that all is judged by."""
    if math.isnan(values.get("active_power_w", math.nan)):
        said = "outside what any facility has" if "active_power_w" in impossible else "not available, or refused"
        yield Finding(
            severity=Severity.FAULT,
            code="no_power",
            seen=f"active_power_w is {said}",
            cause=f"the meter does not measure, it is set up otherwise, or profile {profile.name} does not fit it",
            next_step="compare with the meter's display; `flatwatt read` shows every value",
        )


def scale_findings(values: Values) -> list[Finding]:
    """Tell powers that are 10, 100 or 1000 times off from U times I, and other values that contradict each other."""
    found = contradictions(values)
    decades = [item for item in found if _decade(item.ratio) and item.name.startswith(_SCALED)]
    if decades:
        return [_scale_finding(values, decades)]
    return [_contradiction(found)] if found else []


def _scale_finding(values: Values, wrong: Sequence[Contradiction]) -> Finding:
    factor = shown(10.0 ** _decade(wrong[0].ratio))
    volts = [name for name in PHASE_VOLTAGES if _scaled_volts(name, values.get(name, math.nan))]
    if volts:
        cause = f"the scale of the voltages is wrong ({volts[0]} is {shown(values[volts[0]])})"
    else:
        cause = "the scale of one of them is wrong, or the meter sends secondary values of one of them"
    return Finding(
        severity=Severity.FAULT,
        code="scale",
        seen=f"{wrong[0]}: {factor} times",
        cause=cause,
        next_step="compare both with the meter's display; the one that differs has a wrong scale in the profile, "
        "or a transformer ratio that only one of them knows",
    )


def _contradiction(found: Sequence[Contradiction]) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="contradiction",
        seen="; ".join(map(str, found[:_MOST_TOLD])) + (" …" if len(found) > _MOST_TOLD else ""),
        cause="one of these registers is not what the profile takes it for, or a setting of the meter changes it",
        next_step="compare the values with the meter's display; leave the wrong one out of a copy of the profile",
    )


def _decade(ratio: float) -> int:
    """Give n where a ratio is about 10 to the power of n, not 0; else 0.

    >>> _decade(0.0011), _decade(97.0), _decade(3.0), _decade(1.01)
    (-3, 2, 0, 0)
    """
    if not 0 < ratio < math.inf:
        return 0
    exponent = math.log10(ratio)
    return round(exponent) if round(exponent) in _DECADES and abs(exponent - round(exponent)) < _DECADE_MARGIN else 0


def _scaled_volts(name: str, volts: float) -> bool:
    low, high = usual(name) or (0.0, math.inf)
    return bool(volts) and not low <= volts <= high and any(low <= volts / 10**n <= high for n in _DECADES)


def ratio_findings(values: Values, ct_ratio: float, vt_ratio: float, max_power_w: float | None) -> Iterator[Finding]:
    """Tell transformer ratios that cannot be right; those given are of gateway.toml, not in ``values`` yet."""
    own, primary_a = values.get("ct_ratio", math.nan), values.get("ct_primary_a", math.nan)
    currents = [values.get(f"current_{phase}_a", math.nan) for phase in PHASES]
    largest_a = max((abs(current) for current in currents if not math.isnan(current)), default=math.nan)
    if own > 1 and ct_ratio != 1:
        yield Finding(
            severity=Severity.FAULT,
            code="ct_ratio_twice",
            seen=f"the meter says ct_ratio {shown(own)}, and gateway.toml says ct_ratio = {shown(ct_ratio)}",
            cause="the meter knows of its transformers already, so they are counted twice",
            next_step="take ct_ratio out of gateway.toml, unless the meter's display shows secondary values",
        )
    if primary_a > _SECONDARY_A and largest_a > _OVERLOAD * primary_a:
        yield Finding(
            severity=Severity.WARNING,
            code="ct_ratio",
            seen=f"{shown(largest_a)} A flow, and the meter is set to transformers of {shown(primary_a)} A",
            cause="the primary rating that is set in the meter is not that of the transformers",
            next_step="read the ratio off the transformers' plates and set the meter to it",
        )
    power_w = abs(values.get("active_power_w", math.nan)) * ct_ratio * vt_ratio
    if max_power_w is not None and power_w > _TOO_SMALL * max_power_w:
        yield Finding(
            severity=Severity.FAULT,
            code="ct_ratio",
            seen=f"{shown(power_w)} W, and the feeder carries at most {shown(max_power_w)} W",
            cause="a transformer ratio or a scale is too large, or max_power_w is too small",
            next_step="compare with the meter's display and the transformers' plates",
        )
