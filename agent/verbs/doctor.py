"""Read the meters a few times and say what is wrong with them, their wiring and their bus, and what to do.

    flatwatt doctor -c gateway.toml
    flatwatt doctor 'rtu:///dev/ttyUSB0?baud=9600' --unit 3 --profile eastron_sdm630
    flatwatt doctor tcp://10.0.0.7 --unit 1               without a profile the model is looked for first

It tells: wrong order of words, an address one off, the wrong profile, a scale 10, 100 or 1000 times off,
current transformers that are turned round or on another phase, ratios that cannot be, a phase
without voltage, values that contradict each other, two meters with one unit id, a noisy line, a
silent meter or gateway, a bus too slow for its meters, a port that another program holds or whose
name may change.

Nothing is ever written to a meter. Stop `flatwatt run` first where it uses the same serial port.
Exit code 0: healthy; 1: something was found (notes do not count); 2: wrong input.
"""

import argparse
import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.acquire.bus.times import BusTimes
    from agent.commission.checkup import Checkup, Patient
    from agent.commission.checkup_bus import Located
    from agent.commission.diagnose.finding import Finding
    from agent.config import GatewayConfig
    from agent.records import MeterProfile

HELP = "say what is wrong with meters, wiring and buses, and what to do"

_READINGS = 5  # two meters with one unit id show within a few; a median of five forgives two odd ones
_POWER = "active_power_w"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument(
        "url", nargs="?", metavar="URL", help="the bus of one meter: tcp://HOST[:PORT], rtu:///dev/tty…"
    )
    parser.add_argument("-c", "--config", type=Path, help="every meter of this gateway, instead of a URL")
    parser.add_argument("--unit", type=int, default=1, help="the meter's unit id, with a URL")
    parser.add_argument("--profile", help="the meter's profile or the path of one, with a URL")
    parser.add_argument("--timeout", type=float, default=1.0, metavar="S", help="seconds a reply may take, with a URL")
    parser.add_argument("--readings", type=int, default=_READINGS, metavar="N", help="how often each meter is read")
    parser.add_argument("--try-serial", action="store_true", help="try other settings of the line for a silent meter")
    parser.add_argument("--json", action="store_true", help="write one JSON object")


def run(args: argparse.Namespace) -> int:
    """Examine, and write what was found."""
    from agent.errors import FlatwattError, InputError
    from agent.terminal import say_json

    _check(args)
    try:
        report = asyncio.run(_examine(args))
    except FlatwattError as error:
        if args.json and not isinstance(error, InputError):
            say_json({"ok": False, "complaints": [{"text": str(error)}]})
        raise
    if args.json:
        say_json(report.as_json())
    else:
        _write(report)
    return int(report.is_ill)


def _check(args: argparse.Namespace) -> None:
    from agent.acquire.bus.url import wrong_unit
    from agent.errors import InputError

    if (args.config is None) == (args.url is None):
        raise InputError("name either a bus (URL --unit N --profile NAME) or a configuration (-c gateway.toml)")
    if args.url and (expected := wrong_unit(args.url, args.unit)):
        raise InputError(f"--unit {args.unit} is wrong, expected {expected} on {args.url}")
    if not 0 < args.timeout <= 60:
        raise InputError(f"--timeout {args.timeout:g} is wrong, expected seconds above 0, up to 60")
    if not 2 <= args.readings <= 1000:
        raise InputError(f"--readings {args.readings} is wrong, expected 2 to 1000: one reading compares with nothing")


@dataclass(frozen=True, slots=True)
class _Report:
    """What became of every meter, and every finding, worst first."""

    checkups: "tuple[Checkup, ...]"
    findings: "tuple[Located, ...]"

    def as_json(self) -> dict[str, Any]:
        """Give the report as a program wants it."""
        findings = [{"where": located.where, **asdict(located.finding)} for located in self.findings]
        return {"ok": not self.is_ill, "meters": [_meter(checkup) for checkup in self.checkups], "findings": findings}

    @property
    def is_ill(self) -> bool:
        """Whether anything was found that is more than a note."""
        from agent.commission.diagnose.finding import Severity

        return any(located.finding.severity is not Severity.NOTE for located in self.findings)


def _meter(checkup: "Checkup") -> dict[str, Any]:
    return {
        "meter": checkup.patient.id,
        "url": checkup.patient.url,
        "unit": checkup.patient.unit,
        "profile": checkup.patient.profile.name,
        "answered": checkup.answered,
        _POWER: _plain(checkup.values.get(_POWER, math.nan)),
        "p99_s": _plain(checkup.p99_s),
    }


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.15g}")


async def _examine(args: argparse.Namespace) -> _Report:
    from agent.commission import checkup_bus
    from agent.commission.load import gateway_load
    from agent.config import load_gateway

    config = load_gateway(args.config) if args.config else None
    patients = _listed(config) if config else [await _single(args)]
    checkups, times = await _visit(patients, args.readings)
    located = [checkup_bus.Located(c.patient.id, finding) for c in checkups for finding in c.findings]
    for checkup, finding in checkup_bus.silent(checkups):
        told = await _with_setting(checkup.patient, finding) if args.try_serial else finding
        located.append(checkup_bus.Located(checkup.patient.id, told))
    located += checkup_bus.same_meters(checkups)
    located += checkup_bus.ports([patient.url for patient in patients])
    if config:
        located += checkup_bus.loads(gateway_load(config), config.poll, times)
    return _Report(tuple(checkups), tuple(checkup_bus.worst_first(located)))


