"""Energy, determinism and random access in time."""

import math
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from firmware_sim.electrical import Power
from firmware_sim.feeder import BLOCK, PAGE, Feeder
from firmware_sim.loads import KINDS
from firmware_sim.plant import Plant
from firmware_sim.profile import METERS
from firmware_sim.registers import Bytes
from firmware_sim.scenario import MeterSpec

MakePlant = Callable[..., Plant]
LOADS = {
    "office": "mean_w = 20_000",
    "lighting": "power_w = 5_000",
    "lift": "power_w = 12_000",
    "heater": "power_w = 9_000\nheaters = 3",
    "constant": "power_w = 1_000",
    "servers": "servers = 40",
    "base_station": "power_w = 4_000",
    "pump": "power_w = 15_000",
    "process": "power_w = 60_000",
    "data_hall": "it_w = 50_000",
    "miner_farm": "machines = 10\nstarts = '1d'",
    "cold_store": "mean_w = 8_000",
    "motor": "power_w = 3_000",
    "pv": "peak_w = 30_000",
}


def load(kind: str, more: str = "") -> str:
    """Write one load."""
    return f'[[meter.load]]\nkind = "{kind}"\n{LOADS[kind]}\n{more}\n'


def first_block(plant: Plant) -> int:
    """Give the block in which the scenario starts."""
    return plant.step_of(plant.scenario.start_s) // BLOCK


def test_every_kind_is_tried_here() -> None:
    """The list of loads above is complete, but for recordings, which have tests of their own."""
    assert {*LOADS, "recording"} == set(KINDS)


@pytest.mark.parametrize("kind", LOADS)
def test_counters_are_the_integral_of_power(plant: MakePlant, kind: str) -> None:
    """The difference of import less export between any two steps is the energy that flowed."""
    feeder = plant(load(kind)).feeders["m1"]
    block = first_block(plant(load(kind))) + 1

    values = [feeder.values(n) for n in (block, block + 1)]

    power_w = np.concatenate([v["active_power_w"] for v in values])
    net_wh = np.concatenate([v["active_energy_import_wh"] - v["active_energy_export_wh"] for v in values])
    np.testing.assert_allclose(np.diff(net_wh), power_w[:-1] * 60 / 3600, atol=1e-6)


