"""How long the bus waits for whom, on lines that it shares between meters: in virtual time."""

import asyncio
import math
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from agent.acquire.bus.bus import Bus, open_bus
from agent.acquire.bus.fake import FakeBus
from agent.acquire.bus.patience import Patience
from agent.errors import BusError, BusReason
from tests.agent.acquire.bus.hostile import (
    Act,
    Asked,
    Hostile,
    exception,
    honest,
    late,
    read_request,
    request,
    silent,
    words,
)
from tests.agent.acquire.bus.virtual_time import VirtualTimeLoop, run_virtually

URLS = {"rtu": "rtu://line?baud=9600", "rtu+tcp": "rtu+tcp://gateway:4001", "tcp": "tcp://gateway"}
WIRE_S = 0.02  # of the requests here: what the plan says that they take on the line
CEILING_S = 1.0
_LONGEST_S = 3600.0  # of any scenario, in virtual time


def play(kind: str, meter: Hostile, scenario: Callable[[Bus], Awaitable[None]]) -> None:
    """Play a scenario on the bus to ``meter``."""

    async def with_bus() -> None:
        bus = open_bus(URLS[kind], CEILING_S)
        async with asyncio.timeout(_LONGEST_S):
            await scenario(bus)
        await bus.close()
        await meter.stop()

    run_virtually(with_bus(), lambda data, send, hang_up: meter.play(read_request(data, kind != "tcp", send, hang_up)))


def by_unit(**acts: Act) -> Act:
    """Several meters on one line: ``u1=silent`` is what unit 1 does; the others are honest."""
    return lambda asked: acts.get(f"u{asked.unit}", honest)(asked)


async def outcome(bus: Bus, unit: int = 7, address: int = 100) -> BusReason | str:
    """Read once: "right", "wrong" or the reason of the failure."""
    asked = request(address, unit=unit, wire_s=WIRE_S)
    try:
        return "right" if await bus.read(asked) == words(asked) else "wrong"
    except BusError as error:
        return error.reason


async def seconds_of(awaited: Awaitable[object]) -> float:
    """The seconds until it is done."""
    began_s = asyncio.get_running_loop().time()
    await awaited
    return asyncio.get_running_loop().time() - began_s


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


@pytest.mark.parametrize("kind", ["rtu", "rtu+tcp"])
def test_unit_that_owes_an_answer_rests_and_others_do_not(kind: str) -> None:
    """After a time-out another unit is asked at once, the same one when no answer can come any more."""
    meter = Hostile(always=by_unit(u1=silent))

    async def scenario(bus: Bus) -> None:
        assert await outcome(bus, unit=1) is BusReason.TIMEOUT
        assert bus.rest_s(1) == pytest.approx(CEILING_S + WIRE_S)
        assert await seconds_of(outcome(bus, unit=2)) < 0.05
        again = asyncio.create_task(seconds_of(outcome(bus, unit=1)))
        await asyncio.sleep(0)
        assert await seconds_of(outcome(bus, unit=2)) < 0.05
        assert await again > CEILING_S + WIRE_S

    play(kind, meter, scenario)


def test_unit_rests_for_whoever_asks() -> None:
    """Of two reads of a silent unit that were asked for together, the second waits for the first one's answer."""
    meter = Hostile(always=silent)

    async def scenario(bus: Bus) -> None:
        await asyncio.gather(outcome(bus), outcome(bus))
        assert meter.times_s[1] - meter.times_s[0] > 2 * CEILING_S

    play("rtu", meter, scenario)


@pytest.mark.parametrize("kind", ["rtu", "rtu+tcp"])
def test_rest_ends_when_the_late_answer_is_heard(kind: str) -> None:
    """A late answer is thrown away, by whomever it is overheard, and its unit may be asked again."""
    meter = Hostile(always=by_unit(u1=late(1.3), u2=late(0.6)))

    async def scenario(bus: Bus) -> None:
        assert await outcome(bus, unit=1) is BusReason.TIMEOUT
        assert await outcome(bus, unit=2) == "right"  # the late answer comes before its own
        assert bus.rest_s(1) == 0.0

    play(kind, meter, scenario)


