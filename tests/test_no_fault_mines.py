"""Whatever goes wrong with a meter for a week: nobody is accused for it, and not one kilowatt-hour is mined.

Each kind of fault of the simulator strikes a clean building of its own after five weeks of clean
history, when the test for hidden loads is armed. The registers go through the simulator's frames
and faults, the agent's judgement of frames, its codec, poller, windows, checks and analyst; only
the sockets are left out. FLATWATT_FAULTS=long polls each minute instead of every twelve.
"""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np

from agent.acquire.bus.line import Line
from agent.acquire.poll.make_poller import meter_plan
from agent.acquire.poll.poller import BusPlan, Poller
from agent.acquire.profiles.profile import find_profile
from agent.analyse.analyst import Analyst, Day
from agent.analyse.quality.inspector import Inspector
from agent.analyse.site import Site
from agent.analyse.window import WindowBuilder
from agent.records import Judgement, Tier, Verdict, Window
from firmware_sim.clock import StillClock
from firmware_sim.device import Device
from firmware_sim.faults import KINDS
from firmware_sim.faults.book import FaultBook
from firmware_sim.plant import Plant
from firmware_sim.scenario import MeterSpec, Scenario, read_scenario
from firmware_sim.station import Nobody, Station, Units
from tests.agent.analyse.metering import facts_of, simulated
from tests.agent.analyse.stories import RULES
from tests.memory_bus import MemoryBus

DAY_S = 86_400
START_S = 1_767_571_200  # Monday, 2026-01-05
CLEAN_DAYS, FAULT_DAYS, AFTER_DAYS = 35, 7, 1
LONG = os.environ.get("FLATWATT_FAULTS") == "long"
PERIOD_S, WINDOW_S = (60, 900) if LONG else (720, 3600)
ACCUSING = (Verdict.MINING, Verdict.SUSPECT)
DOUBLED = {"ratio-known"}  # the load that doubles as its ratio does may be suspected until the two are brought together
POWERS = [f"active_power_{phase}w" for phase in ("", "l1_", "l2_", "l3_")]


@dataclass(frozen=True)
class Struck:
    """A fault as its keys in a scenario, the meter that it strikes, and whether that is unfit to be judged then."""

    kind: str
    keys: str = ""
    profile: str = "eastron_sdm630"
    rtu: bool = False
    felt: bool = True


FAULTS = {
    "reversed": Struck("wiring", 'reversed = ["l2"]'),
    "all-reversed": Struck("wiring", 'reversed = ["l1", "l2", "l3"]'),
    "crossed": Struck("wiring", 'cts = ["l2", "l1", "l3"]'),
    "leads": Struck("wiring", 'leads = ["l3", "l1", "l2"]'),
    "ratio-known": Struck("ct_change", "factor = 2", "chint_dtsu666", felt=False),
    "ratio-lower": Struck("ct_change", "factor = 0.5", "chint_dtsu666", felt=False),
    "reset": Struck("reset", felt=False),
    "roll-over": Struck("roll_over", "after_wh = 100_000", "carlo_gavazzi_em340", felt=False),
    "exchanged": Struck("serial_change", "serial = 777", "eastron_sdm120", felt=False),
    "no-power": Struck("not_available", 'quantities = ["active_power_w"]'),
    "no-voltage": Struck("not_available", 'quantities = ["voltage_l1_v", "voltage_l2_v"]', "abb_b23", felt=False),
    "one-value": Struck("value", f"quantities = {POWERS[:1]}\nvalue = 30_000"),
    "all-one-value": Struck("value", f"quantities = {POWERS}\nvalue = 9_000"),
    "infinite": Struck("value", f"quantities = {POWERS[:1]}\nvalue = inf"),
    "scaled": Struck("scaled", f"quantities = {POWERS[:1]}\nfactor = 1.5"),
    "all-scaled": Struck("scaled", f"quantities = {POWERS}\nfactor = 1.5"),
    "scaled-energy": Struck("scaled", 'quantities = ["active_energy_import_wh"]\nfactor = 0.5'),
    "stuck": Struck("stuck"),
    "cached": Struck("cached", "refresh_s = 7200"),
    "cached-long": Struck("cached", "refresh_s = 86_400"),
    "readdressed": Struck("readdressed", "unit = 99"),
    "exception": Struck("exception", "code = 6"),
    "some-exceptions": Struck("exception", "code = 4\nshare = 0.5", felt=False),
    "wrong-unit": Struck("wrong_unit", "unit = 9"),
    "wrong-unit-rtu": Struck("wrong_unit", "unit = 9\nshare = 0.5", rtu=True),
    "wrong-transaction": Struck("wrong_transaction", "id = 0"),
    "wrong-function": Struck("wrong_function", "function = 3"),
    "wrong-count": Struck("wrong_count", "registers = -1"),
    "wrong-count-rtu": Struck("wrong_count", "registers = 2", rtu=True),
    "lying-count": Struck("lying_count", "by = 2"),
    "bad-crc": Struck("bad_crc", rtu=True),
    "bad-bit": Struck("bad_crc", "share = 0.3", felt=False),
    "partial": Struck("partial", "bytes = 7", rtu=True),
    "glued": Struck("glued", rtu=True, felt=False),
    "glued-tcp": Struck("glued", felt=False),
    "over-long": Struck("over_long", "bytes = 9", rtu=True, felt=False),
    "noise": Struck("noise", "share = 0.7", rtu=True, felt=False),
    "noise-tcp": Struck("noise", "share = 0.3", felt=False),
    "silence": Struck("silence"),
    "some-silence": Struck("silence", "share = 0.6", rtu=True),
    "delay": Struck("delay", "delay_s = 1.5"),
    "delay-rtu": Struck("delay", "delay_s = 0.5\nrandom_s = 2", rtu=True),
    "closed": Struck("closed", "share = 0.9"),
    "half-open": Struck("half_open", "share = 0.5"),
    "none": Struck("silence", "share = 0", felt=False),
}