@pytest.mark.parametrize("kind", LOADS)
def test_it_does_not_matter_when_one_asks(plant: MakePlant, kind: str) -> None:
    """A simulator started later holds bit for bit the registers of one that ran all the time."""
    running, restarted = plant(load(kind)), plant(load(kind))
    pages = range(first_block(running) * BLOCK // PAGE, (first_block(running) + 4) * BLOCK // PAGE)
    rows = [running.feeders["m1"].rows(page) for page in pages]

    late = restarted.feeders["m1"].rows(pages[-1])

    for one, other in zip(rows[-1], late, strict=True):
        np.testing.assert_array_equal(one, other)


def test_seeds_and_meters_differ(plant: MakePlant) -> None:
    """Two meters with the same load do not move alike."""
    made = plant(load("office"), load("office"))
    block = first_block(made) + 1

    one, other = (made.feeders[name].power(block).active_w for name in ("m1", "m2"))

    assert np.corrcoef(np.diff(one), np.diff(other))[0, 1] < 0.5


def test_counters_stand_at_zero_before_the_start(plant: MakePlant) -> None:
    """Nothing is counted before the scenario starts."""
    made = plant(load("constant"))
    block = first_block(made)
    at_start = made.step_of(made.scenario.start_s) - block * BLOCK

    counted_wh = made.feeders["m1"].values(block)["active_energy_import_wh"]

    assert counted_wh[at_start] == 0
    assert counted_wh[at_start + 60] == pytest.approx(1000)
    assert made.feeders["m1"].values(block - 5)["active_energy_import_wh"].max() == 0


def test_a_sum_is_the_sum(plant: MakePlant) -> None:
    """A main incomer shows what its feeders show together, P and Q alike."""
    made = plant(load("office"), load("pv"), 'sum_of = ["m1", "m2"]\n')
    block = first_block(made) + 1

    one, other, main = (made.feeders[name].values(block) for name in ("m1", "m2", "m3"))

    for name in ("active_power_w", "reactive_power_var"):
        np.testing.assert_allclose(main[name], one[name] + other[name])
    np.testing.assert_array_equal(main["frequency_hz"], one["frequency_hz"])


def test_a_sum_may_have_a_better_power_factor_than_its_parts(plant: MakePlant) -> None:
    """Motors lag and power supplies lead: behind the incomer their reactive powers cancel."""
    made = plant(
        '[[meter.load]]\nkind = "constant"\npower_w = 1000\npf = 0.8\n', load("data_hall"), 'sum_of = ["m1", "m2"]\n'
    )
    block = first_block(made) + 1

    one, other, main = (made.feeders[name].values(block) for name in ("m1", "m2", "m3"))

    active_w, reactive_var = (one[name] + other[name] for name in ("active_power_w", "reactive_power_var"))
    np.testing.assert_allclose(main["power_factor"], active_w / np.hypot(active_w, reactive_var))
    assert (main["power_factor"] > np.maximum(one["power_factor"], other["power_factor"])).all()


def test_a_late_start_computes_no_load_twice(plant: MakePlant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting from the scenario's start on is what a start in real time costs; an incomer adds nothing to it."""
    made = plant(load("office"), load("pv"), 'sum_of = ["m1", "m2"]\n')
    original, asked = made.load_power, Counter[tuple[str, int]]()

    def load_power(meter: MeterSpec, number: int, block: int) -> Power:
        asked[meter.id, block] += 1
        return original(meter, number, block)

    monkeypatch.setattr(made, "load_power", load_power)
    for feeder in made.feeders.values():
        feeder.counters(first_block(made) + 20)

    assert len(asked) == 2 * 21
    assert set(asked.values()) == {1}


@pytest.mark.parametrize("kind", LOADS)
def test_the_rated_power_is_not_exceeded(plant: MakePlant, kind: str) -> None:
    """The bound that scale factors are chosen by holds over a month."""
    feeder = plant(load(kind)).feeders["m1"]
    block = first_block(plant(load(kind)))

    peak_w = max(float(np.abs(feeder.power(n).active_w).max()) for n in range(block, block + 22))

    assert 0 < peak_w <= feeder.rated_w * 1.05


def decoded(rows: tuple[Bytes, ...], feeder: Feeder, name: str, step: int) -> float:
    """Read one value back from the bytes as a slow reader would, byte by byte."""
    profile = feeder.nameplate.profile
    entry = next(entry for entry in (*profile.entries, *profile.parameters) if entry.name == name)
    spans = [n for n, span in enumerate(feeder.map.spans) if entry in span.entries]
    at = (entry.address - feeder.map.spans[spans[0]].first) * 2
    wire = bytes(rows[spans[0]][step, at : at + entry.count * 2])
    big_endian = bytes(wire[entry.order.index(letter)] for letter in sorted(entry.order))
    letter = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}
    value = struct.unpack(f">{letter[entry.dtype]}", big_endian)[0] * entry.scale
    for other in entry.multiply_by:
        value *= decoded(rows, feeder, other, step)
    value *= 10 ** (decoded(rows, feeder, entry.exponent_from, step) if entry.exponent_from else 0)
    value += sum(decoded(rows, feeder, other, step) for other in entry.plus)
    return float(value - sum(decoded(rows, feeder, other, step) for other in entry.minus))


def resolution(feeder: Feeder, name: str) -> float:
    """Give what the last digit of a quantity is worth: of its register, and of those that are added to it."""
    profile = feeder.nameplate.profile
    entry = next(entry for entry in (*profile.entries, *profile.parameters) if entry.name == name)
    own = 10 ** feeder.nameplate.constants.get(entry.exponent_from, 0) * abs(entry.scale)
    own *= math.prod(feeder.nameplate.constants[other] for other in entry.multiply_by)
    parts = sum(resolution(feeder, other) for other in (*entry.plus, *entry.minus))
    return (0.0 if entry.dtype[0] == "f" else own) + parts


SMALL = {
    "office": '[[meter.load]]\nkind = "office"\nmean_w = 6_000\n',
    "pv": '[[meter.load]]\nkind = "pv"\npeak_w = 9_000\n',
}


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("file", sorted(METERS.glob("*.toml")), ids=lambda file: file.stem)
def test_every_shipped_profile_shows_what_flows(plant: MakePlant, file: Path, kind: str) -> None:
    """Each quantity can be read back from the registers, to the resolution of the register, either way it flows."""
    made = plant(SMALL[kind], profile=file.stem)
    feeder, block = made.feeders["m1"], first_block(made) + 2

    feeder.check()
    rows, values = feeder.rows(block * BLOCK // PAGE), feeder.values(block)

    for entry in feeder.nameplate.profile.entries:
        if entry.dtype[0] == "u" and not entry.minus and values[entry.name][500] < 0:
            continue  # a meter that knows one direction only
        expected = pytest.approx(values[entry.name][500], rel=1e-6, abs=resolution(feeder, entry.name))
        assert decoded(rows, feeder, entry.name, 500) == expected, entry.name
