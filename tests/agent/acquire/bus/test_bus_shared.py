"""What each meter of a shared line owes the others, and what is heard on it unasked: in virtual time."""

import asyncio
import time
from collections import deque

import pytest

from agent.acquire.bus.bus import Bus
from agent.errors import BusError, BusReason
from tests.agent.acquire.bus.hostile import (
    Asked,
    Hostile,
    exception,
    late,
    request,
    silent,
    words,
)
from tests.agent.acquire.bus.virtual_line import CEILING_S, URLS, WIRE_S, by_unit, outcome, play, seconds_of


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