@pytest.mark.parametrize("kind", ["rtu", "rtu+tcp"])
def test_gateway_that_gives_up_says_nothing_for_the_meter(kind: str) -> None:
    """After exception 11 the meter's own answer may come, so on RTU it still rests."""
    meter = Hostile(always=exception(11))

    async def scenario(bus: Bus) -> None:
        assert await outcome(bus) is BusReason.EXCEPTION
        assert bus.rest_s(7) > CEILING_S

    play(kind, meter, scenario)


def test_unit_that_answers_again_and_again_rests() -> None:
    """A gateway that repeats answers makes its unit rest for as long as it does, with an end."""

    async def for_ever(asked: Asked) -> None:
        while True:
            asked.answer()
            await asyncio.sleep(0.5)

    meter = Hostile(always=by_unit(u1=for_ever))

    async def scenario(bus: Bus) -> None:
        assert await outcome(bus, unit=1) == "right"
        await asyncio.sleep(1.1)
        assert bus.rest_s(1) == pytest.approx(0.9 * CEILING_S)
        assert await outcome(bus, unit=2) == "right"
        with pytest.raises(BusError, match="unit 1 goes on answering what it was not asked"):
            await bus.read(request(unit=1))

    play("rtu+tcp", meter, scenario)


def test_request_that_was_cancelled_keeps_the_line_until_its_answer_is_due() -> None:
    """Nobody is asked into the answer to a request that nobody waits for any more."""
    meter = Hostile(always=by_unit(u1=late(0.5)))

    async def scenario(bus: Bus) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(outcome(bus, unit=1), 0.1)
        assert await seconds_of(outcome(bus, unit=2)) > 0.8 * CEILING_S

    play("rtu", meter, scenario)


def test_unit_of_a_request_that_was_cancelled_rests_as_after_a_timeout() -> None:
    """A read that was cancelled early leaves its meter no less time than one that ran out."""
    meter = Hostile(always=silent)

    async def scenario(bus: Bus) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(outcome(bus), 0.1)
        assert bus.rest_s(7) == pytest.approx(2 * (CEILING_S + WIRE_S) - 0.1, abs=0.01)

    play("rtu", meter, scenario)


def test_unit_that_is_heard_in_the_silence_before_its_request_rests() -> None:
    """An answer that is repeated while the line is kept silent for the next request may be repeated once more."""
    meter = Hostile()

    async def scenario(bus: Bus) -> None:
        await outcome(bus)
        asyncio.get_running_loop().call_later(0.05, meter.asked[0].answer)
        assert await seconds_of(bus.read(request(min_gap_s=0.1))) == pytest.approx(0.05 + CEILING_S, abs=0.01)

    play("rtu", meter, scenario)


def test_answer_to_a_request_of_the_last_connection() -> None:
    """A gateway that gives a late answer to whoever is connected now does not give it to another's request."""

    def hang_up_first(asked: Asked) -> None:
        asked.hang_up()

    def answer_both(asked: Asked) -> None:
        first = meter.asked[0]
        asked.send(first.frame(first.pdu()))
        asked.answer()

    meter = Hostile(deque([hang_up_first, answer_both]))

    async def scenario(bus: Bus) -> None:
        assert await outcome(bus, address=100) is BusReason.DISCONNECTED
        assert await outcome(bus, address=200) == "right"

    play("tcp", meter, scenario)


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


@pytest.mark.parametrize("kind", ["rtu", "rtu+tcp"])
def test_late_and_true_answer_in_one_packet(kind: str) -> None:
    """An answer of another unit, glued before the true one, is passed over."""

    def glue(asked: Asked) -> None:
        asked.send(asked.frame(asked.pdu(), unit=9) + asked.frame(asked.pdu()))

    async def scenario(bus: Bus) -> None:
        assert await outcome(bus) == "right"

    play(kind, Hostile(always=glue), scenario)


@pytest.mark.parametrize(("address", "count"), [(100, 4), (0x0300, 4), (0x0800, 4), (0x0200, 1)])
def test_echo_of_a_two_wire_adapter(address: int, count: int) -> None:
    """An adapter that hears itself gives each request back before the answer, in pieces that look like answers."""
    asked = request(address, count)

    async def echo(asked: Asked) -> None:
        for piece in (asked.packet[:7], asked.packet[7:] + asked.frame(asked.pdu())):
            asked.send(piece)
            await asyncio.sleep(0.01)

    async def scenario(bus: Bus) -> None:
        for _ in range(2):
            assert await bus.read(asked) == words(asked)
        assert await seconds_of(bus.read(asked)) < 0.05

    play("rtu", Hostile(always=echo), scenario)


