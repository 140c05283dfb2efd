"""Find the meters on a bus and tell their models, and write a configuration for them.

    flatwatt scan rtu:///dev/ttyUSB0                            every usual setting, unit ids 1 to 247
    flatwatt scan rtu:///dev/ttyUSB0 --baud 9600 --units 1-20   sooner done
    flatwatt scan tcp://192.168.1.10-40 -o gateway.toml         hosts that differ in the last number
    flatwatt scan tcp://192.168.1.0/28 rtu+tcp://10.0.0.9:4001

Nothing is ever written to a meter. A unit is there when anything valid answers, be it a refusal. Its
model is found by the code that it says of itself, by SunSpec, or else by voltage and frequency: then
there are only candidates, best first, and the type plate decides.

On a line, the unit ids 1 to 8 are tried in every setting first; once one meter answers, the others are
looked for in its setting only. On TCP the unit ids are 1 to 10, 247, 255, 0, 71 and 100 unless --units
says otherwise. Ctrl-C shows what was found so far. While the line is scanned nobody else may ask on
it: stop `flatwatt run` first. Exit code 1 when no meter was found.
"""

import argparse
import asyncio
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.acquire.bus.bus import Bus
    from agent.commission.scan.scan import FoundMeter, Step
    from agent.records import MeterProfile, ReadRequest

HELP = "find the meters on a bus, tell their models, write a configuration"

_SERIAL_TIMEOUT_S = 0.3  # most meters answer within 0.1 s; --timeout for the slowest, which take 0.5 s
_TCP_TIMEOUT_S = 1.0  # a gateway waits for its meter first
_AT_ONCE = 32  # hosts: a gentle number of connections under way


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument(
        "targets", nargs="+", metavar="TARGET", help="tcp://HOST, tcp://A.B.C.D-E, rtu:///dev/ttyUSB0 …"
    )
    parser.add_argument("--units", metavar="LIST", help="unit ids to try, such as 1-247 or 1-10,71")
    parser.add_argument("--baud", metavar="LIST", help="baud rates to try on a line, such as 9600,19200")
    parser.add_argument("--parity", metavar="LIST", help="parities to try on a line, such as N,E")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds a reply may take; 0.3 on a line, 1 on TCP")
    parser.add_argument("-o", "--output", metavar="FILE", help="write a gateway.toml; - writes it to standard output")
    parser.add_argument("--json", action="store_true", help="write one JSON list of what was found")


def run(args: argparse.Namespace) -> int:
    """Scan, and show what was found."""
    from agent.acquire.profiles.profile import find_profile, profile_names
    from agent.commission.scan.draft import check_output
    from agent.errors import InputError

    if args.timeout is not None and not 0 < args.timeout <= 60:
        raise InputError(f"--timeout {args.timeout:g} is wrong, expected seconds above 0, up to 60")
    if args.output == "-" and args.json:
        raise InputError("--json and --output - both write to standard output; name a file, or leave one out")
    if args.output not in (None, "-"):
        check_output(Path(args.output))
    profiles = [find_profile(name) for name in profile_names()]
    found: list[FoundMeter] = []
    scan = _Scan(args, profiles, found)
    interrupted = False
    try:
        asyncio.run(scan.all())
    except KeyboardInterrupt:
        interrupted = True
        _tell("stopped; this was found so far")
    _show(args, sorted(found, key=lambda meter: (meter.url, meter.unit)))
    return 1 if interrupted or not found else 0