@cache
def _known() -> "tuple[MeterProfile, ...]":
    from agent.acquire.profiles.profile import find_profile, profile_names

    return tuple(find_profile(name) for name in profile_names())


def _listed(config: "GatewayConfig") -> "list[Patient]":
    """Give every meter of a configuration."""
    from agent.acquire.profiles.profile import find_profile
    from agent.commission.checkup import Patient

    buses = {bus.name: bus for bus in config.buses}
    return [
        Patient(
            id=meter.id,
            url=buses[meter.bus].url,
            unit=meter.unit,
            profile=find_profile(meter.profile),
            timeout_s=buses[meter.bus].timeout_s,
            exports=meter.role == "generation",
            ct_ratio=meter.ct_ratio,
            vt_ratio=meter.vt_ratio,
            max_power_w=meter.max_power_w,
        )
        for meter in config.meters
    ]


async def _single(args: argparse.Namespace) -> "Patient":
    """Give the one meter of a URL, with the profile that fits best where none is named."""
    from agent.acquire.profiles.profile import find_profile
    from agent.commission.checkup import Patient

    profile = find_profile(args.profile) if args.profile else await _found_profile(args)
    return Patient(id=f"unit {args.unit}", url=args.url, unit=args.unit, profile=profile, timeout_s=args.timeout)


async def _found_profile(args: argparse.Namespace) -> "MeterProfile":
    from agent.acquire.bus.bus import open_bus
    from agent.acquire.bus.line import line_of
    from agent.commission.asking import Asker, gentle_gap_s
    from agent.commission.identify import identify
    from agent.errors import FlatwattError

    bus = open_bus(args.url, args.timeout)
    try:
        identification = await identify(Asker(bus, args.unit, line_of(args.url), gentle_gap_s(args.url)), _known())
    finally:
        await bus.close()
    if not identification.profiles:
        text = f"unit {args.unit} at {args.url}: no answer that a profile fits; name one with --profile"
        raise FlatwattError(f"{text}, or look for the meter with `flatwatt scan {args.url}`")
    return identification.profiles[0]


async def _visit(patients: "Sequence[Patient]", readings: int) -> "tuple[list[Checkup], dict[str, BusTimes]]":
    """Examine one meter after the other; a bus stays open until all are done, so that its times add up."""
    from agent.acquire.bus.bus import open_bus
    from agent.acquire.bus.line import line_of
    from agent.commission.checkup import examine
    from agent.terminal import progress

    buses = {patient.url: open_bus(patient.url, patient.timeout_s) for patient in patients}
    checkups = []
    try:
        for patient in progress(patients, len(patients), "reading"):
            bus = buses[patient.url]
            checkups.append(await examine(bus, patient, line_of(patient.url), readings, _known))
        return checkups, {url: bus.times() for url, bus in buses.items()}
    finally:
        for bus in buses.values():
            await bus.close()


async def _with_setting(patient: "Patient", finding: "Finding") -> "Finding":
    """Look for a silent meter in other settings of its line."""
    from agent.commission.checkup_bus import other_setting
    from agent.commission.diagnose.finding import DOWN

    if finding.code == DOWN:
        return finding
    setting = await other_setting(patient, _known())
    if setting is None:
        return finding
    return replace(
        finding,
        code="wrong_setting",
        cause=f"the meter answers with {setting.baud} baud, parity {setting.parity}",
        next_step=f"write {setting} (all meters of a line have one setting), or set the meter",
    )


def _write(report: _Report) -> None:
    from agent.terminal import counted, say, table

    found = Counter(located.where for located in report.findings)
    table(
        ("meter", "profile", "unit", "active power W", "p99 ms", "findings"),
        [_row(checkup, found[checkup.patient.id]) for checkup in report.checkups],
    )
    for located in report.findings:
        finding = located.finding
        say()
        say(f"{finding.severity}: {located.where}: {finding.code}")
        for word, text in (("seen", finding.seen), ("why", finding.cause), ("do", finding.next_step)):
            say(f"  {word:4} {text}")
    say()
    say("healthy" if not report.is_ill else counted(len(report.findings), "finding", "findings"))


def _row(checkup: "Checkup", found: int) -> tuple[object, ...]:
    from agent.commission.diagnose.finding import shown

    patient = checkup.patient
    p99_ms = "-" if math.isnan(checkup.p99_s) else f"{1000 * checkup.p99_s:.0f}"
    power = shown(checkup.values.get(_POWER, math.nan))
    nothing = "none" if checkup.answered else "-"  # its bus is down, which is told of its first meter
    return patient.id, patient.profile.name, patient.unit, power, p99_ms, found or nothing