def test_echo_without_an_answer_is_silence() -> None:
    """Behind an adapter that hears itself a dead meter is silent too, and not damaged."""

    def echo(asked: Asked) -> None:
        asked.send(asked.packet)

    async def scenario(bus: Bus) -> None:
        assert await outcome(bus) is BusReason.TIMEOUT

    play("rtu", Hostile(always=echo), scenario)


def test_bytes_that_could_be_of_any_unit() -> None:
    """After unasked bytes that are no frame, nobody is asked until no answer can come any more."""
    meter = Hostile()

    async def scenario(bus: Bus) -> None:
        await outcome(bus)
        meter.asked[0].send(b"\x07\x03\x08\x00\x01\x00")
        assert await seconds_of(outcome(bus, unit=8)) == pytest.approx(CEILING_S, rel=0.01)
        meter.asked[0].send(b"\x00")  # a driver that switches off
        assert await seconds_of(outcome(bus, unit=8)) < 0.01

    play("rtu", meter, scenario)


def test_line_that_is_flooded() -> None:
    """A thousand bytes without an answer are no reason to wait for the time-out."""

    async def flood(asked: Asked) -> None:
        for _ in range(100):
            asked.send(bytes(100))
            await asyncio.sleep(0.001)

    async def scenario(bus: Bus) -> None:
        assert await seconds_of(outcome(bus)) < 0.02
        await asyncio.sleep(2 * CEILING_S)
        assert await outcome(bus, unit=8) == "right"

    play("rtu", Hostile(always=by_unit(u7=flood)), scenario)


def test_flood_does_not_stop_the_other_buses() -> None:
    """A quarter of a megabyte that looks like beginnings of answers is not searched for one to its end."""
    asked = request(100, 125)

    def flood(asked: Asked) -> None:
        asked.send(b"\x55" + (1 << 18) // 3 * bytes((asked.unit, asked.function, 2 * asked.count)))

    async def scenario(bus: Bus) -> None:
        began_s = time.process_time()
        with pytest.raises(BusError, match="without an answer among them"):
            await bus.read(asked)
        assert time.process_time() - began_s < 0.5  # 0.01 s, and 3 s if it were

    play("rtu", Hostile(always=flood), scenario)


def test_wrong_answer_is_let_finish() -> None:
    """After a wrong answer the line must be silent for a while before the next request, to whomever."""

    async def long_winded(asked: Asked) -> None:
        spoilt = bytearray(asked.frame(asked.pdu()))
        spoilt[5] ^= 1
        for piece in (bytes(spoilt), b"\x01\x02", b"\x03\x04"):
            asked.send(piece)
            await asyncio.sleep(0.03)

    async def scenario(bus: Bus) -> None:
        assert await outcome(bus) is BusReason.GARBAGE
        assert await seconds_of(outcome(bus, unit=8)) > 0.1

    play("rtu", Hostile(always=by_unit(u7=long_winded)), scenario)


def test_stream_that_makes_no_sense_is_left() -> None:
    """Unasked bytes on TCP that are no frame, or half of one, cost a new connection and no read."""
    meter = Hostile()

    async def scenario(bus: Bus) -> None:
        for nonsense in (b"\x00\x01\x02\x03\x04\x05\x06\x07", b"\x00\x01\x00\x00\x00\x0b"):
            await outcome(bus)
            meter.asked[-1].send(nonsense)
            assert await outcome(bus) == "right"

    play("tcp", meter, scenario)


@pytest.mark.parametrize("kind", URLS)
def test_line_that_breaks_before_the_request(kind: str) -> None:
    """A line that breaks while it is kept silent is a broken line, and no noise."""
    meter = Hostile()

    async def scenario(bus: Bus) -> None:
        await bus.read(request())
        asyncio.get_running_loop().call_later(0.1, meter.asked[0].hang_up)
        with pytest.raises(BusError, match="the connection broke before the request") as caught:
            await bus.read(request(min_gap_s=0.5))
        assert caught.value.reason is BusReason.DISCONNECTED
        assert await outcome(bus) == "right"

    play(kind, meter, scenario)


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