def buildings(folder: Path) -> Scenario:
    """Write a scenario of clean office buildings, each with its fault."""
    text = f"""
[scenario]
name = "Faults"
start = 2026-01-05T00:00:00Z
seed = 5
step_s = {PERIOD_S}
[[bus]]
name = "tcp"
url = "tcp://127.0.0.1:0"
"""
    for unit, (name, struck) in enumerate(FAULTS.items(), start=1):
        text += f"""
[[meter]]
id = "{name}"
bus = "tcp"
unit = {unit}
profile = "{struck.profile}"
[[meter.load]]
kind = "office"
mean_w = {12_000 + 1_000 * (unit % 20)}
[[meter.fault]]
kind = "{struck.kind}"
{struck.keys.replace("'", '"')}
from = "{CLEAN_DAYS}d10h10m"
until = "{CLEAN_DAYS + FAULT_DAYS}d10h10m"
"""
    (folder / "faults.toml").write_text(text)
    return read_scenario(folder / "faults.toml", START_S)


def bus_of(plant: Plant, meter: MeterSpec, clock: StillClock) -> BusPlan:
    """Give a bus with one meter on it, as the agent plans it."""
    feeder, struck = plant.feeders[meter.id], FAULTS[meter.id]

    def station(unit: int, device: Device | Nobody, faults: FaultBook) -> Station:
        return Station(unit=unit, device=device, faults=faults, clock=clock, chance=Random(meter.id))

    nobody = None if struck.rtu else station(0, Nobody(), FaultBook())
    units = Units([station(meter.unit, Device(plant, feeder, clock), feeder.faults)], nobody)
    profile = find_profile(meter.profile)
    registers = tuple(replace(r, tier=Tier.FAST) if r.tier is Tier.SLOW else r for r in profile.registers)
    plan = meter_plan(
        meter.id,
        meter.unit,
        replace(profile, registers=registers, min_gap_ms=0.0),
        Line.rtu(9600) if struck.rtu else Line.tcp(),
    )
    return BusPlan(name=meter.id, bus=MemoryBus(units, clock, struck.rtu), retries=1, meters=(plan,))


async def polled(scenario: Scenario, first_s: int, until_s: int) -> list[Window]:
    """Poll all meters over a stretch of time; give its windows."""
    plant, clock = Plant(scenario), StillClock(first_s)
    buses = [bus_of(plant, meter, clock) for meter in scenario.meters]
    poller = Poller(buses, period_s=PERIOD_S, slow_period_s=PERIOD_S, random=Random(1))
    builder = WindowBuilder([meter.id for meter in scenario.meters], PERIOD_S, WINDOW_S)
    windows = []
    for tick_s in range(first_s, until_s + PERIOD_S, PERIOD_S):
        clock.time_s = float(tick_s)
        if window := builder.close(tick_s):
            windows.append(window)
        builder.add(await poller.poll(tick_s, None))
    return windows


def all_windows(scenario: Scenario) -> Iterator[Window]:
    """Give clean weeks as they were, then a week and some days through the registers."""
    for window in simulated(scenario, CLEAN_DAYS, PERIOD_S, PERIOD_S, WINDOW_S):
        unread = {name: np.full_like(values, np.nan) for name, values in window.identity.items()}
        yield replace(window, identity=unread)  # single precision would make another serial number of it
    first_s = START_S + CLEAN_DAYS * DAY_S
    yield from asyncio.run(polled(scenario, first_s, first_s + (FAULT_DAYS + AFTER_DAYS) * DAY_S))


def judged(scenario: Scenario) -> list[Day]:
    """Give each day of all buildings, as the daemon judges it."""
    sheet = facts_of(scenario)
    inspector, analyst = Inspector(sheet), Analyst("faults", Site("office", sheet), RULES)
    return [day for window in all_windows(scenario) for day in analyst.take(inspector.take(window).window).days]


def of_meter(days: list[Day], name: str) -> list[Judgement]:
    """Give one meter's judgements, day by day."""
    return [judgement for day in days for judgement in day.judgements if judgement.meter == name]


def test_every_kind_of_fault_is_tried() -> None:
    """A new kind needs a row here."""
    assert {struck.kind for struck in FAULTS.values()} == set(KINDS)


def test_no_fault_is_taken_for_mining(tmp_path: Path) -> None:
    """No alarm, no verdict and no energy, neither while it lasts nor when it is put right; and each is felt."""
    days = judged(buildings(tmp_path))

    alarms = [change.judgement.meter for day in days for change in day.changes]
    mined = [name for name in FAULTS if any(day.mining_w != (0.0, 0.0, 0.0) for day in of_meter(days, name))]
    accused = {day.meter for name in FAULTS for day in of_meter(days, name) if day.verdict in ACCUSING}
    middle = {judgement.meter: judgement.verdict for judgement in days[CLEAN_DAYS + 3].judgements}
    assert len(days) == CLEAN_DAYS + FAULT_DAYS + AFTER_DAYS
    assert (alarms, mined, accused - DOUBLED) == ([], [], set())
    assert [name for name, struck in FAULTS.items() if struck.felt and middle[name] is not Verdict.FAULT] == []
    assert {judgement.verdict for judgement in of_meter(days[25:], "none")} == {Verdict.NORMAL}
