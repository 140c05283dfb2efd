"""Check a gateway's configuration without touching a meter or the broker.

Every mistake is written as FILE:LINE: KEY: what is wrong and what was expected, all of them at
once, and the exit code is 2. Where there is none, a summary says how many meters each bus carries
and how much of the time reading them keeps it busy. A warning is a doubt and no mistake: a bus that
cannot carry its meters, a transformer ratio that the meter applies as well, a serial setting that is
not the meter's own, a feeder that can carry more than the one that feeds it.
"""

import argparse
from pathlib import Path
from typing import Any

HELP = "find every mistake in a gateway's configuration"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument("-c", "--config", type=Path, default=Path("gateway.toml"), help="the configuration to check")
    parser.add_argument("--json", action="store_true", help="write one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check, and write the summary or, for a program, what is wrong."""
    from agent.terminal import say_json

    summary = _summary(args.config)
    if args.json:
        say_json(summary)
    else:
        _write(summary)
    return 0


def _summary(path: Path) -> dict[str, Any]:
    from agent.commission.doubts import doubts
    from agent.commission.load import gateway_load
    from agent.config import load_gateway
    from agent.records import Tier

    config = load_gateway(path)
    loads = gateway_load(config)
    buses = [
        {
            "name": load.bus,
            "url": load.url,
            "meters": len(load.meters),
            "profiles": sorted({meter.profile.name for meter in load.meters}),
            "poll_s": round(load.tier_s(Tier.FAST), 4),
            "utilisation": round(load.utilisation(config.poll), 4),
        }
        for load in loads
    ]
    warnings = list(doubts(config, loads))
    counts = {"meters": len(config.meters), "period_s": config.poll.period_s, "window_s": config.poll.window_s}
    return {"ok": True, "config": str(path), "gateway": config.id, **counts, "buses": buses, "warnings": warnings}


def _write(summary: dict[str, Any]) -> None:
    from agent.terminal import counted, say, table

    buses, meters = summary["buses"], counted(summary["meters"], "meter", "meters")
    on = counted(len(buses), "bus", "buses")
    say(f"{summary['config']}: OK, gateway {summary['gateway']}, {meters} on {on}")
    table(
        ("bus", "url", "meters", "poll ms", "busy %", "profiles"),
        [
            (b["name"], b["url"], b["meters"], 1000 * b["poll_s"], 100 * b["utilisation"], ", ".join(b["profiles"]))
            for b in buses
        ],
    )
    for warning in summary["warnings"]:
        say(f"warning: {warning}")
