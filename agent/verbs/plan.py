"""Show the reads that fetch a meter's registers, and how much of the bus's time they take.

For one meter that need not exist yet:

    flatwatt plan 'rtu:///dev/ttyUSB0?baud=9600' --profile eastron_sdm630 --unit 1

or for every meter of a gateway:

    flatwatt plan -c gateway.toml

Nothing is read. Powers, voltages and currents (tier fast) are read every --period seconds, energy
counters and distortion (tier slow) every minute, ratios and serial numbers (tier identity) at the
start and every hour. The time of a reply is an assumption about the meter (20 ms on a serial
line, 5 ms on a network).
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.acquire.load import BusLoad, MeterLoad
    from agent.config import PollConfig
    from agent.records import ReadRequest, Tier

HELP = "show the reads of a meter and the time they take on the bus"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument("url", nargs="?", metavar="URL", help="the bus: tcp://HOST[:PORT], rtu:///dev/ttyUSB0, …")
    parser.add_argument("--profile", help="the meter's profile, see `flatwatt profiles`, or the path of one")
    parser.add_argument("--unit", type=int, default=1, help="the meter's unit id, 1 to 247")
    parser.add_argument("-c", "--config", type=Path, help="a gateway's configuration, instead of a URL")
    parser.add_argument("--period", type=float, default=1.0, help="seconds between two polls, with a URL")
    parser.add_argument("--json", action="store_true", help="write one JSON object")


def run(args: argparse.Namespace) -> int:
    """Plan, and write the requests."""
    from agent.terminal import say_json

    poll, buses = _planned(args)
    if args.json:
        say_json({"period_s": poll.period_s, "buses": [_as_json(bus, poll) for bus in buses]})
        return 0
    for bus in buses:
        _write(bus, poll)
    return 0


def _planned(args: argparse.Namespace) -> "tuple[PollConfig, tuple[BusLoad, ...]]":
    from agent.acquire.line import line_of
    from agent.acquire.load import BusLoad, gateway_load, meter_load
    from agent.acquire.profile import find_profile
    from agent.config import PollConfig, load_gateway
    from agent.errors import InputError

    if (args.config is None) == (args.url is None):
        raise InputError("name either a bus (URL --profile NAME --unit N) or a configuration (-c gateway.toml)")
    if args.config is not None:
        config = load_gateway(args.config)
        return config.poll, gateway_load(config)
    if args.profile is None:
        raise InputError("--profile is missing; `flatwatt profiles` lists the models")
    if not 1 <= args.unit <= 247:
        raise InputError(f"--unit {args.unit} is wrong, expected 1 to 247")
    if not args.period > 0:
        raise InputError(f"--period {args.period:g} is wrong, expected seconds above 0")
    line = line_of(args.url)
    meter = meter_load(f"unit {args.unit}", args.unit, find_profile(args.profile), line)
    poll = PollConfig(period_s=args.period, slow_period_s=60.0, window_s=900)
    return poll, (BusLoad(bus=args.url, url=args.url, line=line, meters=(meter,)),)


def _as_json(bus: "BusLoad", poll: "PollConfig") -> dict[str, Any]:
    requests = [_request(bus, *item) for item in _requests(bus)]
    return {"bus": bus.bus, "url": bus.url, "utilisation": round(bus.utilisation(poll), 4), "requests": requests}


def _requests(bus: "BusLoad") -> "list[tuple[MeterLoad, Tier, ReadRequest]]":
    """Give every request of a bus in the order in which it is asked."""
    return [(m, tier, request) for m in bus.meters for tier, requests in m.requests.items() for request in requests]


def _request(bus: "BusLoad", meter: "MeterLoad", tier: "Tier", request: "ReadRequest") -> dict[str, Any]:
    return {
        "meter": meter.meter,
        "unit": request.unit,
        "profile": meter.profile.name,
        "tier": str(tier),
        "function": request.function,
        "address": request.address,
        "count": request.count,
        "bytes": bus.line.frame_bytes + 2 * request.count,
        "wire_s": round(request.wire_s, 6),
        "values": [register.name for register in request.registers],
    }


def _write(bus: "BusLoad", poll: "PollConfig") -> None:
    from agent.records import Tier
    from agent.terminal import say, table

    say(bus.url if bus.bus == bus.url else f"{bus.bus}  {bus.url}")
    rows = [_request(bus, *item) for item in _requests(bus)]
    keys = ("meter", "profile", "tier", "function", "count", "bytes")
    table(
        (*keys, "address", "values", "wire ms"),
        [
            (*(row[key] for key in keys), f"{row['address']:#06x}", len(row["values"]), 1000 * row["wire_s"])
            for row in rows
        ],
    )
    fast_ms, slow_ms = 1000 * bus.tier_s(Tier.FAST), 1000 * bus.tier_s(Tier.SLOW)
    say(f"fast: {fast_ms:.0f} ms every {poll.period_s:g} s, slow: {slow_ms:.0f} ms every {poll.slow_period_s:g} s")
    share = bus.utilisation(poll)
    say(f"the bus is busy {share:.1%} of the time" + ("; it cannot carry this plan" if share > 1 else ""))
