"""Show the reads that fetch a meter's registers, and how much of the bus's time they take.

For one meter that need not exist yet:

    flatwatt plan 'rtu:///dev/ttyUSB0?baud=9600' --profile eastron_sdm630 --unit 1

or for every meter of a gateway:

    flatwatt plan -c gateway.toml

Nothing is read. What the gateway has learned of its meters is in its plan: addresses that one of them
refuses, a shorter longest request. Powers, voltages and currents (tier fast) are read every --period seconds, energy
counters and distortion (tier slow) every minute, ratios and serial numbers (tier identity) at the
start and every hour. The time until a reply begins is an assumption about the meter (20 ms on a
serial line, 5 ms on a network).

With --explain each request is shown with the registers that it reads and nobody wants, its bytes,
and the parts of its time: silence, request, waiting for the meter, reply. The plan is then compared
with a request for each value, and with the usual rule that reads across gaps of at most so many
registers (50 is what Telegraf's max_insert does unless told otherwise), under the same limits.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.commission.explain import RequestCost, WayCost
    from agent.commission.load import BusLoad
    from agent.config import PollConfig

HELP = "show the reads of a meter and the time they take on the bus"

_SLOW_PERIOD_S = 60.0  # as a gateway has it unless told otherwise


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument("url", nargs="?", metavar="URL", help="the bus: tcp://HOST[:PORT], rtu:///dev/ttyUSB0, …")
    parser.add_argument("--profile", help="the meter's profile, see `flatwatt profiles`, or the path of one")
    parser.add_argument("--unit", type=int, default=1, help="the meter's unit id, 1 to 247; on TCP also 0 and 255")
    parser.add_argument("-c", "--config", type=Path, help="a gateway's configuration, instead of a URL")
    parser.add_argument("--period", type=float, default=1.0, help="seconds between two polls, with a URL")
    parser.add_argument("--explain", action="store_true", help="show where the time goes, and compare with other ways")
    parser.add_argument("--json", action="store_true", help="write one JSON object")


def run(args: argparse.Namespace) -> int:
    """Plan, and write the requests."""
    from agent.terminal import say_json

    poll, buses = _planned(args)
    if args.json:
        say_json({"period_s": poll.period_s, "buses": [_as_json(bus, poll, args.explain) for bus in buses]})
        return 0
    for bus in buses:
        _write(bus, poll, args.explain)
    return 0


def _planned(args: argparse.Namespace) -> "tuple[PollConfig, tuple[BusLoad, ...]]":
    from agent.acquire.bus.line import line_of
    from agent.acquire.bus.url import wrong_unit
    from agent.acquire.profiles.profile import find_profile
    from agent.commission.load import BusLoad, gateway_load, meter_load
    from agent.config import PollConfig, load_gateway
    from agent.errors import InputError

    if (args.config is None) == (args.url is None):
        raise InputError("name either a bus (URL --profile NAME --unit N) or a configuration (-c gateway.toml)")
    if args.config is not None:
        config = load_gateway(args.config)
        return config.poll, gateway_load(config)
    if args.profile is None:
        raise InputError("--profile is missing; `flatwatt profiles` lists the models")
    if expected := wrong_unit(args.url, args.unit):
        raise InputError(f"--unit {args.unit} is wrong, expected {expected} on {args.url}")
    if not 0 < args.period < float("inf"):
        raise InputError(f"--period {args.period:g} is wrong, expected seconds above 0")
    line = line_of(args.url)
    meter = meter_load(f"unit {args.unit}", args.unit, find_profile(args.profile), line)
    poll = PollConfig(period_s=args.period, slow_period_s=_SLOW_PERIOD_S, window_s=900)
    return poll, (BusLoad(bus=args.url, url=args.url, line=line, meters=(meter,)),)


def _as_json(bus: "BusLoad", poll: "PollConfig", explain: bool) -> dict[str, Any]:
    from dataclasses import asdict

    from agent.commission.explain import request_costs, way_costs

    shortest_s = bus.shortest_period_s(poll.slow_period_s)
    numbers = {
        "bus": bus.bus,
        "url": bus.url,
        "utilisation": round(bus.utilisation(poll), 4),
        "shortest_period_s": round(shortest_s, 6) if shortest_s < float("inf") else None,
        "learned": {meter.meter: meter.learned.sentence() for meter in bus.meters if not meter.learned.empty},
        "requests": [_request(cost) for cost in request_costs(bus)],
    }
    ways = {"ways": [asdict(cost) for cost in way_costs(bus)]} if explain else {}
    return numbers | ways


def _request(cost: "RequestCost") -> dict[str, Any]:
    request = cost.request
    seconds = {name: getattr(cost, name) for name in ("silence_s", "request_s", "turnaround_s", "reply_s")}
    return {
        "meter": cost.meter.meter,
        "unit": request.unit,
        "profile": cost.meter.profile.name,
        "tier": str(cost.tier),
        "function": request.function,
        "address": request.address,
        "count": request.count,
        "wasted": cost.wasted,
        "bytes": cost.bytes_out + cost.bytes_in,
        "bytes_out": cost.bytes_out,
        "bytes_in": cost.bytes_in,
        "wire_s": round(request.wire_s, 6),
        **{name: round(value, 6) for name, value in seconds.items()},
        "values": [register.name for register in request.registers],
    }


def _write(bus: "BusLoad", poll: "PollConfig", explain: bool) -> None:
    from agent.commission.explain import request_costs, way_costs
    from agent.records import Tier
    from agent.terminal import say, table

    say(bus.url if bus.bus == bus.url else f"{bus.bus}  {bus.url}")
    if any(meter.profile.sunspec for meter in bus.meters):
        say("the addresses of a SunSpec meter count from the first register of its model")
    for meter in bus.meters:
        if not meter.learned.empty:
            say(f"learned: {meter.meter} {meter.learned.sentence()}")
    costs = request_costs(bus)
    columns, rows = _explained(costs) if explain else _brief(costs)
    table(columns, rows)
    for tier in Tier:
        of_tier = [cost for cost in costs if cost.tier is tier]
        every = {Tier.FAST: f"{poll.period_s:g} s", Tier.SLOW: f"{poll.slow_period_s:g} s"}.get(tier, "hour")
        say(f"{tier}, every {every}: {_sum(of_tier)}")
    share, shortest_s = bus.utilisation(poll), bus.shortest_period_s(poll.slow_period_s)
    say(f"the bus is busy {share:.1%} of the time" + ("; it cannot carry this plan" if share > 1 else ""))
    if shortest_s < float("inf"):
        say(f"the shortest period that it can carry is {shortest_s:.3g} s, were every reply prompt and none lost")
    if explain:
        say()
        _compare(way_costs(bus))


def _sum(costs: "list[RequestCost]") -> str:
    from agent.terminal import counted

    moved = sum(cost.bytes_out + cost.bytes_in for cost in costs)
    seconds = sum(cost.total_s for cost in costs)
    return f"{counted(len(costs), 'request', 'requests')}, {moved} bytes, {1000 * seconds:.0f} ms"


def _brief(costs: "list[RequestCost]") -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    columns = ("meter", "profile", "tier", "FC", "address", "count", "values", "bytes", "bus ms")
    rows = [
        (*_place(cost), cost.request.count, len(cost.request.registers), cost.bytes_out + cost.bytes_in, _ms(cost))
        for cost in costs
    ]
    return columns, rows


def _explained(costs: "list[RequestCost]") -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    columns = ("meter", "profile", "tier", "FC", "address", "count", "wasted", "values", "out", "in")
    parts = ("silence ms", "request ms", "wait ms", "reply ms", "bus ms")
    rows = [
        (
            *(*_place(cost), cost.request.count, cost.wasted, len(cost.request.registers)),
            *(cost.bytes_out, cost.bytes_in),
            *(1000 * seconds for seconds in (cost.silence_s, cost.request_s, cost.turnaround_s, cost.reply_s)),
            _ms(cost),
        )
        for cost in costs
    ]
    return columns + parts, rows


def _place(cost: "RequestCost") -> tuple[object, ...]:
    where = (cost.request.function, f"{cost.request.address:#06x}")
    return cost.meter.meter, cost.meter.profile.name, str(cost.tier), *where


def _ms(cost: "RequestCost") -> float:
    return 1000 * cost.total_s


def _compare(costs: "list[WayCost]") -> None:
    from agent.terminal import table

    ours = costs[0]
    columns = ("way", "poll: requests", "bytes", "ms", "x ours", "all tiers: requests", "bytes", "ms", "x ours")
    table(
        columns,
        [
            (
                *(cost.way, cost.poll_requests, cost.poll_bytes, 1000 * cost.poll_s, cost.poll_s / ours.poll_s),
                *(cost.full_requests, cost.full_bytes, 1000 * cost.full_s, cost.full_s / ours.full_s),
            )
            for cost in costs
        ],
    )
