"""No meter suffers from another: ten meters on a line of 9600 baud, in virtual time that is true to the wire."""

import asyncio

import pytest

from agent.acquire.bus.fake import FakeBus
from bench.fairness import END_S, KINDS, LONGEST_STEP_S, PERIOD_S, measure, virtually
from tests.agent.acquire.poll.metered import ADDRESSES, ENERGY, POWER, START_S, holding, meter, poller_of, register


@pytest.mark.parametrize("troubled", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_meters_that_fail_cost_the_others_nothing(kind: str, troubled: int) -> None:
    """Where one, two or three of ten meters fail at once, the others keep their period and every sample."""
    result = measure(kind, troubled)

    assert result.period_p95 <= 1.2
    assert result.lost == 0
    assert result.back_after_s <= LONGEST_STEP_S
    assert result.requests <= 25  # in 15 minutes: doubling steps to a minute, less up to a quarter


def test_overloaded_bus_serves_every_meter_alike_and_says_so() -> None:
    """Where the fast tiers take twice the period, every second tick is skipped, for all meters the same ones."""
    result = measure("dead", 0, period_s=1.0)

    assert max(result.samples) - min(result.samples) <= 1
    assert min(result.samples) > 0.4 * END_S
    assert result.overruns > 0.5 * END_S
    assert result.utilisation > 0.99


def test_bus_that_is_never_free_reads_its_slow_tiers_all_the_same() -> None:
    """Nothing starves: an overdue counter is read, one a tick, although the tick has no room for it."""
    busy, idle = measure("dead", 0, period_s=2.3), measure("dead", 0, period_s=3 * PERIOD_S)

    assert busy.slow_reads >= 0.4 * idle.slow_reads


def test_bus_with_far_too_many_meters_reads_every_counter_within_minutes() -> None:
    """What is overdue gets its share of a round however long that takes: one job a round would take hours."""
    bus = FakeBus(holding(*range(1, 101)), delay_s=0.05)
    poller = poller_of((bus, [meter(f"m{unit}", unit) for unit in range(1, 101)]))

    async def poll() -> None:
        for tick in range(600):
            await asyncio.sleep(max(0.0, tick - asyncio.get_running_loop().time()))
            await poller.poll(START_S + tick, 0.95)
        await poller.close()

    virtually(poll())

    assert len({request.unit for request in bus.requests if request.address == ADDRESSES[ENERGY]}) == 100


@pytest.mark.parametrize("period_s", [1.0, 2.3])
def test_meter_that_recovers_on_an_overloaded_bus_is_back(period_s: float) -> None:
    """A bus without a free moment still asks after its silent meters."""
    result = measure("slow", 2, period_s=period_s)

    assert result.back_after_s <= LONGEST_STEP_S + 2 * PERIOD_S


def test_silent_meters_are_asked_on_different_ticks_where_one_has_no_room_for_all() -> None:
    """Three meters that died together are not asked together: their time-outs would add up."""
    bus = FakeBus(holding(1, 2), delay_s=0.1, timeout_s=0.4)
    plans = [meter(f"m{unit}", unit, [register(POWER)]) for unit in range(1, 6)]

    async def poll() -> tuple[list[int], list[int]]:
        poller, loop = poller_of((bus, plans)), asyncio.get_running_loop()
        asked, in_time = [], []
        for tick in range(4, 60):  # the first round takes longer than a tick
            await asyncio.sleep(tick - loop.time())
            before = len(bus.requests)
            samples = await poller.poll(START_S + tick, 0.95)
            asked.append(sum(request.unit > 2 for request in bus.requests[before:]))
            in_time.append(sum(sample.status == "ok" and sample.time_s == START_S + tick for sample in samples))
        return asked, in_time

    asked, in_time = virtually(poll())

    assert max(asked[2:]) == 1
    assert set(in_time[2:]) == {2}


def test_unit_that_goes_on_answering_unasked_is_a_failure_that_is_seen() -> None:
    """Two meters with one unit id: the line is never free of late answers, and the status says so."""

    class Chattering(FakeBus):
        def rest_s(self, unit: int) -> float:
            return 1.2 if unit == 2 else 0.0

    poller = poller_of((Chattering(holding(1, 2)), [meter(f"m{unit}", unit) for unit in (1, 2)]))

    async def poll() -> list[str]:
        return [sample.status for tick in range(60) for sample in await poller.poll(START_S + tick, 0.95)]

    statuses = virtually(poll())
    seen = poller.statistics().meters["m2"]

    assert statuses.count("ok") == 60
    assert set(statuses[:11]) == {"ok", "backoff"}
    assert statuses[11] == "garbage"
    assert 3 <= seen.silent_polls <= 6
    assert seen.last_error == "unit 2 goes on answering what it was not asked: has another meter this unit id?"
