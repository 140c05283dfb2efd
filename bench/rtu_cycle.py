"""How long our bus needs for a full read over a serial line that is true to time, beside what the plan computed."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.acquire.bus.bus import open_bus
from agent.acquire.bus.line import line_of
from agent.acquire.plan.plan import bus_s, plan
from agent.acquire.profiles.profile import find_profile
from agent.records import ReadRequest, Tier
from firmware_sim.testing import one_bus

_CASES = (
    ("eastron_sdm630", 9600),
    ("carlo_gavazzi_em340", 9600),
    ("schneider_pm5110", 19200),
    ("abb_b23", 19200),
    ("inepro_pro380", 2400),
    ("janitza_umg_96rm", 38400),
)
_CYCLES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One model on one line: seconds for a full read."""

    profile: str
    baud: int
    requests: int
    computed_s: float
    measured_s: float


def cycles() -> list[Cycle]:
    """Measure all cases, one after the other."""
    return [_cycle(*case) for case in _CASES]


def _cycle(profile: str, baud: int) -> Cycle:
    with tempfile.TemporaryDirectory() as name:
        url = f"rtu://{name}/line?baud={baud}"
        scenario = Path(name) / "scenario.toml"
        scenario.write_text(one_bus(profile, url=url))
        requests, line = plan(find_profile(profile), 1, tuple(Tier), line_of(url)), line_of(url)
        words = [str(Path(sys.executable).with_name("flatwatt")), "sim", str(scenario), "--json"]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as simulator:
            assert simulator.stdout is not None
            simulator.stdout.readline()  # it prints where it serves
            try:
                measured_s = asyncio.run(_read_again_and_again(url, requests))
            finally:
                simulator.terminate()
    return Cycle(
        profile=profile,
        baud=baud,
        requests=len(requests),
        computed_s=bus_s(requests, line),
        measured_s=measured_s,
    )


async def _read_again_and_again(url: str, requests: Sequence[ReadRequest]) -> float:
    """Give the mean seconds of a full read; a read that fails ends the program."""
    bus = open_bus(url, 1.0)
    try:
        for request in requests:  # connect
            await bus.read(request)
        began_s = time.perf_counter()
        for _ in range(_CYCLES):
            for request in requests:
                await bus.read(request)
        return (time.perf_counter() - began_s) / _CYCLES
    finally:
        await bus.close()


def section() -> str:
    """Give the measured cycles as a section of the page."""
    found = cycles()
    worst = max(abs(each.measured_s / each.computed_s - 1) for each in found)
    lines = [
        "## A serial line",
        "",
        f"A full read of one meter, request after request, {_CYCLES} times, on a simulated serial line that is true to "
        "time: characters at the line's speed, 20 ms until the meter answers, the silence that the model wants "
        f"(`bench/rtu_cycle.py`). The largest difference from the computed time is **{100 * worst:.1f} %**.",
        "",
        "| profile | baud | requests | computed | measured | difference |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {each.profile} | {each.baud} | {each.requests} | {1000 * each.computed_s:.1f} ms "
        f"| {1000 * each.measured_s:.1f} ms | {100 * (each.measured_s / each.computed_s - 1):+.1f} % |"
        for each in found
    ]
    return "\n".join([*lines, ""])