class _Scan:
    """The targets of one call; ``found`` grows while it goes on."""

    def __init__(self, args: argparse.Namespace, profiles: "Sequence[MeterProfile]", found: "list[FoundMeter]") -> None:
        from agent.commission.scan import targets as targets

        self._profiles, self._found, self._timeout_s = profiles, found, args.timeout
        self._units = targets.units(args.units) if args.units else ()
        only_bauds = targets.bauds(args.baud) if args.baud else ()
        only_parities = targets.parities(args.parity) if args.parity else ()
        lines = [target for target in args.targets if target.startswith("rtu://")]
        self._lines = {target: targets.settings(target, only_bauds, only_parities, profiles) for target in lines}
        named = [targets.hosts(target) for target in args.targets if target not in lines]
        self._hosts = tuple(dict.fromkeys(host for hosts in named for host in hosts))

    async def all(self) -> None:
        """Scan every target, hosts first: they are quick."""
        if self._hosts:
            await self._scan_hosts()
        for target in self._lines:
            await self._scan_line(target)

    async def _scan_hosts(self) -> None:
        from agent.commission.scan.targets import TCP_UNITS
        from agent.terminal import counted, progress

        units = self._units or TCP_UNITS
        timeout_s = self._timeout_s or _TCP_TIMEOUT_S
        rounds = math.ceil(len(self._hosts) / _AT_ONCE)
        _tell(
            f"{counted(len(self._hosts), 'host', 'hosts')}, {counted(len(units), 'unit id', 'unit ids')} each: about "
            f"{_duration(rounds * timeout_s)}, up to {_duration(2 * rounds * len(units) * timeout_s)} where they answer"
        )
        gate = asyncio.Semaphore(_AT_ONCE)
        tasks = [asyncio.create_task(self._scan_host(host, units, timeout_s, gate)) for host in self._hosts]
        for task in progress(asyncio.as_completed(tasks), len(tasks), "hosts"):
            await task

    async def _scan_host(self, url: str, units: Sequence[int], timeout_s: float, gate: asyncio.Semaphore) -> None:
        from agent.acquire.bus.bus import open_bus
        from agent.acquire.bus.line import line_of
        from agent.commission.scan.scan import host_units, meet, probes
        from agent.errors import BusDownError, BusError

        line, garbled = line_of(url), list[BusError]()
        async with gate:
            bus = open_bus(url, timeout_s)
            try:
                async for unit in host_units(bus, units, probes(self._profiles, line), garbled):
                    self._found.append(await meet(bus, url, unit, line, self._profiles))
            except BusDownError as error:
                if len(self._hosts) == 1:
                    _tell(f"{url}: {error}")
            finally:
                await bus.close()
        if garbled:
            _tell(f"{url}: {garbled[0]}; is it the other of tcp:// and rtu+tcp://?")

    async def _scan_line(self, target: str) -> None:
        from agent.acquire.bus.line import line_of
        from agent.commission.scan.scan import line_steps, probes
        from agent.commission.scan.targets import SERIAL_UNITS
        from agent.terminal import counted

        urls = tuple(map(str, self._lines[target]))
        timeout_s = self._timeout_s or _SERIAL_TIMEOUT_S
        units = self._units or SERIAL_UNITS
        steps = line_steps(urls, units, probes(self._profiles, line_of(urls[0])))
        all_s = len(steps) * _question_s(timeout_s)
        _tell(
            f"{target}: {counted(len(urls), 'setting', 'settings')}, {counted(len(units), 'unit id', 'unit ids')}: "
            f"at most {_duration(all_s)}, about {_duration(all_s / len(urls))} once a meter has answered"
        )
        await self._ask_line(target, steps, _Line(self._profiles, timeout_s))

    async def _ask_line(self, target: str, steps: "Sequence[Step]", line: "_Line") -> None:
        from agent.commission.scan.scan import worth_asking
        from agent.terminal import progress

        present: list[tuple[str, int]] = []
        try:
            for step in progress(worth_asking(steps, present, line.refused), len(steps), target):
                if meter := await line.ask(step.url, step.unit, step.probe):
                    present.append((step.url, step.unit))
                    self._found.append(meter)
                    _tell(f"unit {step.unit} answers at {step.url}")
        finally:
            await line.close()
        if len(line.refused) == len({step.url for step in steps}) or any(url in line.refused for url, _ in present):
            _tell(f"{target}: {next(iter(line.refused.values()))}")
        urls = {url for url, _ in present}  # once the setting is known, damage in the others is no news
        for url, unit in sorted(line.garbled):
            if not urls or url in urls:
                _tell(f"unit {unit} at {url}: damaged answers: two meters with this unit id, or a wrong setting?")


