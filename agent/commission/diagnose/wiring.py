"""Which current transformer sits where: what the angles between voltage and current tell.

Channel k of a meter multiplies the voltage of phase k by the current of whatever conductor its
transformer is on. With phase angle phi of the load (0 for a heater, 30 degrees for a motor) the channel shows

    phi                   transformer on its own phase
    phi + 120 or - 120    on the next phase or the one before: power factor near -0.5
    + 180                 and turned round: the power has the other sign

So every wiring has a signature, and the one that explains the angles by a common load with the
fewest transformers moved is what an electrician will find. Angles of 60 degrees and more could be
a load's own, so nothing is said while the three could belong to a load as it is wired.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

from agent.commission.diagnose.finding import Finding, Severity, Values, shown
from agent.commission.diagnose.values import PHASE_VOLTAGES, PHASES

_SMALLEST_VA = 50.0  # below, rounding makes the angle
_SMALLEST_SHARE = 0.05  # of the largest phase: beside it, crosstalk makes the angle
_LOAD_DEGREES = 75.0  # a power factor of 0.26: idling motors and transformers
_COVERED_DEGREES = 100.0  # of a load whose active power is covered by a generator behind the same meter
_EXPORT_DEGREES = 30.0  # around 180: an inverter
_EXPLAINED_DEGREES = 60.0  # of a load that explains a wiring: a power factor of 0.5
_SPREAD_DEGREES = 40.0  # between the phases of such a load
_DEAD_V = 50.0  # a phase that is off shows induced volts

_FIX = "with the load on, swap them back (short-circuit a transformer's secondary before you open it), read again"


@dataclass(frozen=True, slots=True)
class Wiring:
    """Channel k measures the current of phase ``phases[k]``, turned round where ``turned[k]``."""

    phases: tuple[int, ...]
    turned: tuple[bool, ...]

    @property
    def changes(self) -> int:
        """How many transformers are not as they should be, a moved and turned one twice."""
        return sum(phase != k for k, phase in enumerate(self.phases)) + sum(self.turned)

    def load_degrees(self, measured: tuple[float, ...]) -> tuple[float, ...]:
        """Give the phase angles of the load that this wiring would show as ``measured``."""
        channels = enumerate(zip(measured, self.phases, self.turned, strict=True))
        return tuple(_wrapped(angle - 120 * (phase - k) - 180 * turned) for k, (angle, phase, turned) in channels)

    def __str__(self) -> str:
        moved = [k for k, phase in enumerate(self.phases) if phase != k]
        turned = [str(k + 1) for k, is_turned in enumerate(self.turned) if is_turned]
        words = []
        if len(moved) == 2:
            words.append(f"the current transformers of phases {moved[0] + 1} and {moved[1] + 1} are swapped")
        elif moved:
            places = ", ".join(
                f"input {k + 1} has the current of phase {phase + 1}" for k, phase in enumerate(self.phases)
            )
            words.append(f"the current transformers sit one phase on ({places})")
        if turned:
            words.append(f"the current transformer at input {' and '.join(turned)} is turned round")
        return " and ".join(words)


_WIRINGS = sorted(
    (Wiring(phases, turned) for phases in permutations(range(3)) for turned in product((False, True), repeat=3)),
    key=lambda wiring: wiring.changes,
)


def wiring_findings(values: Values, exports: bool = False) -> list[Finding]:
    """Tell swapped, moved and turned current transformers, and phases without voltage.

    ``exports`` is true where the meter is known to measure generation.
    """
    return [*_dead_phases(values), *_transformers(values, exports)]


def _dead_phases(values: Values) -> Iterator[Finding]:
    volts = [values.get(name, math.nan) for name in PHASE_VOLTAGES]
    for k, value in enumerate(volts):
        if value < _DEAD_V and max(v for v in volts if not math.isnan(v)) > _DEAD_V:
            yield Finding(
                severity=Severity.WARNING,
                code="phase_without_voltage",
                seen=f"phase {k + 1} has {shown(value)} V, phases 1 to 3 have {', '.join(map(shown, volts))} V",
                cause="a blown fuse, a loose voltage tap, or a three-phase meter on fewer phases",
                next_step=f"measure at the meter's voltage terminal {k + 1}",
            )


def _transformers(values: Values, exports: bool) -> Iterator[Finding]:
    powers = tuple(values.get(f"active_power_{phase}_w", math.nan) for phase in PHASES)
    if math.isnan(powers[1]) and math.isnan(powers[2]):
        yield from _single(values, exports)
        return
    options = list(_angles(values, powers))
    if not options or any(map(_is_load, options)) or (exports and any(map(_is_export, options))):
        return
    if exports:  # what is explained is the generator, which is a load turned round
        options = [tuple(_wrapped(angle - 180) for angle in angles) for angles in options]
    seen = f"active power of the phases {', '.join(map(shown, powers))} W"
    if not exports and any(map(_is_export, options)):
        yield _exporting(seen)
    elif found := _explanation(options):
        innocent = _innocent(found)
        yield Finding(
            severity=Severity.WARNING if innocent else Severity.FAULT,
            code="ct_swapped" if any(phase != k for k, phase in enumerate(found.phases)) else "ct_reversed",
            seen=f"{seen}, {_factors(values, powers)}",
            cause=f"{found}{innocent}",
            next_step=_FIX,
        )


def _innocent(wiring: Wiring) -> str:
    """Give what else would show like this wiring and is no mistake."""
    if wiring.changes == 1:
        return ", or that phase has a generator of its own"
    if _is_cyclic(wiring):
        return ", or the site generates active power while it draws reactive power"
    return ""


def _is_cyclic(wiring: Wiring) -> bool:
    return wiring.phases in ((1, 2, 0), (2, 0, 1)) and len(set(wiring.turned)) == 1


def _single(values: Values, exports: bool) -> Iterator[Finding]:
    power_w = values.get("active_power_w", math.nan)
    if power_w < -_SMALLEST_VA and not exports:
        yield _exporting(f"active power {shown(power_w)} W")


def _exporting(seen: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="exports",
        seen=seen,
        cause="the meter is turned round (all current transformers, or supply and load side), or this is generation",
        next_step='turn the transformers round, or say role = "generation" in gateway.toml',
    )


def _angles(values: Values, powers: tuple[float, ...]) -> Iterator[tuple[float, ...]]:
    """Give the angle of each phase in degrees, with every sign of a reactive power that is known by size only."""
    ways: list[tuple[float, ...]] = []
    apparents = tuple(_apparent_va(values, phase) for phase in PHASES)
    largest = max(map(abs, powers))
    for phase, power_w, apparent_va in zip(PHASES, powers, apparents, strict=True):
        reactive = values.get(f"reactive_power_{phase}_var", math.nan)
        if math.isnan(reactive):
            size = math.sqrt(max(0.0, apparent_va**2 - power_w**2))
            ways.append((math.degrees(math.atan2(size, power_w)), math.degrees(math.atan2(-size, power_w))))
        else:
            ways.append((math.degrees(math.atan2(reactive, power_w)),))
        if not max(abs(power_w), apparent_va) >= max(_SMALLEST_VA, _SMALLEST_SHARE * largest):
            return
    if not any(math.isnan(angle) for way in ways for angle in way):
        yield from product(*ways)


def _apparent_va(values: Values, phase: str) -> float:
    """Give S of one phase as the meter says it, else U times I, else from P and Q."""
    ways = (
        abs(values.get(f"apparent_power_{phase}_va", math.nan)),
        values.get(f"voltage_{phase}_v", math.nan) * abs(values.get(f"current_{phase}_a", math.nan)),
        math.hypot(
            values.get(f"active_power_{phase}_w", math.nan), values.get(f"reactive_power_{phase}_var", math.nan)
        ),
    )
    return next((way for way in ways if not math.isnan(way)), math.nan)


def _is_load(angles: tuple[float, ...]) -> bool:
    """Tell whether these are angles of a load, or of one whose active power a generator behind it nearly covers."""
    largest = max(map(abs, angles))
    alike = max(angles) - min(angles) <= _SPREAD_DEGREES
    return largest <= _LOAD_DEGREES or (alike and largest <= _COVERED_DEGREES)


def _is_export(angles: tuple[float, ...]) -> bool:
    return all(abs(_wrapped(angle - 180)) <= _EXPORT_DEGREES for angle in angles)


def _explanation(options: list[tuple[float, ...]]) -> Wiring | None:
    """Give the wiring with the fewest changes under which the angles are those of one load."""
    fits = [
        (wiring.changes, sum(map(abs, load)), index, wiring)
        for index, wiring in enumerate(_WIRINGS)
        for load in map(wiring.load_degrees, options)
        if max(map(abs, load)) <= _EXPLAINED_DEGREES and max(load) - min(load) <= _SPREAD_DEGREES
    ]
    return min(fits)[3] if fits else None


def _factors(values: Values, powers: tuple[float, ...]) -> str:
    factors = (power / _apparent_va(values, phase) for phase, power in zip(PHASES, powers, strict=True))
    return f"power factors {', '.join(f'{factor:.2f}' for factor in factors)}"


def _wrapped(degrees: float) -> float:
    """Give an angle from -180 up to 180."""
    return (degrees + 180) % 360 - 180
