"""Simulated meters: real register maps over Modbus TCP, RTU over TCP and pseudo-terminals.

Without a clock option the meters live in real UTC, as `flatwatt run` does on the same machine.
With --speed they live in a time of their own that begins at the scenario's start; with --clock
they follow the time that `flatwatt run --fast-motion FILE` drives.

SCENARIO is a file, or the name of one that ships with flatwatt: demo, detection, office, recording.
"""

import argparse
import asyncio
import json
import math
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from firmware_sim.clock import Clock, FollowedClock, PacedClock, WallClock
from firmware_sim.errors import SimError

if TYPE_CHECKING:
    from firmware_sim.scenario import Scenario

HELP = "simulated meters: any profile, physical loads, over Modbus TCP or a pseudo-terminal"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("scenario", metavar="SCENARIO", help="scenario file, or the name of a shipped one")
    clock = parser.add_mutually_exclusive_group()
    clock.add_argument("--clock", metavar="FILE", type=Path, help="follow the time that an agent drives in FILE")
    clock.add_argument("--speed", metavar="N", type=positive, help="a time of its own, N times as fast as the real one")
    parser.add_argument("--start", metavar="ISO", type=_iso, help="begin here, not at the scenario's start; own time")
    parser.add_argument("--control", metavar="PATH", type=Path, help="take orders for faults on a UNIX socket there")
    parser.add_argument("--json", action="store_true", help="one JSON object on one line, once the meters answer")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--truth", metavar="UNTIL", type=_iso, help="print what is truly so until then, and end")
    other.add_argument("--gateway", action="store_true", help="print a gateway.toml for this scenario, and end")
    parser.add_argument("--mqtt", metavar="URL", default="mqtt://127.0.0.1:1883", help="broker, for --gateway")
    parser.add_argument("--state-dir", metavar="DIR", default="state", help="state directory, for --gateway")
    parser.add_argument("--period", metavar="S", type=positive, default=1.0, help="polling period, for --gateway")
    parser.add_argument("--window", metavar="S", type=int, default=900, help="demand interval, for --gateway")


def positive(raw: str) -> float:
    """Read a number above 0."""
    try:
        value = float(raw)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{raw}: expected a number above 0")
    return value


def _iso(raw: str) -> float:
    try:
        moment = datetime.fromisoformat(raw)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{raw}: expected a time such as 2026-01-05T00:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def run(args: argparse.Namespace) -> int:
    """Serve the scenario until a signal, or print what was asked for."""
    from firmware_sim import scenario as scenarios

    try:
        scenario = scenarios.read_scenario(scenarios.find(args.scenario), time.time(), args.start)
        if args.gateway:
            _print_gateway(args, scenario)
        elif args.truth is not None:
            _print_truth(args, scenario)
        else:
            asyncio.run(_serve(args, scenario))
    except SimError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


def _print_gateway(args: argparse.Namespace, scenario: "Scenario") -> None:
    from firmware_sim.gateway import GatewayOptions, gateway_toml

    options = GatewayOptions(
        mqtt_url=args.mqtt,
        state_dir=args.state_dir,
        period_s=args.period,
        slow_period_s=max(60.0, args.period),
        window_s=args.window,
    )
    print(gateway_toml(scenario, {bus.name: bus.url for bus in scenario.buses}, options), end="")  # noqa: T201


def _print_truth(args: argparse.Namespace, scenario: "Scenario") -> None:
    from firmware_sim.plant import Plant
    from firmware_sim.truth import as_json

    found = as_json(Plant(scenario), args.truth)
    if args.json:
        print(json.dumps(found))  # noqa: T201
        return
    for part in (*found["meters"], {"meter": "site"} | found["site"]):
        since = "" if part["since_s"] is None else f" since {_utc(part['since_s'])}"
        share = f"{part['mining_share']:6.1%} mining"
        print(f"{part['meter']:<24} {part['load_kwh']:12.1f} kWh, {part['mining_kwh']:12.1f} kWh = {share}{since}")  # noqa: T201


def _utc(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _clock(args: argparse.Namespace, start_s: float) -> Clock:
    begin_s = start_s if args.start is None else args.start
    if args.clock is not None:
        return FollowedClock(args.clock, begin_s)
    if args.speed is None and args.start is None:
        return WallClock()
    return PacedClock(begin_s, args.speed or 1.0)


async def _serve(args: argparse.Namespace, scenario: "Scenario") -> None:
    from firmware_sim.control import open_control
    from firmware_sim.site import open_site

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = _clock(args, scenario.start_s)
    real_time = args.clock is None and (args.speed or 1.0) == 1.0
    site = await open_site(scenario, clock, real_time)
    try:
        control = await open_control(site, args.control) if args.control else None
        _announce(args, scenario, site.urls, clock.now_s())
        await stop.wait()
        if control is not None:
            await control.close()
    finally:
        await site.close()


def _announce(args: argparse.Namespace, scenario: "Scenario", urls: dict[str, str], now_s: float) -> None:
    if args.json:
        meters = [{"id": m.id, "bus": m.bus, "unit": m.unit, "profile": m.profile} for m in scenario.meters]
        buses = [{"name": name, "url": url} for name, url in urls.items()]
        ready = {"scenario": scenario.name, "start_s": scenario.start_s, "time_s": now_s}
        print(json.dumps(ready | {"buses": buses, "meters": meters}), flush=True)  # noqa: T201
        return
    lines = [f"{scenario.name}: it is {_utc(now_s)}; Ctrl-C ends"]
    for bus, url in urls.items():
        lines.append(f"{bus:<10} {url}")
        lines += [f"  unit {m.unit:<3}  {m.id:<24} {m.profile}" for m in scenario.meters if m.bus == bus]
    print(*lines, sep="\n", flush=True)  # noqa: T201
