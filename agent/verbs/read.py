"""Read a meter once, every register of its profile, and show the values with a judgement of each.

    flatwatt read tcp://10.0.0.7 --profile abb_b23
    flatwatt read 'rtu:///dev/ttyUSB0?baud=9600' --profile eastron_sdm630 --unit 3

A value is "ok", "not available" (the meter says so), "impossible" (outside the range of its
quantity), "unusual" (no mains have it) or "contradicts" another value: the phases sum to the total,
|P| is at most S, PF is P / S, and S of a phase is U times I. A load that switches between two
requests contradicts itself once; `flatwatt doctor` reads several times and says what is wrong.

Nothing is ever written to a meter. A value that is not available or impossible is shown as "-" and is
null in JSON. Exit code 1 when the meter does not give its active power, with the reason; 2 when an
argument is wrong.
"""

import argparse
import asyncio
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.commission.readout import Readout
    from agent.records import MeterProfile

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
    parser.add_argument("--unit", type=int, default=1, help="the meter's unit id, 1 to 247; on TCP also 0 and 255")
    parser.add_argument("--timeout", type=float, default=1.0, metavar="S", help="seconds a reply may take to begin")
    parser.add_argument("--json", action="store_true", help="write one JSON object with every quantity of the profile")


def run(args: argparse.Namespace) -> int:
    """Poll once and show it."""
    from agent.acquire.bus.url import wrong_unit
    from agent.acquire.profiles.profile import find_profile
    from agent.errors import FlatwattError, InputError

    if expected := wrong_unit(args.url, args.unit):
        raise InputError(f"--unit {args.unit} is wrong, expected {expected} on {args.url}")
    if not 0 < args.timeout <= 60:
        raise InputError(f"--timeout {args.timeout:g} is wrong, expected seconds above 0, up to 60")
    profile = find_profile(args.profile)
    now_s, readout = asyncio.run(_read(args.url, args.unit, profile, args.timeout))
    status = _status(readout)
    if args.json:
        _write_json(profile, args.unit, now_s, status, readout)
    elif status == "ok":
        _write_table(profile, args.unit, now_s, readout)
    if status != "ok" or math.isnan(readout.values.get(_POWER, math.nan)):
        raise FlatwattError(_complaint(args.url, args.unit, profile, status, readout))
    return 0


async def _read(url: str, unit: int, profile: "MeterProfile", timeout_s: float) -> "tuple[float, Readout]":
    from agent.acquire.bus.bus import open_bus
    from agent.acquire.bus.line import line_of
    from agent.clock import SystemClock
    from agent.commission.readout import MeterReader

    bus = open_bus(url, timeout_s)
    try:
        return SystemClock().now_s(), await MeterReader(bus, profile, unit, line_of(url)).read()
    finally:
        await bus.close()


def _status(readout: "Readout") -> str:
    """Tell of the active power as a sample does: ok, range, or the reason why it was not read."""
    if _POWER in readout.impossible:
        return "range"
    error = readout.unread.get(_POWER)
    return str(error.reason) if error else "ok"


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _write_json(profile: "MeterProfile", unit: int, now_s: float, status: str, readout: "Readout") -> None:
    from agent.terminal import say_json

    values = {name: readout.values.get(name, math.nan) for name in profile.quantities}
    say_json(
        {
            "profile": profile.name,
            "unit": unit,
            "time": _iso(now_s),
            "status": status,
            "values": {name: _plain(value) for name, value in values.items()},
        }
    )


def _plain(value: float) -> float | None:
    """Give null for NaN, and no digits that scaling made up: 229.7, not 229.70000000000002."""
    return None if math.isnan(value) else float(f"{value:.15g}")


def _write_table(profile: "MeterProfile", unit: int, now_s: float, readout: "Readout") -> None:
    from agent.commission.diagnose.finding import shown
    from agent.commission.diagnose.map import identity_findings
    from agent.commission.diagnose.wiring import wiring_findings
    from agent.quantities import QUANTITIES
    from agent.terminal import say, table

    values = {name: shown(readout.values.get(name, math.nan)) for name in profile.quantities}
    width = max(map(len, values.values()))
    say(f"{profile.maker} {profile.model}, unit {unit}, {_iso(now_s)}")
    table(
        ("quantity", "value".rjust(width), "unit", "judgement"),
        [(name, text.rjust(width), QUANTITIES[name].unit, _judged(name, readout)) for name, text in values.items()],
    )
    for finding in (*identity_findings(profile, readout.values), *wiring_findings(readout.values)):
        say(f"note: {finding.seen}: {finding.cause}")
    if readout.failures:
        say(f"note: not every request was answered: {readout.failures[-1]}")


def _judged(name: str, readout: "Readout") -> str:
    from agent.commission.diagnose.values import judgement

    error = readout.unread.get(name)
    return f"no answer: {error}" if error else judgement(name, readout.values, readout.impossible)


def _complaint(url: str, unit: int, profile: "MeterProfile", status: str, readout: "Readout") -> str:
    """Say what, where, why, and the next step."""
    if status == "range":
        why = "what it says is impossible"
    elif status == "ok":
        why = 'it answers "not available", or its profile knows no such register'
    else:
        why = str(readout.unread[_POWER])
    if next_step := _NEXT_STEPS.get(status):
        why = f"{why}; {next_step}"
    return f"unit {unit} ({profile.name}) at {url} gave no active power: {why}"