class _Line:
    """A serial port that is opened in one setting after the other."""

    def __init__(self, profiles: "Sequence[MeterProfile]", timeout_s: float) -> None:
        self.garbled: set[tuple[str, int]] = set()
        self.refused: dict[str, str] = {}  # settings in which the port cannot be opened, and why
        self._profiles, self._timeout_s = profiles, timeout_s
        self._url = ""
        self._bus: Bus | None = None

    async def ask(self, url: str, unit: int, probe: "ReadRequest") -> "FoundMeter | None":
        """Give the meter, if it is there."""
        from agent.acquire.bus.bus import open_bus
        from agent.acquire.bus.line import line_of
        from agent.commission.scan.scan import is_there, meet
        from agent.errors import BusDownError, BusError

        if self._bus is None or url != self._url:
            await self.close()
            self._bus, self._url = open_bus(url, self._timeout_s), url
        bus = self._bus
        try:
            if await is_there(bus, probe):
                return await meet(bus, url, unit, line_of(url), self._profiles)
        except BusDownError as error:
            self.refused[url] = str(error)
        except BusError:
            self.garbled.add((url, unit))
        return None

    async def close(self) -> None:
        """Let go of the port."""
        if self._bus is not None:
            await self._bus.close()


def _question_s(timeout_s: float) -> float:
    """Give what a question to a unit that is not there takes, about: the time-out and the bytes at 9600 baud."""
    return timeout_s + 0.02


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _show(args: argparse.Namespace, found: "Sequence[FoundMeter]") -> None:
    from agent.commission.scan.draft import draft, save
    from agent.terminal import say, say_json

    text = draft(found, _stable_paths(found))
    if args.output == "-":
        say(text.rstrip("\n"))
        return
    if args.json:
        say_json([_as_json(meter) for meter in found])
    else:
        _write_table(found)
    if args.output and any(meter.profile for meter in found):
        save(Path(args.output), text)
        _tell(f"{args.output} is written; complete its names, then `flatwatt check -c {args.output}`")


def _stable_paths(found: "Sequence[FoundMeter]") -> dict[str, str]:
    """Give the names of serial ports that stay the same wherever the adapter is plugged in."""
    from agent.acquire.bus.url import SerialAddress, by_id_path, parse_url

    addresses = [parse_url(url) for url in dict.fromkeys(meter.url for meter in found)]
    paths = [address.path for address in addresses if isinstance(address, SerialAddress)]
    return {path: stable for path in paths if (stable := by_id_path(path))}


def _as_json(meter: "FoundMeter") -> dict[str, Any]:
    profiles = [profile.name for profile in meter.identification.profiles]
    return {
        "url": meter.url,
        "unit": meter.unit,
        "sure": str(meter.identification.sure),
        "why": meter.identification.why,
        "profiles": profiles,
        "serial_number": None if math.isnan(meter.serial_number) else meter.serial_number,
        "active_power_w": None if math.isnan(meter.active_power_w) else meter.active_power_w,
    }


def _write_table(found: "Sequence[FoundMeter]") -> None:
    """Write a row for each meter; the address stands above where it is the same for all."""
    from agent.commission.diagnose.finding import shown
    from agent.terminal import counted, say, table

    urls = {meter.url for meter in found}
    if len(urls) == 1:
        say(*urls)
    columns = ["unit", "model", "how sure", "serial number", "active power W"]
    rows: list[tuple[object, ...]] = [
        (m.unit, _model(m), m.identification.why, shown(m.serial_number), shown(m.active_power_w)) for m in found
    ]
    if len(urls) > 1:
        columns = ["address", *columns]
        rows = [(meter.url, *row) for meter, row in zip(found, rows, strict=True)]
    if rows:
        table(columns, rows)
    say(f"{counted(len(rows), 'meter', 'meters')} found")


def _model(meter: "FoundMeter") -> str:
    from agent.terminal import counted

    if not meter.identification.profiles:
        return "?"
    best, *others = meter.identification.profiles
    return f"{best.maker} {best.model}" + (f", or {counted(len(others), 'other', 'others')}" if others else "")
