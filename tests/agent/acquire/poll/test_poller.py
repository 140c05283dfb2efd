"""The poller: every meter on the tick, and no meter at another's cost."""

import math
from dataclasses import replace

import pytest

from agent.acquire.bus.fake import FakeBus
from agent.errors import BusError, BusReason
from agent.records import ReadRequest, Sample, Tier
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
    profile,
    register,
)


async def test_all_tiers_at_first_then_the_fast_one() -> None:
    """The first poll reads everything, the next the fast tier only."""
    bus = FakeBus(holding(1))
    poller = poller_of((bus, [meter("m", 1)]))

    first = await poller.poll(START_S, None)
    second = await poller.poll(START_S + 1, None)

    assert first == [Sample("m", START_S, "ok", {POWER: 1000.0, FREQUENCY: 50.0, ENERGY: 7.0, SERIAL: 42.0})]
    assert second == [Sample("m", START_S + 1, "ok", {POWER: 1000.0, FREQUENCY: 50.0})]


async def test_slow_tier_once_a_period_and_identity_once_an_hour() -> None:
    """Over two hours of seconds the slow tier is read at each full minute, identity at each full hour."""
    bus = FakeBus(holding(1))
    poller = poller_of((bus, [meter("m", 1)]))

    samples = [sample for tick in range(7200) for sample in await poller.poll(START_S + tick, None)]

    assert [sample.time_s for sample in samples if ENERGY in sample.values] == [START_S + 60 * i for i in range(120)]
    hours = [sample.time_s for sample in samples if SERIAL in sample.values]
    assert hours[0] == START_S
    assert [hour % 3600 for hour in hours[1:]] == [0, 0]


async def test_slow_tier_that_failed_is_read_at_the_next_tick() -> None:
    """A tier that was not read in full stays due until it is."""
    bus = FakeBus(holding(1))
    poller = poller_of((bus, [meter("m", 1)]))
    bus.errors.extend([BusError(BusReason.GARBAGE, "noise")] * 2)

    failed, recovered, quiet = [(await poller.poll(START_S + tick, None))[0] for tick in (0, 2, 3)]

    assert failed.status == "garbage"
    assert ENERGY in recovered.values
    assert SERIAL in recovered.values
    assert ENERGY not in quiet.values


async def test_block_that_is_never_answered_costs_a_few_requests_and_no_sample() -> None:
    """The serial number is left alone for longer and longer, and then for good; the powers come every second."""

    class Deaf(FakeBus):
        async def read(self, wanted: ReadRequest) -> tuple[int, ...]:
            if wanted.address == ADDRESSES[SERIAL]:
                self.requests.append(wanted)
                raise BusError(BusReason.TIMEOUT, "no answer")
            return await super().read(wanted)

    bus = Deaf(holding(1))
    poller = poller_of((bus, [meter("m", 1)]))

    samples = [(await poller.poll(START_S + tick, None))[0] for tick in range(180)]

    assert [sample.values[POWER] for sample in samples] == [1000.0] * 180
    assert sum(asked.address == ADDRESSES[SERIAL] for asked in bus.requests) == 5


class Busy(FakeBus):
    """Meters that answer the registers ``busy`` with an exception that says "not now"."""

    busy: frozenset[str] = frozenset()
    code = 6

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """Give the words. Raises BusError."""
        if request.address in {ADDRESSES[name] for name in self.busy}:
            self.requests.append(request)
            raise BusError(BusReason.EXCEPTION, f"the device refused: exception {self.code}", self.code)
        return await super().read(request)


@pytest.mark.parametrize("code", [4, 6, 10, 11])
async def test_counter_that_is_never_ready_is_left_alone_for_longer_and_longer(code: int) -> None:
    """It would else be the most overdue job on every tick, and the other meters' turn would never come."""
    bus = Busy(holding(1))
    bus.busy, bus.code = frozenset({ENERGY}), code
    poller = poller_of((bus, [meter("m", 1)]))

    samples = [(await poller.poll(START_S + tick, None))[0] for tick in range(180)]

    assert [sample.values[POWER] for sample in samples] == [1000.0] * 180
    assert sum(asked.address == ADDRESSES[ENERGY] for asked in bus.requests) <= 12


async def test_power_that_is_not_ready_is_asked_for_on_the_next_tick() -> None:
    """A meter that was busy for a moment loses one sample."""
    bus = Busy(holding(1))
    poller = poller_of((bus, [meter("m", 1)]))
    bus.busy = frozenset({POWER})
    first = await poller.poll(START_S, None)
    bus.busy = frozenset()

    second = await poller.poll(START_S + 1, None)

    assert [sample.status for sample in first + second] == ["exception", "ok"]


async def test_refused_tier_is_not_asked_again_before_its_time() -> None:
    """A register that the meter does not have costs one request, and one with the identity that doubts it."""
    bus = FakeBus({key: word for key, word in holding(1).items() if key[2] != ADDRESSES[ENERGY]})
    poller = poller_of((bus, [meter("m", 1)]))

    samples = [(await poller.poll(START_S + tick, None))[0] for tick in range(60)]

    assert {sample.status for sample in samples} == {"ok"}
    assert math.isnan(samples[0].values[ENERGY])
    assert sum(asked.address == ADDRESSES[ENERGY] for asked in bus.requests) == 2


