"""One plain reading of a meter: everything that it says, and everything that it does not."""

import math
import struct

from agent.acquire.bus.fake import FakeBus
from agent.acquire.bus.line import Line
from agent.acquire.profiles.profile import find_profile
from agent.commission.readout import MeterReader
from agent.errors import BusError, BusReason

PROFILE = find_profile("schneider_iem3155")
GARBAGE = BusError(BusReason.GARBAGE, "noise")
Words = dict[tuple[int, int, int], int]


def meter(unit: int = 1, without: tuple[str, ...] = ()) -> Words:
    """Registers in which every float is 230, but for those that the meter does not have."""
    words: Words = {}
    for register in PROFILE.registers:
        raw = struct.pack(">f", 230.0) if register.dtype == "f32" else bytes(2 * register.count)
        for index in range(register.count):
            key = unit, register.function, register.address + index
            words[key] = int.from_bytes(raw[2 * index : 2 * index + 2], "big")
    first, last = min(key[2] for key in words), max(key[2] for key in words)
    words |= {(unit, 3, address): words.get((unit, 3, address), 0) for address in range(first, last + 1)}
    gone = {r.address + i for r in PROFILE.registers if r.name in without for i in range(r.count)}
    return {key: word for key, word in words.items() if key[2] not in gone}


async def test_every_value_is_read() -> None:
    """Those of all tiers; a value outside its range is impossible."""
    readout = await MeterReader(FakeBus(meter()), PROFILE, 1, Line.tcp()).read()

    assert readout.values["voltage_l1_v"] == 230.0
    assert readout.values["active_energy_import_wh"] == 0.0
    assert readout.impossible == {"frequency_hz"}
    assert (readout.unread, readout.failures, readout.answered) == ({}, (), True)


async def test_a_block_that_is_refused_is_read_in_halves() -> None:
    """Only what the meter does not have is missing, and the next reading knows it."""
    bus = FakeBus(meter(without=("current_avg_a", "voltage_ln_avg_v")))
    reader = MeterReader(bus, PROFILE, 1, Line.tcp())

    first = await reader.read()
    asked = len(bus.requests)
    second = await reader.read()

    assert set(first.unread) == set(second.unread) == {"current_avg_a", "voltage_ln_avg_v"}
    assert {error.code for error in first.unread.values()} == {2}
    assert first.values["current_l3_a"] == first.values["voltage_l3_v"] == 230.0
    assert math.isnan(first.values["current_avg_a"])
    assert len(bus.requests) - asked < asked


async def test_a_silence_that_is_confirmed_ends_the_reading() -> None:
    """A second attempt, and then the rest is not asked: it would take a time-out each."""
    bus = FakeBus({})

    readout = await MeterReader(bus, PROFILE, 1, Line.tcp()).read()

    assert len(bus.requests) == readout.requests == 2
    assert set(readout.unread) == set(PROFILE.quantities)
    assert not readout.answered


async def test_noise_is_asked_again_and_counted() -> None:
    """The values are whole, and the failure is told."""
    bus = FakeBus(meter())
    bus.errors.append(GARBAGE)

    readout = await MeterReader(bus, PROFILE, 1, Line.tcp()).read()

    assert readout.unread == {}
    assert readout.failures == (GARBAGE,)
    assert readout.answered


async def test_a_sunspec_meter_without_the_model_says_so() -> None:
    """It refuses the three places where a map may begin."""
    profile = find_profile("sunspec_203")
    bus = FakeBus({(1, 4, 0): 0})

    readout = await MeterReader(bus, profile, 1, Line.tcp()).read()

    assert [request.address for request in bus.requests] == [40000, 50000, 0]
    assert str(readout.failures[0]) == "no SunSpec model 203 at 40000, 50000 or 0"
