"""Where the time of a plan goes."""

import math

import pytest

from agent.acquire.bus.line import Line
from agent.acquire.profiles.profile import find_profile
from agent.commission.explain import GAPS, request_costs, way_costs
from agent.commission.load import BusLoad, meter_load
from agent.records import Tier


def load_of(*profiles: str, line: Line) -> BusLoad:
    """Put meters on a bus, one of each profile."""
    meters = tuple(meter_load(f"m{unit}", unit, find_profile(name), line) for unit, name in enumerate(profiles, 1))
    return BusLoad(bus="hall", url="rtu:///dev/ttyUSB0", line=line, meters=meters)


def test_the_parts_of_a_request_are_those_of_the_specification() -> None:
    """SDM630, 72 registers at 9600 baud: 8 bytes out, 149 in, 60 ms of silence before, 20 ms until it answers."""
    load = load_of("eastron_sdm630", line=Line.rtu(9600))

    (fast,) = (cost for cost in request_costs(load) if cost.tier is Tier.FAST)

    assert (fast.bytes_out, fast.bytes_in, fast.request.count, fast.wasted) == (8, 149, 72, 20)
    assert (fast.silence_s, fast.turnaround_s) == (0.060, 0.020)
    assert [fast.request_s, fast.reply_s] == pytest.approx([8 / 960, 149 / 960])


@pytest.mark.parametrize("line", [Line.rtu(2400, "E"), Line.rtu(115200), Line.tcp()])
def test_the_parts_of_all_requests_are_the_time_of_the_plan(line: Line) -> None:
    """Nothing is counted twice and nothing left out."""
    load = load_of("eastron_sdm630", "schneider_pm5110", "carlo_gavazzi_em340", line=line)

    costs = request_costs(load)

    for tier in Tier:
        assert sum(cost.total_s for cost in costs if cost.tier is tier) == pytest.approx(load.tier_s(tier))


def test_the_usual_ways_stand_beside_the_plan() -> None:
    """27 values of a PM5110 are 27 requests of 2 registers, and no rule of a fixed gap is faster than the plan."""
    ours, single, *gaps = way_costs(load_of("schneider_pm5110", line=Line.rtu(9600)))

    assert (ours.way, single.way, len(gaps)) == ("flatwatt", "one request a value", len(GAPS))
    assert (single.poll_requests, single.poll_bytes) == (27, 27 * (8 + 5 + 4))
    assert all(way.poll_s >= ours.poll_s and way.full_s >= ours.full_s for way in (single, *gaps))
    assert max(way.poll_s for way in gaps) > 1.2 * ours.poll_s


def test_the_shortest_period_leaves_the_bus_no_rest() -> None:
    """Two SDM630 at 9600 baud: with the slow tier each minute the bus is full at that period, and at none below."""
    load = load_of("eastron_sdm630", "eastron_sdm630", line=Line.rtu(9600))

    shortest_s = load.shortest_period_s(60.0)

    assert load.tier_s(Tier.FAST) / shortest_s + load.tier_s(Tier.SLOW) / 60.0 == pytest.approx(1.0)
    assert load.shortest_period_s(load.tier_s(Tier.SLOW)) == math.inf
