"""SunSpec models are found where the device has them, and found again."""

import pytest

from agent.acquire.bus.fake import FakeBus
from agent.acquire.bus.line import Line
from agent.acquire.poll.polled_meter import MeterPlan
from agent.acquire.poll.sunspec import Walk
from agent.records import Tier
from tests.agent.acquire.poll.metered import POWER, START_S, by_meter, holding, meter, poller_of, profile, register

MARKER, END = (0x5375, 0x6E53), (0xFFFF, 0)
COMMON = (1, 66, *range(66))
INVERTER = (103, 50, *(0 for _ in range(50)))
METER_203 = (203, 4, 1200, 50, 7, 8)
REGISTERS = (
    register("model_code", address=0, tier=Tier.IDENTITY),
    register(POWER, address=2),
    register("frequency_hz", address=3),
)
PROFILE = profile(REGISTERS, sunspec=(203,))


def device(base: int, *models: tuple[int, ...], unit: int = 1) -> dict[tuple[int, int, int], int]:
    """The words of a device whose map starts at ``base``."""
    words = [word for part in (MARKER, *models, END) for word in part]
    return {(unit, 3, base + index): word for index, word in enumerate(words)}


def plan(**changes: object) -> MeterPlan:
    """A meter that is one SunSpec model of unit 1."""
    return MeterPlan(id="m", unit=1, profile=profile(REGISTERS, **({"sunspec": (203,)} | changes)), line=Line.tcp())


@pytest.mark.parametrize("base", [40000, 50000, 0])
@pytest.mark.parametrize("before", [(COMMON,), (COMMON, INVERTER), ()])
async def test_model_is_found_wherever_it_lies(base: int, before: tuple[tuple[int, ...], ...]) -> None:
    """At each base, behind whatever other models, its values come with the first tick."""
    poller = poller_of((FakeBus(device(base, *before, METER_203)), [plan()]))

    first, second = [(await poller.poll(START_S + tick, None))[0] for tick in range(2)]

    assert (first.status, first.values[POWER], first.values["frequency_hz"]) == ("ok", 1200.0, 50.0)
    assert second.values["model_code"] == 203.0


async def test_device_without_the_model_is_said_and_asked_again_ever_more_seldom() -> None:
    """The walk is bounded, and one that led nowhere is repeated after a back-off."""
    bus = FakeBus(device(40000, COMMON, INVERTER))
    poller = poller_of((bus, [plan()]))

    samples = [(await poller.poll(START_S + tick, None))[0] for tick in range(300)]
    statistics = poller.statistics().meters["m"]

    assert {sample.status for sample in samples} == {"exception"}
    assert statistics.last_error == "no SunSpec model 203 at 40000, 50000 or 0; check the unit id and the profile"
    assert 3 <= statistics.failures["exception"] <= 60


def test_a_map_without_an_end_does_not_hold_the_walk() -> None:
    """Fifty models are enough; what goes on for ever is no SunSpec device."""
    walk, asked = Walk(PROFILE, 1, Line.tcp()), 0
    while walk.request is not None:
        walk.answered(MARKER if walk.request.address in (40000, 50000, 0) else (7, 0))
        asked += 1

    assert walk.base is None
    assert asked == 3 * 51


async def test_model_that_moved_is_found_again() -> None:
    """After an update of the device, whose refusal tells, and after it was away."""
    bus = FakeBus(device(40000, COMMON, METER_203))
    poller = poller_of((bus, [plan()]))
    await poller.poll(START_S, None)

    bus.words = device(50000, METER_203)
    moved = [(await poller.poll(START_S + tick, None))[0] for tick in range(1, 4)]
    bus.silent = {1}
    for tick in range(4, 60):
        await poller.poll(START_S + tick, None)
    bus.silent, bus.words = set(), device(0, METER_203)
    back = [(await poller.poll(START_S + tick, None))[0] for tick in range(60, 180)]

    assert [sample.status for sample in moved] == ["exception", "ok", "ok"]
    assert {sample.values[POWER] for sample in back if sample.status == "ok"} == {1200.0}
    assert back[-1].status == "ok"


async def test_model_that_moves_again_without_a_silence_is_found_within_the_hour() -> None:
    """A device that is updated may refuse for a while and never be silent; a walk or two an hour finds it."""
    bus = FakeBus(device(40000, COMMON, METER_203))
    poller = poller_of((bus, [plan()]))
    await poller.poll(START_S, None)
    bus.words = device(50000, METER_203)
    for tick in range(1, 4):
        await poller.poll(START_S + tick, None)

    bus.words = device(0, METER_203)
    statuses = [(await poller.poll(START_S + tick, None))[0].status for tick in range(4, 3700)]

    assert "exception" in statuses
    assert statuses[-1] == "ok"


async def test_walk_of_one_meter_costs_the_others_nothing() -> None:
    """The headers are asked after the others' fast tier, a few a tick."""
    models = [(700 + number, 0) for number in range(30)]
    bus = FakeBus(holding(2) | device(40000, *models, METER_203))
    poller = poller_of((bus, [plan(), meter("other", 2)]))
    counts = []
    for tick in range(8):
        before = len(bus.requests)
        samples = by_meter(await poller.poll(START_S + tick, None))
        counts.append(sum(asked.unit == 1 for asked in bus.requests[before:]))

        assert samples["other"].status == "ok"

    assert max(counts) <= 8 + 1
    assert samples["m"].values[POWER] == 1200.0
