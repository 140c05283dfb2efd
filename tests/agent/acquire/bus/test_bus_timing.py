"""How long the bus waits for whom: in virtual time."""

import asyncio
import math
import socket
from random import Random

import pytest

from agent.acquire.bus.bus import Bus, open_bus
from agent.acquire.bus.fake import FakeBus
from agent.acquire.bus.patience import Patience
from agent.errors import BusError, BusReason
from tests.agent.acquire.bus.hostile import (
    Asked,
    Hostile,
    exception,
    honest,
    late,
    request,
    silent,
)
from tests.agent.acquire.bus.virtual_line import CEILING_S, URLS, WIRE_S, by_unit, outcome, play, seconds_of
from tests.agent.acquire.bus.virtual_time import VirtualTimeLoop


@pytest.mark.parametrize(("takes_s", "timeout_s"), [(0.03, 0.1), (0.22, 0.4), (0.9, 1.0)])
def test_measured_response_sets_the_timeout(takes_s: float, timeout_s: float) -> None:
    """The first request gets the full time-out, the hundredth twice what the meter needs, within floor and ceiling."""

    async def scenario(bus: Bus) -> None:
        assert await outcome(bus) == "right"
        assert bus.times().units[7].timeout_s == CEILING_S
        for _ in range(100):
            assert await outcome(bus) == "right"
        assert bus.times().units[7].timeout_s == pytest.approx(timeout_s, rel=0.03)

    play("rtu", Hostile(always=late(takes_s)), scenario)


def test_profile_sets_the_least_timeout() -> None:
    """A meter whose manual says that it may take 0.5 s gets them, however fast it has been."""

    async def scenario(bus: Bus) -> None:
        for _ in range(2):
            await bus.read(request(min_timeout_s=0.5))

        assert bus.times().units[7].timeout_s == 0.5

    play("rtu", Hostile(), scenario)


@pytest.mark.parametrize("kind", URLS)
def test_slower_meter_is_read_again_after_one_failure(kind: str) -> None:
    """A late answer that is heard tells how slow the meter has become."""
    meter = Hostile()

    async def scenario(bus: Bus) -> None:
        assert [await outcome(bus) for _ in range(20)] == ["right"] * 20
        meter.always = late(0.9)
        assert [await outcome(bus) for _ in range(20)] == [BusReason.TIMEOUT] + ["right"] * 19

    play(kind, meter, scenario)


def test_slower_meter_is_read_again_though_its_late_answers_are_lost() -> None:
    """Each failure doubles the time-out, so a meter that needs 0.5 s is heard at the fourth poll."""
    patience = Patience(floor_s=0.1, ceiling_s=1.0)
    patience.answered(7, 0.01)
    timeouts_s = []
    for _ in range(4):
        timeouts_s.append(patience.timeout_s(7))
        patience.timed_out(7)

    assert timeouts_s == [0.1, 0.2, 0.4, 0.8]


def test_healthy_meter_is_rarely_given_up() -> None:
    """Of answers that vary as much as those of a radio link, one in 5000 is given up, and one start in 10 loses one."""
    random = Random(1)
    starts, reads = 400, 500
    given_up = at_start = 0
    for _ in range(starts):
        patience = Patience(floor_s=0.1, ceiling_s=5.0)
        for read in range(reads):
            takes_s = random.lognormvariate(math.log(0.3), 0.5)
            if takes_s > patience.timeout_s(7):
                patience.timed_out(7)
                given_up, at_start = given_up + 1, at_start + (read < 30)
            patience.answered(7, takes_s)

    assert given_up < starts * reads / 5000
    assert at_start < starts / 10


def test_slow_answer_is_remembered_and_forgotten() -> None:
    """One slow answer in a quarter of an hour still sets the time-out; after some hours it does not."""
    patience = Patience(floor_s=0.1, ceiling_s=1.0)
    patience.answered(7, 0.4)
    timeouts_s = []
    for _ in range(10_000):
        patience.answered(7, 0.01)
        timeouts_s.append(patience.timeout_s(7))

    assert timeouts_s[600] > 0.4
    assert timeouts_s[-1] == 0.1


def test_dead_meter_costs_a_line_little() -> None:
    """Of 60 questions to a dead unit on 9600 baud, half a ceiling each and no silence after it."""
    meter = Hostile(always=by_unit(u1=silent))

    async def scenario(bus: Bus) -> None:
        await outcome(bus, unit=2)
        cost_s = 0.0
        for _ in range(60):
            cost_s += await seconds_of(outcome(bus, unit=1))
            assert await seconds_of(outcome(bus, unit=2)) < 0.01
            await asyncio.sleep(2 * CEILING_S)

        assert cost_s / 60 < 0.55 * CEILING_S
        assert bus.times().units[1].answers == 0
        assert math.isnan(bus.times().units[1].p99_s)

    play("rtu", meter, scenario)


def test_first_question_to_a_meter_that_died_is_cheap() -> None:
    """A meter that was fast is not waited for longer than it needed, and doubled."""
    meter = Hostile()

    async def scenario(bus: Bus) -> None:
        await outcome(bus)
        meter.always = silent
        assert await seconds_of(outcome(bus)) == pytest.approx(0.1 + WIRE_S, abs=0.005)

    play("rtu", meter, scenario)


