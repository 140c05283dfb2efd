"""How units are found, and who they are."""

import asyncio
from dataclasses import replace

import pytest

from agent.acquire.bus.bus import open_bus
from agent.acquire.bus.fake import FakeBus
from agent.acquire.bus.line import Line
from agent.acquire.profiles.profile import find_profile, profile_names
from agent.commission.asking import Asker
from agent.commission.identify import Sure, identify
from agent.commission.scan.scan import host_units, is_there, line_steps, probes, worth_asking
from agent.errors import BusError, BusReason
from firmware_sim.testing import one_bus, simulated_meters

KNOWN = [find_profile(name) for name in profile_names()]
LINE = Line.tcp()
PROBES = probes(KNOWN, LINE)
SLOW, FAST = "rtu:///dev/ttyUSB0?baud=9600", "rtu:///dev/ttyUSB0?baud=19200"


def test_the_probes_are_reads_that_many_models_know() -> None:
    """One by each function: some models say nothing to a read that they do not know."""
    assert [(probe.function, probe.address) for probe in PROBES] == [(4, 0), (3, 19000)]


async def test_whatever_answers_is_there() -> None:
    """Words and refusals; not silence, and not a gateway that speaks for a silent meter."""
    bus = FakeBus({(1, 4, 0): 7, (1, 4, 1): 7, (2, 3, 999): 7})

    assert await is_there(bus, replace(PROBES[0], unit=1))
    assert await is_there(bus, replace(PROBES[0], unit=2))
    assert not await is_there(bus, replace(PROBES[0], unit=3))
    for code, there in ((2, True), (4, True), (10, False), (11, False)):
        bus.errors.append(BusError(BusReason.EXCEPTION, "the device refused", code))
        assert await is_there(bus, replace(PROBES[0], unit=1)) is there


async def test_damaged_answers_are_told() -> None:
    """They are no meter, and no silence."""
    bus = FakeBus({})
    bus.errors.append(BusError(BusReason.GARBAGE, "noise"))

    with pytest.raises(BusError):
        await is_there(bus, PROBES[0])


async def test_a_device_that_answers_to_every_unit_id_is_one_meter() -> None:
    """It is asked for a unit id that the standard reserves: nobody should answer."""
    deaf = FakeBus({(unit, 4, address): 7 for unit in range(256) for address in (0, 1)})
    true = FakeBus({(unit, 4, address): 7 for unit in (2, 5) for address in (0, 1)})

    assert [unit async for unit in host_units(deaf, (255, 3, 4), PROBES, [])] == [3]
    assert [unit async for unit in host_units(true, range(1, 8), PROBES, [])] == [2, 5]


def test_usual_units_are_tried_in_every_setting_before_the_others() -> None:
    """A line's setting is found by its first meters; all others are asked in that setting only."""
    steps = line_steps([SLOW, FAST], range(1, 12), PROBES[:1])

    assert [(step.url, step.unit) for step in steps] == [
        *((SLOW, unit) for unit in range(1, 9)),
        *((FAST, unit) for unit in range(1, 9)),
        *((SLOW, unit) for unit in range(9, 12)),
        *((FAST, unit) for unit in range(9, 12)),
    ]


def test_once_a_unit_answers_its_setting_is_the_line_s() -> None:
    """Steps in other settings are left out, and a unit that was found is not asked again."""
    found: list[tuple[str, int]] = []
    asked = []
    for step in worth_asking(line_steps([SLOW, FAST], range(1, 12), PROBES), found, set()):
        asked.append((step.url, step.unit))
        if (step.url, step.unit) == (FAST, 2):
            found.append((FAST, 2))

    assert asked.count((FAST, 2)) == 1
    assert not [unit for url, unit in asked if url == SLOW and unit > 8]
    assert [unit for url, unit in asked if url == FAST and unit > 8] == [9, 10, 11] * 2


def test_a_setting_that_the_port_does_not_have_is_left_out() -> None:
    """Its steps are not worth asking."""
    steps = worth_asking(line_steps([SLOW, FAST], (1, 2), PROBES[:1]), [], {SLOW})

    assert {step.url for step in steps} == {FAST}


def test_every_model_is_told_by_its_code_and_most_by_their_values() -> None:
    """Of all shipped profiles, each simulated: those with a code are known for sure, others are among the candidates.

    One cannot be told: it has neither voltage nor frequency, nor a code. Maps that are equal in what they
    share are candidates for each other; the type plate decides.
    """
    found = asyncio.run(_identified())

    coded = {profile.name for profile in KNOWN if profile.identity and not profile.sunspec}
    standard = {profile.name for profile in KNOWN if profile.sunspec}
    unknown = {name for name, (sure, names) in found.items() if name not in names}
    first = [name for name, (sure, names) in found.items() if names and names[0] == name]
    assert {name for name in coded if found[name][0] is not Sure.CODE} == set()
    assert {name for name in standard if found[name][0] is not Sure.SUNSPEC} == set()
    assert unknown == {"eastron_sdm72d_m"}
    assert len(first) >= 0.9 * len(KNOWN)


async def _identified() -> dict[str, tuple[Sure, list[str]]]:
    found = {}
    with simulated_meters(one_bus(*profile_names(), power_w=9000)) as meters:
        bus = open_bus(meters.url(), 1.0)
        quick = [replace(profile, min_gap_ms=0.0) for profile in KNOWN]  # on TCP the simulator does not mind
        for unit, profile in enumerate(KNOWN, start=1):
            identification = await identify(Asker(bus, unit, LINE, 0.0), quick)
            found[profile.name] = (identification.sure, [known.name for known in identification.profiles])
        await bus.close()
    return found
