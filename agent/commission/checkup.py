"""Examine a meter: read it a few times, and where its values make no sense, try what would make them so."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from agent.acquire.bus.bus import Bus
from agent.acquire.bus.line import Line
from agent.acquire.bus.url import parse_url
from agent.commission.asking import Asker, gentle_gap_s
from agent.commission.diagnose.bus import noise_findings, refusal_findings, silence_finding, time_findings
from agent.commission.diagnose.finding import Finding, Values, typical
from agent.commission.diagnose.map import (
    MAINS,
    Variant,
    identity_findings,
    instantaneous_part,
    mains_part,
    map_finding,
    power_findings,
    ratio_findings,
    scale_findings,
    variants,
)
from agent.commission.diagnose.values import (
    MEDIUM_V,
    PHASE_VOLTAGES,
    Mains,
    contradictions,
    disagreement,
    looks_like_mains,
)
from agent.commission.diagnose.wiring import wiring_findings
from agent.commission.identify import Sure, identify
from agent.commission.readout import REFUSALS, MeterReader, Readout, is_answer
from agent.errors import BusDownError
from agent.records import MeterProfile

Known = Callable[[], Sequence[MeterProfile]]  # asked only where a profile does not fit: reading all takes a Pi a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A meter to examine, as gateway.toml describes it; ``url`` is its bus."""

    id: str
    url: str
    unit: int
    profile: MeterProfile
    timeout_s: float
    exports: bool = False  # generation
    ct_ratio: float = 1.0
    vt_ratio: float = 1.0
    max_power_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """What a few readings of a meter gave; ``findings`` are those that need the meter to answer."""

    patient: Patient
    readouts: tuple[Readout, ...]
    values: Values  # the median of each over the readings
    p99_s: float  # in which 99 of 100 answers came; NaN without any
    findings: tuple[Finding, ...]

    @property
    def answered(self) -> bool:
        """Whether the meter said anything at all."""
        return any(readout.answered for readout in self.readouts)


async def examine(bus: Bus, patient: Patient, line: Line, readings: int, known: Known) -> Checkup:
    """Read a meter and say what is wrong; ``known`` gives the profiles that it may be instead."""
    reader = MeterReader(bus, patient.profile, patient.unit, line)
    readouts = [await reader.read()]
    while readouts[-1].answered and len(readouts) < readings:
        readouts.append(await reader.read())
    values = typical([readout.values for readout in readouts])
    findings: list[Finding] = []
    if any(readout.answered for readout in readouts):
        findings += _way_findings(bus, patient, readouts)
        findings += await _map_or_value_findings(bus, patient, line, readouts, values, known)
    times = bus.times().units.get(patient.unit)
    return Checkup(
        patient=patient,
        readouts=tuple(readouts),
        values=values,
        p99_s=times.p99_s if times else math.nan,
        findings=tuple(findings),
    )


def silence(checkup: Checkup, others_answer: bool | None) -> Finding:
    """Say why a meter that was examined said nothing."""
    failures = [failure for readout in checkup.readouts for failure in readout.failures]
    return silence_finding(failures, parse_url(checkup.patient.url), others_answer)


def _way_findings(bus: Bus, patient: Patient, readouts: Sequence[Readout]) -> Iterator[Finding]:
    """Look at the way to the meter: noise, collisions, slowness."""
    failures = [failure for readout in readouts for failure in readout.failures]
    requests = sum(readout.requests for readout in readouts)
    yield from noise_findings(failures, requests, [readout.values for readout in readouts])
    if times := bus.times().units.get(patient.unit):
        yield from time_findings(times.p99_s, patient.timeout_s)


async def _map_or_value_findings(
    bus: Bus, patient: Patient, line: Line, readouts: Sequence[Readout], values: Values, known: Known
) -> list[Finding]:
    """Look at the profile first: under a wrong one the values say nothing."""
    try:
        found = await _map_findings(bus, patient, line, readouts, values, known)
    except BusDownError:  # it went away while other ways were tried
        return [map_finding(patient.profile, values, ())]
    return found or list(_value_findings(patient, readouts, values))


