"""The daemon: poll the meters, judge their loads, and report to the centre, until told to stop.

All state lies in the configuration's state_dir: the gateway's key, the spool of records that the
collector has not confirmed, and 430 days of history. It may be killed at any time.
"""

import argparse
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.clock import Clock

HELP = "the daemon: poll, judge, report"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument("-c", "--config", type=Path, default=Path("gateway.toml"), help="the gateway's configuration")
    parser.add_argument("--verbose", action="store_true", help="log what is ordinary as well")
    fast = parser.add_argument_group("fast motion", "for demonstrations and tests, against `flatwatt sim --clock FILE`")
    fast.add_argument("--fast-motion", metavar="FILE", type=Path, help="drive the simulated time in FILE")
    fast.add_argument("--start", metavar="ISO", type=_time_s, help="where the simulated time begins")
    fast.add_argument("--speed", metavar="N", type=float, default=1_000_000, help="simulated seconds a second, at most")
    fast.add_argument(
        "--clock-script", metavar="FILE", type=Path, help="set the clock wrong: lines of TIME step_s=N ..."
    )
    forever = float("inf")
    parser.add_argument("--until", metavar="ISO", type=_time_s, default=forever, help="end then, once all is confirmed")


def run(args: argparse.Namespace) -> int:
    """Compose the daemon and run it."""
    import asyncio
    import os
    from functools import partial

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one thread saves 80 ms at start, and wake-ups
    from agent.config import load_gateway
    from agent.daemon import serve

    level = logging.INFO if args.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")
    return asyncio.run(serve(partial(load_gateway, args.config), _clock(args), args.until))


def _clock(args: argparse.Namespace) -> "Clock":
    from agent.clock import SystemClock
    from agent.errors import InputError

    if args.fast_motion is not None:
        return _driven_clock(args)
    for name, value in (("--start", args.start), ("--clock-script", args.clock_script)):
        if value is not None:
            raise InputError(f"{name} needs --fast-motion FILE: real time begins where it is, and goes as it goes")
    return SystemClock()


def _driven_clock(args: argparse.Namespace) -> "Clock":
    from agent.clock import DrivenClock
    from agent.clock_script import ScriptedClock, read_script
    from agent.errors import InputError

    if args.start is None and not args.fast_motion.exists():
        raise InputError(f"--fast-motion {args.fast_motion}: a new clock needs --start, as 2026-01-05T00:00:00Z")
    if not args.speed > 0:
        raise InputError(f"--speed {args.speed:g} is wrong, expected a number above 0")
    courses = None if args.clock_script is None else read_script(args.clock_script)
    try:
        if courses is not None:
            return ScriptedClock(args.fast_motion, args.start or 0.0, args.speed, courses)
        return DrivenClock(args.fast_motion, args.start or 0.0, args.speed)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"--fast-motion {args.fast_motion}: {why}; name a new file in a folder that exists") from None


def _time_s(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: expected a time such as 2026-01-05T00:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
