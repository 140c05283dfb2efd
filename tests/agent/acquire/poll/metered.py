"""Meters of a few registers and pollers of them, for tests."""

from collections.abc import Collection
from random import Random
from typing import Any

from agent.acquire.bus.bus import Bus
from agent.acquire.bus.line import Line
from agent.acquire.poll.polled_meter import MeterPlan, OnLesson
from agent.acquire.poll.poller import BusPlan, Poller
from agent.records import MeterProfile, Register, Sample, Tier

START_S = 6_000_000.0  # a multiple of a minute, not of an hour

POWER, FREQUENCY, ENERGY, SERIAL = "active_power_w", "frequency_hz", "active_energy_import_wh", "serial_number"
ADDRESSES = {POWER: 0, FREQUENCY: 1, ENERGY: 10, SERIAL: 20}
TIERS = {POWER: Tier.FAST, FREQUENCY: Tier.FAST, ENERGY: Tier.SLOW, SERIAL: Tier.IDENTITY}


def register(name: str, **changes: Any) -> Register:
    """One 16-bit register of the meter that these tests poll; ``changes`` replace its fields."""
    fields: dict[str, Any] = {
        "name": name,
        "function": 3,
        "address": ADDRESSES.get(name, 0),
        "dtype": "u16",
        "order": "AB",
        "scale": 1.0,
        "tier": TIERS.get(name, Tier.FAST),
        "parameter": False,
        "absent": (),
        "multiply_by": (),
        "exponent_from": "",
        "plus": (),
        "minus": (),
        "verified": "2 sources",
    }
    return Register(**(fields | changes))


REGISTERS = tuple(map(register, ADDRESSES))


def profile(registers: Collection[Register] = REGISTERS, **changes: Any) -> MeterProfile:
    """A profile with these registers; ``changes`` replace its other fields."""
    fields: dict[str, Any] = {
        "name": "test_meter",
        "maker": "Test",
        "model": "Meter",
        "phases": 3,
        "sources": (),
        "registers": tuple(registers),
        "max_registers": 125,
        "max_gap": None,
        "forbidden": (),
        "even_blocks": False,
        "single": (),
        "min_gap_ms": 0.0,
        "min_timeout_ms": 0.0,
        "baud": 9600,
        "parity": "N",
        "stopbits": 1,
        "identity": {},
        "sunspec": (),
        "left_out": (),
        "digest": "0123456789abcdef",
    }
    return MeterProfile(**(fields | changes))


def meter(name: str, unit: int, registers: Collection[Register] = REGISTERS, **changes: Any) -> MeterPlan:
    """A meter with a request a register."""
    single = tuple(entry.name for entry in registers)
    return MeterPlan(id=name, unit=unit, profile=profile(registers, single=single, **changes), line=Line.tcp())


def holding(*units: int) -> dict[tuple[int, int, int], int]:
    """Registers of healthy meters."""
    values = {POWER: 1000, FREQUENCY: 50, ENERGY: 7, SERIAL: 42}
    return {(unit, 3, ADDRESSES[name]): value for unit in units for name, value in values.items()}


def poller_of(*buses: tuple[Bus, list[MeterPlan]], seed: int = 0, on_lesson: OnLesson = lambda *_: None) -> Poller:
    """A poller with a period of a second and a minute for the slow tier."""
    plans = [
        BusPlan(name=f"bus-{index}", bus=bus, retries=1, meters=tuple(meters))
        for index, (bus, meters) in enumerate(buses)
    ]
    return Poller(plans, period_s=1.0, slow_period_s=60.0, random=Random(seed), on_lesson=on_lesson)


def by_meter(samples: list[Sample]) -> dict[str, Sample]:
    """Samples by their meter."""
    assert len({sample.meter for sample in samples}) == len(samples)
    return {sample.meter: sample for sample in samples}
