"""Time on the wire to read every quantity of a model once at 9600 baud: our plan, the least, and the usual ways.

The least possible is found a second time here, without the planner's code: every legal block is listed address by
address, and the cheapest set of blocks that covers all values is searched with memory. For maps small enough to try
every cut, tests/agent/acquire/plan/test_plan.py compares both with brute force.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from agent.acquire.bus.line import Line
from agent.acquire.plan.heuristics import max_gap, one_a_value
from agent.acquire.plan.plan import bus_s, plan
from agent.acquire.profiles.profile import find_profile, profile_names
from agent.records import MeterProfile, Register, Tier

LINE = Line.rtu(9600)
_TELEGRAF_FILL = 50  # registers: the default of its optimization_max_register_fill
_UNIT = 1

Cost = Callable[[int], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireTime:
    """Reading every value of one model once: seconds on the wire, and requests."""

    profile: str
    values: int
    ours_s: float
    ours: int
    least_s: float
    one_a_value_s: float
    one_a_value: int
    telegraf_s: float
    telegraf: int


def wire_time(profile: MeterProfile, line: Line) -> WireTime:
    """Plan one model in full in every way."""
    tiers = tuple(Tier)
    ours = plan(profile, _UNIT, tiers, line)
    singles = one_a_value(profile, _UNIT, tiers, line)
    telegraf = max_gap(profile, _UNIT, tiers, line, _TELEGRAF_FILL)
    return WireTime(
        profile=profile.name,
        values=len(profile.registers),
        ours_s=bus_s(ours, line),
        ours=len(ours),
        least_s=least_s(profile, line),
        one_a_value_s=bus_s(singles, line),
        one_a_value=len(singles),
        telegraf_s=bus_s(telegraf, line),
        telegraf=len(telegraf),
    )


def least_s(profile: MeterProfile, line: Line) -> float:
    """Give the least time in which every value of ``profile`` can be read within its limits."""
    wait_s = max(0.0, profile.min_gap_ms / 1000 - line.silence_s)

    def cost(count: int) -> float:
        return line.wire_s(count) + wait_s

    alone = [register for register in profile.registers if register.name in profile.single]
    shared = sorted(
        (register for register in profile.registers if register.name not in profile.single),
        key=lambda register: (register.function, register.address),
    )
    total = sum(cost(_span(profile, (register,))) for register in alone)
    for _, group in groupby(shared, key=lambda register: register.function):
        total += _cover(profile, tuple(group), cost)
    return total


def _cover(profile: MeterProfile, registers: tuple[Register, ...], cost: Cost) -> float:
    listed = {
        register.address + offset
        for register in profile.registers
        if register.function == registers[0].function and register.name not in profile.single
        for offset in range(register.count)
    }

    @cache
    def rest(first: int) -> float:
        """Give the least time for the registers from ``first`` on."""
        if first == len(registers):
            return 0.0
        return min(
            cost(_span(profile, registers[first:end])) + rest(end)
            for end in range(first + 1, len(registers) + 1)
            if end == first + 1 or _legal(profile, registers[first:end], listed)
        )

    return rest(0)


def _legal(profile: MeterProfile, registers: Sequence[Register], listed: set[int]) -> bool:
    """Tell whether one request may read these: not too long, no forbidden address, no gap too long."""
    if _span(profile, registers) > profile.max_registers:
        return False
    gap = 0
    for address in range(registers[0].address, registers[-1].address + registers[-1].count):
        gap = 0 if address in listed else gap + 1
        if profile.max_gap is not None and gap > profile.max_gap:
            return False
        if any(low <= address <= high for low, high in profile.forbidden):
            return False
    return True


def _span(profile: MeterProfile, registers: Sequence[Register]) -> int:
    """Give the length of the block that holds these registers, even where it must be."""
    first, end = registers[0].address, registers[-1].address + registers[-1].count
    return (end + end % 2) - (first - first % 2) if profile.even_blocks else end - first


def section() -> str:
    """Give every shipped profile as a section of the page."""
    found = [wire_time(find_profile(name), LINE) for name in profile_names()]
    optimal = sum(abs(each.ours_s - each.least_s) < 1e-9 for each in found)
    lines = [
        "## Time on the wire",
        "",
        f"Every value of a model read once at 9600 baud, 8N1, within the limits of its profile, as milliseconds on the "
        f"wire with {1000 * LINE.turnaround_s:.0f} ms until a meter answers, and requests (`bench/wire_time.py`). "
        "*Least* is found a second time without the planner's code. *Telegraf's rule* is one pass that reads across "
        f"holes of up to {_TELEGRAF_FILL} registers, as its documentation describes `max_insert`, held to the same "
        f"limits. **{optimal} of {len(found)} plans are optimal**; in all, a request a value takes "
        f"{_sum(found, 'one_a_value_s') / _sum(found, 'ours_s'):.1f} times and Telegraf's rule "
        f"{_sum(found, 'telegraf_s') / _sum(found, 'ours_s'):.2f} times as long.",
        "",
        "| profile | values | ours | least | a request a value | Telegraf's rule |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {each.profile} | {each.values} | {_ms(each.ours_s)} ms, {each.ours} | {_ms(each.least_s)} ms "
        f"| {_ms(each.one_a_value_s)} ms, {each.one_a_value} | {_ms(each.telegraf_s)} ms, {each.telegraf} |"
        for each in found
    ]
    return "\n".join([*lines, ""])


def _sum(found: Sequence[WireTime], name: str) -> float:
    return math.fsum(getattr(each, name) for each in found)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f}"
