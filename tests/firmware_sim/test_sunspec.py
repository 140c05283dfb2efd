"""A SunSpec device, walked as the standard says a reader does."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware_sim.device import Device
from firmware_sim.plant import Plant
from firmware_sim.scenario import Scenario

PROFILE = """
[meter]
maker = "SunSpec"
model = "203"
phases = 3
sources = ["model 203"]
[sunspec]
models = [201, 202, 203, 204]
[defaults]
function = 3
dtype = "i16"
order = "AB"
verified = "1 source"
[registers]
active_power_w = { address = 18, exponent_from = "w_sf" }
model_code = { address = 0, dtype = "u16" }
[parameters]
w_sf = { address = 22 }
"""
POWER_W = 1234


class Now:
    """A time that stands still."""

    def now_s(self) -> float:
        """Give 2026-01-05, 01:00."""
        return 1_767_574_800.0


def read(device: Device, address: int, count: int) -> bytes:
    """Read registers; nothing where the device refuses."""
    reply = device.answer(struct.pack(">BHH", 3, address, count))
    assert reply is not None
    return reply[2:] if reply[0] == 3 else b""


@pytest.mark.parametrize("base", [40000, 50000, 0])
def test_a_reader_finds_the_model_by_walking(scenario: Callable[..., Scenario], tmp_path: Path, base: int) -> None:
    """The mark, the common model of 66, the meter's model by the number of its phases, the end."""
    (tmp_path / "meter.toml").write_text(PROFILE)
    body = f'sunspec_base = {base}\n[[meter.load]]\nkind = "constant"\npower_w = {POWER_W}\n'
    plant = Plant(scenario(body, profile="meter.toml"))
    device = Device(plant, plant.feeders["m1"], Now())

    assert [read(device, other, 2) for other in {40000, 50000, 0} - {base}] == [b"", b""]
    assert read(device, base, 2) == b"SunS"
    models = {}
    at = base + 2
    while (header := struct.unpack(">HH", read(device, at, 2)))[0] != 0xFFFF:
        models[header[0]] = at
        at += 2 + header[1]
    assert list(models) == [1, 203]
    assert at - models[203] == 107
    assert read(device, models[1] + 2, 32).startswith(b"SunSpec\0")
    power, exponent = struct.unpack(">h6xh", read(device, models[203] + 18, 5))
    assert power * 10.0**exponent == pytest.approx(POWER_W, abs=10.0**exponent)
