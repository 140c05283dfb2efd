"""Rounds of the poller: a dead meter, a blocked bus and a real line cost the others nothing."""

import asyncio
import time
from itertools import pairwise

import pytest

from agent.acquire.bus.bus import open_bus
from agent.acquire.bus.fake import FakeBus
from agent.errors import BusDownError
from agent.records import ReadRequest, Sample
from tests.agent.acquire.bus.hostile import late, silent, tcp_meter
from tests.agent.acquire.poll.metered import (
    ADDRESSES,
    ENERGY,
    FREQUENCY,
    POWER,
    SERIAL,
    START_S,
    by_meter,
    holding,
    meter,
    poller_of,
    register,
)
from tests.broker import free_port


async def test_dead_meter_among_five_costs_one_request_a_step() -> None:
    """Over five minutes a dead meter is asked at most once a back-off step, and the others answer every tick."""
    bus = FakeBus(holding(1, 2, 4, 5))
    poller = poller_of((bus, [meter(f"m{unit}", unit) for unit in range(1, 6)]))

    ticks = [by_meter(await poller.poll(START_S + tick, None)) for tick in range(300)]

    assert all(tick[name].status == "ok" for tick in ticks for name in ("m1", "m2", "m4", "m5"))
    asked = [index for index, tick in enumerate(ticks) if tick["m3"].status != "backoff"]
    assert asked[0] == 0
    assert len(asked) <= 11  # 2, 4, 8, 16, 32, then a minute each, less up to a quarter
    assert all(later - earlier <= 60 for earlier, later in pairwise(asked))
    assert sum(request.unit == 3 for request in bus.requests) == len(asked)


async def test_dead_meter_is_asked_last() -> None:
    """A meter that was silent is asked after those that answer, so its time-out delays none of them."""
    bus = FakeBus(holding(2, 3))
    poller = poller_of((bus, [meter("dead", 1), meter("a", 2), meter("b", 3)]))
    await poller.poll(START_S, None)
    bus.requests.clear()

    await poller.poll(START_S + 2, None)

    assert [asked.unit for asked in bus.requests][-1] == 1


async def test_meter_that_comes_back_is_read_in_full() -> None:
    """The first answer ends the back-off, and brings what was due meanwhile."""
    bus = FakeBus(holding(1))
    bus.silent.add(1)
    poller = poller_of((bus, [meter("m", 1)]))
    for tick in range(10):
        await poller.poll(START_S + tick, None)
    bus.silent.clear()

    samples = [(await poller.poll(START_S + tick, None))[0] for tick in range(10, 30)]
    first = next(index for index, sample in enumerate(samples) if sample.status == "ok")

    assert set(samples[first].values) == {POWER, FREQUENCY, ENERGY, SERIAL}
    assert all(sample.status == "ok" for sample in samples[first:])
    assert poller.statistics().meters["m"].silent_polls == 0


async def test_bus_that_is_down_is_tried_once_a_step() -> None:
    """Where no connection can be made, one attempt is made for all meters, and all come back together."""

    class Unplugged(FakeBus):
        down = True

        async def read(self, asked: ReadRequest) -> tuple[int, ...]:
            if self.down:
                self.requests.append(asked)
                raise BusDownError("no carrier")
            return await super().read(asked)

    bus = Unplugged(holding(1, 2, 3))
    poller = poller_of((bus, [meter(f"m{unit}", unit) for unit in (1, 2, 3)]))

    first = await poller.poll(START_S, None)
    second = await poller.poll(START_S + 1, None)
    attempts = len(bus.requests)
    bus.down = False
    third = await poller.poll(START_S + 2, None)

    assert [sample.status for sample in first] == ["disconnected"] * 3
    assert [sample.status for sample in second] == ["backoff"] * 3
    assert attempts == 1
    assert [sample.status for sample in third] == ["ok"] * 3


async def test_a_silent_meter_and_a_closed_bus_are_told_once_and_when_they_are_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line each with the reason, however long it lasts; noise of one poll is not worth one."""
    bus, gone = FakeBus(holding(1, 2)), FakeBus(holding(3))
    poller = poller_of((bus, [meter("a", 1), meter("b", 2)]), (gone, [meter("c", 3)]))
    bus.silent = {2}
    gone.errors.extend([BusDownError("Connection refused; check the port")] * 6)
    for tick in range(300):
        if tick == 200:
            bus.silent.clear()
        await poller.poll(START_S + tick, None)

    assert [record.getMessage() for record in caplog.records] == [
        "bus bus-1 cannot be opened: Connection refused; check the port",
        "meter b on bus bus-0 does not answer: no answer within 0.00 s",
        "bus bus-1 is open again",
        "meter b on bus bus-0 answers again",
    ]


async def test_blocked_bus_delays_no_other_and_delivers_late() -> None:
    """A bus too slow for the tick begins one tick late and skips the rest; each sample has its tick's time."""
    slow, fast = FakeBus(holding(1), delay_s=0.05), FakeBus(holding(1))
    poller = poller_of((slow, [meter("slow", 1)]), (fast, [meter("fast", 1)]))

    early = [await poller.poll(START_S + tick, 0.02) for tick in range(3)]
    last = await poller.poll(START_S + 3, None)
    statistics = poller.statistics()

    assert [[(sample.meter, sample.time_s) for sample in samples] for samples in early] == [
        [("fast", START_S + tick)] for tick in range(3)
    ]
    assert {(sample.meter, sample.time_s) for sample in last} == {
        ("slow", START_S),
        ("slow", START_S + 3),
        ("fast", START_S + 3),
    }
    assert all(sample.status == "ok" for sample in last)
    assert [bus.overruns for bus in statistics.buses.values()] == [2, 0]
    assert [(meter.missed, meter.late) for meter in statistics.meters.values()] == [(3, 1), (0, 0)]