async def test_exception_on_one_block_keeps_the_others() -> None:
    """What was read is kept; the status tells whether the active power is among it."""
    no_frequency = FakeBus({key: word for key, word in holding(1).items() if key[2] != ADDRESSES[FREQUENCY]})
    no_power = FakeBus({key: word for key, word in holding(1).items() if key[2] != ADDRESSES[POWER]})
    poller = poller_of((no_frequency, [meter("a", 1)]), (no_power, [meter("b", 1)]))

    samples = by_meter(await poller.poll(START_S, None))

    assert samples["a"].status == "ok"
    assert math.isnan(samples["a"].values[FREQUENCY])
    assert samples["a"].values[ENERGY] == 7.0
    assert samples["b"].status == "exception"
    assert math.isnan(samples["b"].values[POWER])
    assert samples["b"].values[FREQUENCY] == 50.0


async def test_parameters_are_read_once_and_remembered() -> None:
    """A scale factor is read at first contact, scales every later poll, and is never reported."""
    scale = register("power_exponent", address=30, tier=Tier.IDENTITY, parameter=True)
    power = register(POWER, exponent_from="power_exponent")
    bus = FakeBus({(1, 3, 0): 5, (1, 3, 30): 2})
    poller = poller_of((bus, [meter("m", 1, [power, scale])]))

    samples = [(await poller.poll(START_S + tick, None))[0] for tick in range(3)]

    assert [dict(sample.values) for sample in samples] == [{POWER: 500.0}] * 3
    assert sum(asked.address == 30 for asked in bus.requests) == 1


async def test_implausible_value_is_nan_and_counted() -> None:
    """A frequency of 300 Hz is a fault, not a measurement."""
    bus = FakeBus(holding(1) | {(1, 3, ADDRESSES[FREQUENCY]): 300})
    poller = poller_of((bus, [meter("m", 1)]))

    (sample,) = await poller.poll(START_S, None)

    assert sample.status == "ok"
    assert math.isnan(sample.values[FREQUENCY])
    assert poller.statistics().meters["m"].out_of_range == 1


async def test_impossible_power_has_a_status_of_its_own() -> None:
    """A wrong word order is told from a meter that is silent, also where another block failed."""
    power = register(POWER, scale=1e6)
    bus = FakeBus({(1, 3, ADDRESSES[POWER]): 60_000})
    poller = poller_of((bus, [meter("m", 1, [power, register(FREQUENCY)])]))

    (sample,) = await poller.poll(START_S, None)

    assert sample.status == "range"
    assert math.isnan(sample.values[POWER])
    assert poller.statistics().meters["m"].out_of_range == 1


async def test_noise_is_asked_again_at_once_and_silence_is_not() -> None:
    """One retry after garbage saves the sample; after a time-out the meter's other requests are left out."""
    bus = FakeBus(holding(1))
    poller = poller_of((bus, [meter("noisy", 1), meter("dead", 2)]))
    bus.errors.append(BusError(BusReason.GARBAGE, "noise"))

    samples = by_meter(await poller.poll(START_S, None))
    statistics = poller.statistics().meters

    assert samples["noisy"].status == "ok"
    assert statistics["noisy"].failures == {"garbage": 1}
    assert samples["dead"].status == "timeout"
    assert all(math.isnan(value) for value in samples["dead"].values.values())
    assert statistics["dead"].failures == {"timeout": 1}
    assert sum(asked.unit == 2 for asked in bus.requests) == 1


async def test_slow_tiers_of_a_bus_fall_on_different_ticks() -> None:
    """After the first minute no tick carries the counters of more than one of ten meters."""
    bus = FakeBus(holding(*range(1, 11)))
    poller = poller_of((bus, [meter(f"m{unit}", unit) for unit in range(1, 11)]))

    ticks = [await poller.poll(START_S + tick, None) for tick in range(180)]

    counts = [sum(ENERGY in sample.values for sample in samples) for samples in ticks]
    assert counts[0] == 10
    assert max(counts[1:]) == 1
    assert sum(counts[60:120]) == sum(counts[120:180]) == 10


async def test_refused_counter_takes_no_power_with_it() -> None:
    """A slow block that lies beside the fast one is asked apart: its refusal costs no sample."""
    beside = [register(POWER), register(ENERGY, address=1)]
    bus = FakeBus({(1, 3, 0): 1000})
    poller = poller_of((bus, [replace(meter("m", 1), profile=profile(beside))]))

    samples = [(await poller.poll(START_S + tick, None))[0] for tick in range(70)]

    assert [sample.values[POWER] for sample in samples] == [1000.0] * 70


async def test_garbage_that_takes_long_is_not_asked_for_twice() -> None:
    """A retry needs room in the tick: noise that takes a time-out is left to the next one."""
    bus = FakeBus(holding(1, 2), delay_s=0.06)
    poller = poller_of((bus, [meter("noisy", 1, [register(POWER)]), meter("other", 2, [register(POWER)])]))
    bus.errors.append(BusError(BusReason.GARBAGE, "noise"))

    await poller.poll(START_S, 0.1)
    others = [sample for sample in await poller.poll(START_S + 1, None) if sample.meter == "other"]

    assert {sample.status for sample in others} == {"ok"}
    assert sum(asked.unit == 1 for asked in bus.requests) == 1