async def _map_findings(
    bus: Bus,
    patient: Patient,
    line: Line,
    readouts: Sequence[Readout],
    values: Values,
    known: Known,
) -> list[Finding]:
    """Look whether the profile fits; where it does not, find what would."""
    asker = Asker(bus, patient.unit, line, gentle_gap_s(patient.url))
    denied = list(identity_findings(patient.profile, values))
    if not denied and (_says_nothing(readouts) or not _is_doubtful(readouts, values)):
        return []
    fitting = [] if denied else await _fitting(asker, patient.profile)
    if fitting:
        return [map_finding(patient.profile, values, fitting)]
    if not denied and _mains(readouts, values) is Mains.YES:
        return []
    found = denied or [map_finding(patient.profile, values, ())]
    model = await identify(asker, [profile for profile in known() if profile.name != patient.profile.name])
    if model.sure is Sure.UNKNOWN:
        return found
    names = " or ".join(f'"{profile.name}"' for profile in model.profiles[:3])
    step = f"write profile = {names}, which fits ({model.why})"
    return [replace(finding, code="wrong_profile", next_step=step) for finding in found]


def _says_nothing(readouts: Sequence[Readout]) -> bool:
    """Tell whether every request failed for another reason than that a register is not there."""
    errors = [error for readout in readouts for error in readout.failures]
    return len(errors) == sum(readout.requests for readout in readouts) and not any(e.code in REFUSALS for e in errors)


def _mains(readouts: Sequence[Readout], values: Values) -> Mains:
    return looks_like_mains(values, frozenset(name for readout in readouts for name in readout.impossible))


def _is_doubtful(readouts: Sequence[Readout], values: Values) -> bool:
    """Tell whether the profile may not fit: no mains, most registers refused, or medium voltage that contradicts."""
    mains = _mains(readouts, values)
    if mains is Mains.YES:
        volts = [values.get(name, math.nan) for name in PHASE_VOLTAGES]
        return any(value >= MEDIUM_V for value in volts) and bool(contradictions(values))
    refused = sum(map(is_answer, readouts[-1].unread.values()))
    return mains is Mains.NO or refused > len(values) / 2


async def _fitting(asker: Asker, profile: MeterProfile) -> list[Variant]:
    """Give the variants of the profile under which voltage and frequency are those of mains.

    The one whose values agree best with each other comes first.
    """
    if profile.sunspec:  # found by its headers: neither order nor address can be wrong
        return []
    fitting: list[tuple[float, Variant]] = []
    for variant in variants(profile):
        values, impossible = await asker.values(mains_part(variant.profile))
        sound = [name for name in MAINS if 0 < values.get(name, math.nan) < MEDIUM_V]
        if len(sound) >= 2 and looks_like_mains(values, impossible) is Mains.YES:
            every, _ = await asker.values(instantaneous_part(variant.profile))
            fitting.append((disagreement(every), variant))
    return [variant for _, variant in sorted(fitting, key=lambda item: (math.isnan(item[0]), item[0]))]


def _value_findings(patient: Patient, readouts: Sequence[Readout], values: Values) -> Iterator[Finding]:
    """Look at the values of a meter whose profile fits."""
    refused = sorted(name for name, error in readouts[-1].unread.items() if error.code in REFUSALS)
    yield from refusal_findings(refused, len(values))
    if "active_power_w" in refused or "active_power_w" not in readouts[-1].unread:
        yield from power_findings(patient.profile, readouts[-1].impossible, values)
    scale = scale_findings(values)
    yield from scale
    if not any(finding.code == "scale" for finding in scale):
        yield from wiring_findings(values, patient.exports)
    yield from ratio_findings(values, patient.ct_ratio, patient.vt_ratio, patient.max_power_w)
