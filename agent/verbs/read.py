"""Read a meter once, every register of its profile, and show the values.

    flatwatt read tcp://10.0.0.7 --profile abb_b23
    flatwatt read 'rtu:///dev/ttyUSB0?baud=9600' --profile eastron_sdm630 --unit 3

Nothing is ever written to a meter. A value that the meter does not have, or that is out of any
plausible range, is shown as "-" and is null in JSON. Exit code 1 when the meter does not give
its active power, with the reason; 2 when an argument is wrong.
"""

import argparse
import asyncio
import logging
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.acquire.poll_statistics import MeterStatistics
    from agent.records import MeterProfile, Sample

HELP = "read a meter once and show its values"

_POWER = "active_power_w"
_NEXT_STEPS = {
    "timeout": "check power, wiring (A and B swapped?), unit id, baud and parity, or allow a longer --timeout",
    "exception": "check the unit id, and that the profile fits the model",
    "garbage": "check the address; on a line, baud, parity and termination, and that no other master polls it",
    "range": "check that the profile fits the model, and its byte order",
    "wrong_unit": "check that no two meters have the same unit id",
    "wrong_function": "check that no other master polls the line",
    "wrong_length": "check that the profile fits the model",
    "wrong_transaction": "look for an update of the gateway's firmware; its answers cannot be told apart",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument("url", metavar="URL", help="tcp://HOST[:PORT], rtu:///dev/ttyUSB0?baud=9600, rtu+tcp://…")
    parser.add_argument("--profile", required=True, help="the meter's profile, see `flatwatt profiles`, or its path")
    parser.add_argument("--unit", type=int, default=1, help="the meter's unit id, 0 to 255")
    parser.add_argument("--timeout", type=float, default=1.0, metavar="S", help="seconds a reply may take to begin")
    parser.add_argument("--json", action="store_true", help="write one JSON object with every quantity of the profile")


def run(args: argparse.Namespace) -> int:
    """Poll once and show it."""
    from agent.acquire.profile import find_profile
    from agent.errors import FlatwattError, InputError

    if not 0 <= args.unit <= 255:
        raise InputError(f"--unit {args.unit} is wrong, expected 0 to 255")
    if not 0 < args.timeout <= 60:
        raise InputError(f"--timeout {args.timeout:g} is wrong, expected seconds above 0, up to 60")
    logging.getLogger("agent").addHandler(logging.NullHandler())  # the sample says it
    profile = find_profile(args.profile)
    sample, statistics = asyncio.run(_poll(args.url, args.unit, profile, args.timeout))
    if args.json:
        _write_json(profile, args.unit, sample)
    elif sample.status == "ok":
        _write_table(profile, args.unit, sample, statistics)
    if sample.status != "ok" or math.isnan(sample.values.get(_POWER, math.nan)):
        raise FlatwattError(_complaint(args.url, args.unit, profile, sample, statistics))
    return 0


async def _poll(url: str, unit: int, profile: "MeterProfile", timeout_s: float) -> "tuple[Sample, MeterStatistics]":
    from random import Random

    from agent.acquire.bus import open_bus
    from agent.acquire.line import line_of
    from agent.acquire.make_poller import meter_plan
    from agent.acquire.poller import BusPlan, Poller
    from agent.clock import SystemClock

    plan = meter_plan("meter", unit, profile, line_of(url))
    bus = BusPlan(name=url, bus=open_bus(url, timeout_s), retries=1, meters=(plan,))
    poller = Poller([bus], period_s=1.0, slow_period_s=1.0, random=Random(0))  # noqa: S311
    try:
        (sample,) = await poller.poll(SystemClock().now_s(), None)
    finally:
        await poller.close()
    return sample, poller.statistics().meters["meter"]


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _write_json(profile: "MeterProfile", unit: int, sample: "Sample") -> None:
    from agent.terminal import say_json

    values = {name: sample.values.get(name, math.nan) for name in profile.quantities}
    say_json(
        {
            "profile": profile.name,
            "unit": unit,
            "time": _iso(sample.time_s),
            "status": sample.status,
            "values": {name: _plain(value) for name, value in values.items()},
        }
    )


def _plain(value: float) -> float | None:
    """Give null for NaN, and no digits that scaling made up: 229.7, not 229.70000000000002."""
    return None if math.isnan(value) else float(f"{value:.15g}")


def _write_table(profile: "MeterProfile", unit: int, sample: "Sample", statistics: "MeterStatistics") -> None:
    from agent.quantities import QUANTITIES
    from agent.terminal import say, table

    shown = {name: _shown(sample.values[name]) for name in profile.quantities}
    width = max(map(len, shown.values()))
    say(f"{profile.maker} {profile.model}, unit {unit}, {_iso(sample.time_s)}")
    table(
        ("quantity", "value".rjust(width), "unit", "meaning"),
        [(name, text.rjust(width), QUANTITIES[name].unit, QUANTITIES[name].text) for name, text in shown.items()],
    )
    for line in _remarks(profile, sample, statistics):
        say(line)


def _remarks(profile: "MeterProfile", sample: "Sample", statistics: "MeterStatistics") -> list[str]:
    """Say what else one should know of a meter that answered."""
    remarks = [
        f"note: {name} is {_shown(sample.values[name])}, a {profile.model} says "
        f"{' or '.join(map(_shown, expected))}: check that the profile fits the model"
        for name, expected in profile.identity.items()
        if sample.values[name] not in expected
    ]
    if statistics.failures:
        remarks.append(f"note: not every request was answered: {statistics.last_error}")
    if statistics.out_of_range:
        remarks.append(f"note: {statistics.out_of_range} values are not plausible: check that the profile fits")
    return remarks


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}".rstrip("0").rstrip(".")


def _complaint(url: str, unit: int, profile: "MeterProfile", sample: "Sample", statistics: "MeterStatistics") -> str:
    """Say what, where, why, and the next step."""
    if sample.status == "range":
        why = "what it says is impossible"
    elif sample.status == "ok":
        why = 'it answers "not available", or its profile knows no such register'
    else:
        why = statistics.last_error
    if next_step := _NEXT_STEPS.get(sample.status):
        why = f"{why}; {next_step}"
    return f"unit {unit} ({profile.name}) at {url} gave no active power: {why}"
