"""Examine what meters share: silence, one meter under two names, the load and the port of a bus."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from agent.acquire.bus.bus import open_bus
from agent.acquire.bus.line import Line, line_of
from agent.acquire.bus.times import BusTimes
from agent.acquire.bus.url import SerialAddress, by_id_path, parse_url
from agent.commission.checkup import Checkup, Patient, silence
from agent.commission.diagnose.bus import load_findings, path_findings
from agent.commission.diagnose.finding import DOWN, Finding, Severity, shown
from agent.commission.load import BusLoad, MeterLoad
from agent.commission.port_holder import holders
from agent.commission.scan.scan import is_there, probes
from agent.commission.scan.targets import settings
from agent.config import PollConfig
from agent.errors import BusError
from agent.records import MeterProfile, ReadRequest, Tier

_PROBE_TIMEOUT_S = 0.3  # most meters answer within 0.1 s


@dataclass(frozen=True, slots=True)
class Located:
    """A finding, and the meter or bus that it is about."""

    where: str
    finding: Finding


def worst_first(located: Iterable[Located]) -> list[Located]:
    """Give findings worst first, otherwise in their order."""
    return sorted(located, key=lambda item: list(Severity).index(item.finding.severity))


def silent(checkups: Sequence[Checkup]) -> Iterator[tuple[Checkup, Finding]]:
    """Say of each meter that said nothing why; where the port cannot be opened, of the first of its bus only."""
    answering = {checkup.patient.url for checkup in checkups if checkup.answered}
    asked = Counter(checkup.patient.url for checkup in checkups)
    down: set[str] = set()
    for checkup in checkups:
        url = checkup.patient.url
        if checkup.answered or url in down:
            continue
        finding = silence(checkup, url in answering if asked[url] > 1 else None)
        if finding.code == DOWN:
            down.add(url)
            finding = _with_holder(finding, url)
        yield checkup, finding


def _with_holder(finding: Finding, url: str) -> Finding:
    """Name the programs that have the port, where there are any."""
    address = parse_url(url)
    found = holders(Path(address.path)) if isinstance(address, SerialAddress) else []
    if not found:
        return finding
    named = " and ".join(map(str, found))
    return replace(finding, cause=f"the port is held by {named}", next_step="stop that, and read again")


async def other_setting(patient: Patient, known: Sequence[MeterProfile]) -> SerialAddress | None:
    """Give the setting of the line in which a silent meter answers, None where it does in none of the usual ones."""
    address = parse_url(patient.url)
    if not isinstance(address, SerialAddress):
        return None
    asked = probes([patient.profile, *known], line_of(patient.url))
    for setting in settings(f"rtu://{address.path}", (), (), known):
        if setting != address and await _is_there(setting, [replace(probe, unit=patient.unit) for probe in asked]):
            return setting
    return None


async def _is_there(setting: SerialAddress, asked: Sequence[ReadRequest]) -> bool:
    bus = open_bus(str(setting), _PROBE_TIMEOUT_S)
    try:
        for probe in asked:
            if await is_there(bus, probe):
                return True
    except BusError:  # noise, or a setting that the port does not have
        return False
    finally:
        await bus.close()
    return False


def same_meters(checkups: Sequence[Checkup]) -> Iterator[Located]:
    """Tell two entries of one bus that are one meter: some devices answer to every unit id."""
    by_serial: dict[tuple[str, str, float], list[Checkup]] = defaultdict(list)
    for checkup in checkups:
        serial = checkup.values.get("serial_number", math.nan)
        if serial > 0:
            by_serial[checkup.patient.url, checkup.patient.profile.name, serial].append(checkup)
    for (_, _, serial), same in by_serial.items():
        if len(same) > 1:
            named = " and ".join(f"{checkup.patient.id} (unit {checkup.patient.unit})" for checkup in same)
            finding = Finding(
                severity=Severity.FAULT,
                code="same_meter",
                seen=f"{named} have the serial number {shown(serial)}",
                cause="the device answers to more than one unit id, so these are one meter",
                next_step="keep one of them in gateway.toml",
            )
            yield Located(same[1].patient.id, finding)


def loads(buses: Sequence[BusLoad], poll: PollConfig, times: Mapping[str, BusTimes]) -> Iterator[Located]:
    """Tell buses that cannot carry their meters, by the plan and by how fast the meters answered just now."""
    for bus in buses:
        measured = _as_measured(bus, times.get(bus.url))
        for finding in load_findings(
            parse_url(bus.url), measured.tier_s(Tier.FAST), measured.utilisation(poll), poll.period_s
        ):
            yield Located(bus.bus, finding)


def _as_measured(bus: BusLoad, times: BusTimes | None) -> BusLoad:
    """Give the load with answers as late as they were; a meter faster than assumed stays as it is."""
    return replace(bus, meters=tuple(_delayed(meter, bus.line, times) for meter in bus.meters))


def _delayed(meter: MeterLoad, line: Line, times: BusTimes | None) -> MeterLoad:
    unit = times.units.get(meter.unit) if times else None
    every = [request for requests in meter.requests.values() for request in requests]
    if unit is None or not unit.answers or not every:
        return meter
    expected_s = line.turnaround_s + median(line.reply_s(request.count) for request in every)
    late_s = max(0.0, unit.p50_s - expected_s)
    later = {
        tier: tuple(replace(request, wire_s=request.wire_s + late_s) for request in requests)
        for tier, requests in meter.requests.items()
    }
    return replace(meter, requests=later)


def ports(urls: Sequence[str]) -> Iterator[Located]:
    """Tell serial ports whose name may change."""
    for url in dict.fromkeys(urls):
        address = parse_url(url)
        if isinstance(address, SerialAddress):
            for finding in path_findings(address.path, by_id_path(address.path)):
                yield Located(url, finding)