async def test_healthy_meters_of_a_slow_bus_are_in_time() -> None:
    """What a bus has sampled before the patience is over is given at once, although it is still busy."""
    bus = FakeBus(holding(1, 2), timeout_s=0.2)
    poller = poller_of((bus, [meter("a", 1), meter("dead", 2)]))
    await poller.poll(START_S, None)
    bus.silent.add(2)

    samples = await poller.poll(START_S + 1, 0.1)
    late_samples = await poller.poll(START_S + 2, None)

    assert [(sample.meter, sample.status) for sample in samples] == [("a", "ok")]
    assert [(sample.meter, sample.time_s, sample.status) for sample in late_samples] == [
        ("dead", START_S + 1, "timeout"),
        ("a", START_S + 2, "ok"),
        ("dead", START_S + 2, "backoff"),
    ]


async def test_close_stops_a_round_under_way() -> None:
    """Closing does not wait for a silent meter."""
    bus = FakeBus(holding(1), delay_s=30.0)
    poller = poller_of((bus, [meter("m", 1)]))
    await poller.poll(START_S, 0.01)

    await asyncio.wait_for(poller.close(), 1.0)

    assert bus.closed


async def test_statistics_of_an_answering_meter() -> None:
    """It was asked, and there is nothing to tell."""
    poller = poller_of((FakeBus(holding(1)), [meter("m", 1)]))

    await poller.poll(START_S, None)

    statistics = poller.statistics().meters["m"]
    assert (statistics.polls, statistics.failures, statistics.last_error) == (1, {}, "")


async def test_dead_meter_on_a_real_line() -> None:
    """On an RTU line with one meter that answers too late, the others never get its words."""
    ticks: list[dict[str, Sample]] = []
    async with tcp_meter(rtu=True) as line:
        line.always = lambda asked: (late(0.04) if asked.unit == 3 else late(0.0))(asked)
        bus = open_bus(line.url, 0.03)
        meters = [meter(f"m{unit}", unit, [register(POWER, address=100 * unit)]) for unit in range(1, 6)]
        poller = poller_of((bus, meters))
        for tick in range(12):
            ticks.append(by_meter(await poller.poll(START_S + tick, None)))
        await poller.close()

    for unit in (1, 2, 4, 5):
        assert [tick[f"m{unit}"].values[POWER] for tick in ticks] == [100.0 * unit] * 12
    assert all(tick["m3"].status in {"timeout", "backoff"} for tick in ticks[:-1])


async def test_unreachable_host_stops_nobody() -> None:
    """A host that does not answer costs its own bus the time-out, and the other bus nothing."""
    async with tcp_meter() as line:
        poller = poller_of(
            (open_bus(f"tcp://127.0.0.1:{free_port()}", 0.2), [meter("gone", 1)]),
            (open_bus(line.url, 0.2), [meter("here", 7)]),
        )
        started_s = time.monotonic()

        samples = by_meter(await poller.poll(START_S, None))
        await poller.close()

    assert samples["gone"].status == "disconnected"
    assert samples["here"].status == "ok"
    assert time.monotonic() - started_s < 1.0


@pytest.mark.parametrize("fault", [silent, late(0.2)])
async def test_meter_that_recovers_on_a_real_line(fault: object) -> None:
    """After a silence the meter is read again, with its own words."""
    async with tcp_meter() as line:
        line.script.append(fault)  # type: ignore[arg-type]
        poller = poller_of((open_bus(line.url, 0.05), [meter("m", 1, [register(POWER, address=321)])]))

        first = await poller.poll(START_S, None)
        second = await poller.poll(START_S + 60, None)
        await poller.close()

    assert first[0].status == "timeout"
    assert second[0].values[POWER] == 321.0


async def test_bus_that_breaks_between_fast_and_slow_is_tried_once(caplog: pytest.LogCaptureFixture) -> None:
    """What was read counts, no other job runs into the same wall, and the bus is not called open at once."""

    class Breaking(FakeBus):
        broken = False

        async def read(self, asked: ReadRequest) -> tuple[int, ...]:
            if self.broken or asked.address == ADDRESSES[SERIAL]:
                self.broken = True
                self.requests.append(asked)
                raise BusDownError("no carrier")
            return await super().read(asked)

    bus = Breaking(holding(1, 2, 3))
    poller = poller_of((bus, [meter(f"m{unit}", unit) for unit in (1, 2, 3)]))

    samples = await poller.poll(START_S, None)
    again = await poller.poll(START_S + 1, None)

    assert [sample.values[POWER] for sample in samples] == [1000.0] * 3
    assert len(bus.requests) == 3 * 2 + 1
    assert [sample.status for sample in again] == ["backoff"] * 3
    assert [record.getMessage() for record in caplog.records] == ["bus bus-0 cannot be opened: no carrier"]
