"""Each shipped profile against words that its meter has on the wire (see golden_meter.py)."""

import asyncio
import math
from collections.abc import Mapping
from itertools import product
from random import Random
from typing import Any

import pytest

from agent.acquire.bus.line import Line
from agent.acquire.plan.plan import plan
from agent.acquire.poll.make_poller import meter_plan
from agent.acquire.poll.poller import BusPlan, Poller
from agent.acquire.profiles.profile import find_profile, profile_names
from agent.records import Tier
from tests.agent.acquire.profiles.golden_meter import UNIT, GoldenMeter, GoldenPoll, golden_names, golden_polls

LINES = {"rtu": Line.rtu(9600), "tcp": Line.tcp()}
POLLS = [(name, poll) for name in golden_names() for poll in golden_polls(name)]
IDS = [f"{name}-{poll.title}" for name, poll in POLLS]


async def poll_thrice(name: str, bus: GoldenMeter, line: Line) -> tuple[dict[str, float], dict[str, float]]:
    """Poll as the daemon does; give what the first two ticks brought together, and the third one alone.

    The first tick reads all tiers, of a SunSpec device the fast one only, since it is looked for then.
    """
    meter = meter_plan("meter", UNIT, find_profile(name), line)
    buses = [BusPlan(name="bus", bus=bus, retries=0, meters=(meter,))]
    poller = Poller(buses, period_s=1.0, slow_period_s=60.0, random=Random(0))
    samples = [sample for tick_s in (0.0, 1.0, 2.0) for sample in await poller.poll(tick_s, None)]
    first, second, third = (dict(sample.values) for sample in samples)
    return first | second, third


def is_absent(entry: Mapping[str, Any], pattern: bytes) -> bool:
    """Tell whether an entry has the bytes of a pattern, in whatever order, and reads as unknown."""
    return sorted(bytes.fromhex(entry["words"])) == sorted(pattern) and math.isnan(entry.get("is", math.nan))


def test_each_shipped_profile_has_a_golden_file_and_each_golden_file_a_profile() -> None:
    """A map that nobody held against words of the wire is not shipped."""
    assert golden_names() == profile_names()


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(("name", "poll"), POLLS, ids=IDS)
def test_a_poll_reads_the_words_of_the_wire(name: str, poll: GoldenPoll, line: str) -> None:
    """Address, function, word order, sign, scale, ratios, sums and sentinels, through the plan and past no refusal."""
    bus = GoldenMeter(poll)

    every, fast = asyncio.run(poll_thrice(name, bus, LINES[line]))

    assert bus.refused == []
    assert every == pytest.approx(poll.values, rel=1e-7, nan_ok=True)
    assert fast == pytest.approx({quantity: poll.values[quantity] for quantity in fast}, rel=1e-7, nan_ok=True)
    assert "active_power_w" in fast


@pytest.mark.parametrize("name", golden_names())
def test_the_first_golden_poll_names_every_entry_and_nothing_else(name: str) -> None:
    """No register comes into a profile without words of its own."""
    profile, polls = find_profile(name), golden_polls(name)

    assert set(polls[0].values) == set(profile.quantities)
    for poll in polls:
        assert set(poll.entries) == {register.name for register in profile.registers}, poll.title


@pytest.mark.parametrize("name", golden_names())
def test_golden_polls_show_power_that_is_exported_and_every_mark_of_absence(name: str) -> None:
    """Import is positive; a meter's pattern for "not available" never becomes a number."""
    profile, polls = find_profile(name), golden_polls(name)

    marks = {(register.dtype, pattern) for register in profile.registers for pattern in register.absent}
    shown = {
        (register.dtype, pattern)
        for poll, register in product(polls, profile.registers)
        for pattern in register.absent
        if is_absent(poll.entries[register.name], pattern.to_bytes(2 * register.count, "big"))
    }
    assert marks == shown
    assert "one_way" in polls[0].meter or any(poll.values["active_power_w"] < 0 for poll in polls)


@pytest.mark.parametrize("name", golden_names())
def test_a_profile_wants_what_the_documents_of_its_meter_say(name: str) -> None:
    """Length and alignment of a request, the silence before it, time for a reply, the serial setting, the codes."""
    profile, first = find_profile(name), golden_polls(name)[0]

    requests = plan(profile, UNIT, tuple(Tier), LINES["rtu"])
    serial = f"{profile.baud} 8{profile.parity}{profile.stopbits}"

    assert profile.max_registers <= first.meter.get("max_registers", 125)
    assert profile.even_blocks == first.meter.get("even", False)
    assert {request.min_gap_s * 1000 for request in requests} == {first.meter.get("min_gap_ms", 0.0)}
    assert {request.min_timeout_s * 1000 for request in requests} == {first.meter.get("min_timeout_ms", 0.0)}
    assert serial == first.meter.get("serial", "0 80")
    assert all(first.values[quantity] in codes for quantity, codes in profile.identity.items())