def test_meter_that_takes_longer_than_pymodbus_would_wait() -> None:
    """The operator's time-out counts, not the 3 s that pymodbus has of its own."""

    async def scenario(_: Bus) -> None:
        bus = open_bus("tcp://gateway", 10.0)
        assert await outcome(bus) == "right"
        await bus.close()

    play("tcp", Hostile(always=late(5.0)), scenario)


@pytest.mark.parametrize(("baud", "silence_s"), [(1200, 0.0291), (9600, 0.00364), (115200, 0.00175)])
def test_silence_of_three_and_a_half_characters(baud: int, silence_s: float) -> None:
    """Between an answer and the next request lie 3.5 characters, or 1.75 ms on a fast line."""
    meter = Hostile()

    async def scenario(_: Bus) -> None:
        bus = open_bus(f"rtu://line?baud={baud}", CEILING_S)
        for address in (100, 200, 300):
            await bus.read(request(address))
        await bus.close()
        assert meter.times_s[2] - meter.times_s[1] == pytest.approx(silence_s, rel=0.01)

    play("rtu", meter, scenario)


@pytest.mark.parametrize("kind", URLS)
def test_meter_gets_the_silence_it_wants(kind: str) -> None:
    """Before a request the line is silent for as long as the meter wants, behind a TCP gateway too."""
    meter = Hostile()

    async def scenario(bus: Bus) -> None:
        await bus.read(request())
        await bus.read(request(min_gap_s=0.1))
        assert meter.times_s[1] - meter.times_s[0] >= 0.1

    play(kind, meter, scenario)


def test_gateway_that_asks_one_meter_after_the_other() -> None:
    """A healthy meter is not given up while its request waits behind a dead one's in the gateway."""
    meter = Hostile()
    free_s = 0.0

    def in_turn(asked: Asked) -> None:
        nonlocal free_s
        loop = asyncio.get_running_loop()
        dead = asked.unit == 1
        free_s = max(free_s, loop.time()) + (0.9 if dead else 0.05)
        loop.call_at(free_s, (lambda: exception(11)(asked)) if dead else asked.answer)

    async def scenario(bus: Bus) -> None:
        await outcome(bus, unit=1)
        for unit in (2, 3, 2, 3):
            assert await outcome(bus, unit=unit) == "right"
        for _ in range(5):
            got = [await outcome(bus, unit=unit) for unit in (1, 2, 3)]
            assert got[0] in (BusReason.TIMEOUT, BusReason.EXCEPTION)
            assert got[1:] == ["right", "right"]
            await asyncio.sleep(2.0)

    meter.always = in_turn
    play("tcp", meter, scenario)


def test_answers_that_waited_in_a_gateway_do_not_set_the_timeout() -> None:
    """What a meter needs is not known from an answer that waited behind another meter's."""
    meter = Hostile()

    async def scenario(bus: Bus) -> None:
        await outcome(bus, unit=1)
        await outcome(bus, unit=2)
        meter.always = by_unit(u1=silent, u2=late(0.8))
        assert await outcome(bus, unit=1) is BusReason.TIMEOUT
        assert await outcome(bus, unit=2) == "right"
        meter.always = honest
        await asyncio.sleep(2.0)
        await outcome(bus, unit=2)
        assert bus.times().units[2].timeout_s == pytest.approx(0.3)

    play("tcp", meter, scenario)


def test_kernel_gives_up_what_the_peer_does_not_take() -> None:
    """A request that the peer's kernel has not acknowledged within 10 s ends the connection."""

    async def scenario(bus: Bus) -> None:
        await outcome(bus)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        kernel = loop.wires[0].get_extra_info("socket")
        assert kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000

    play("tcp", Hostile(), scenario)


@pytest.mark.parametrize(("kind", "sending_s"), [("rtu", 80 / 9600), ("tcp", 0.0)])
def test_bus_tells_how_fast_its_units_answer_and_how_full_it_is(kind: str, sending_s: float) -> None:
    """Response times begin with the last byte of the request; the bus is busy while a request has it."""
    meter = Hostile(always=by_unit(u1=late(0.05), u2=late(0.2)))

    async def scenario(bus: Bus) -> None:
        for unit in (1, 1, 1, 2):
            await outcome(bus, unit=unit)
        await asyncio.sleep(1.0)
        times = bus.times()

        assert [(unit, times.units[unit].answers) for unit in times.units] == [(1, 3), (2, 1)]
        assert (times.units[1].p50_s, times.units[1].p99_s) == pytest.approx((0.05 - sending_s, 0.05 - sending_s))
        assert times.units[2].p50_s == pytest.approx(0.2 - sending_s)
        assert times.busy_s == pytest.approx(0.35, abs=0.02)
        assert times.elapsed_s == pytest.approx(1.35, abs=0.02)

    play(kind, meter, scenario)


async def test_fake_bus_tells_its_times_too() -> None:
    """The bus without a line counts its delays as response times."""
    bus = FakeBus({(1, 3, 0): 5}, delay_s=0.001, timeout_s=0.002)
    await bus.read(request(0, 1, unit=1))
    with pytest.raises(BusError):
        await bus.read(request(0, 1, unit=2))

    times = bus.times()

    assert (times.units[1].answers, times.units[1].p50_s, times.units[1].timeout_s) == (1, 0.001, 0.002)
    assert times.units[2].answers == 0
    assert times.busy_s == times.elapsed_s == pytest.approx(0.004)
