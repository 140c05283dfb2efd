"""`flatwatt read`: one poll of a real profile over a real connection, as a user sees it."""

import asyncio
import json
import math
import struct
import sys
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from agent.acquire.profiles.profile import find_profile
from tests.agent.acquire.bus.hostile import Asked, Hostile, exception_2, silent, tcp_meter

PROFILE = find_profile("eastron_sdm630")
VALUES = {"voltage_l1_v": 231.5, "active_power_w": 4321.0, "frequency_hz": 49.98, "active_energy_import_wh": 12.5}


def meter_registers(values: Mapping[str, float]) -> dict[tuple[int, int], int]:
    """Registers of an SDM630, by function and address; what ``values`` does not name reads 0."""
    words: dict[tuple[int, int], int] = {}
    for register in PROFILE.registers:
        value = values.get(register.name, 0.0)
        raw = struct.pack(">f", value) if register.dtype == "f32" else bytes(2 * register.count)
        for index in range(register.count):
            words[register.function, register.address + index] = int.from_bytes(raw[2 * index : 2 * index + 2], "big")
    return words


def answer_sdm630(asked: Asked, values: Mapping[str, float] = VALUES) -> None:
    """Answer with the registers of an SDM630."""
    words = meter_registers(values)
    addresses = range(asked.address, asked.address + asked.count)
    body = b"".join(struct.pack(">H", words.get((asked.function, address), 0)) for address in addresses)
    asked.send_frame(bytes((asked.function, len(body))) + body)


@pytest_asyncio.fixture
async def meter() -> AsyncIterator[Hostile]:
    """An SDM630 on Modbus TCP."""
    async with tcp_meter() as hostile:
        hostile.always = answer_sdm630
        yield hostile


def impossible(asked: Asked) -> None:
    """Answer with a power that no facility has, as a wrong byte order would."""
    answer_sdm630(asked, {"active_power_w": 1e30})


def not_available(asked: Asked) -> None:
    """Answer with a power that is no number."""
    answer_sdm630(asked, {"active_power_w": math.nan})


async def flatwatt_read(*words: str) -> tuple[int, str, str]:
    """Run the verb as a process: exit code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent.cli",
        "read",
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 20.0)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_json_holds_every_quantity_of_the_profile(meter: Hostile) -> None:
    """One object with the profile, the unit, the time in UTC, the status, and each quantity as a number or null."""
    code, out, err = await flatwatt_read(meter.url, "--profile", "eastron_sdm630", "--unit", "1", "--json")
    answer = json.loads(out)

    assert (code, err) == (0, "")
    assert list(answer) == ["profile", "unit", "time", "status", "values"]
    assert (answer["profile"], answer["unit"], answer["status"]) == ("eastron_sdm630", 1, "ok")
    assert answer["time"].endswith("Z")
    assert list(answer["values"]) == list(PROFILE.quantities)
    assert answer["values"]["active_power_w"] == 4321.0
    assert answer["values"]["active_energy_import_wh"] == 12500.0
    assert answer["values"]["frequency_hz"] == pytest.approx(49.98, abs=1e-5)


async def test_table_has_units(meter: Hostile) -> None:
    """A person reads quantity, value, unit and meaning."""
    code, out, err = await flatwatt_read(meter.url, "--profile", "eastron_sdm630")

    assert (code, err) == (0, "")
    assert ["voltage_l1_v", "231.5", "V"] in [line.split()[:3] for line in out.splitlines()]
    assert ["active_power_w", "4321", "W"] in [line.split()[:3] for line in out.splitlines()]


async def test_table_judges_every_value(meter: Hostile) -> None:
    """What agrees is ok; a voltage of 0 V is a phase that is off; a total that its phases do not make is told."""
    code, out, _ = await flatwatt_read(meter.url, "--profile", "eastron_sdm630")
    judged = {line.split()[0]: line for line in out.splitlines() if line}

    assert code == 0
    assert judged["voltage_l1_v"].endswith("  ok")
    assert judged["frequency_hz"].endswith("  ok")
    assert judged["active_power_w"].endswith("contradicts: the sum of its phases gives 0")


@pytest.mark.parametrize(
    ("act", "status", "why", "next_step"),
    [
        (silent, "timeout", "no answer within", "check power, wiring"),
        (exception_2, "exception", "exception 2, illegal data address", "that the profile fits the model"),
        (impossible, "range", "what it says is impossible", "its byte order"),
        (not_available, "ok", "not available", "or its profile knows no such register"),
    ],
)
async def test_meter_that_gives_no_power(meter: Hostile, act: object, status: str, why: str, next_step: str) -> None:
    """Without an active power the exit code is 1, and one line says what, where, why and what to do next."""
    meter.always = act  # type: ignore[assignment]

    code, out, err = await flatwatt_read(
        meter.url, "--profile", "eastron_sdm630", "--unit", "3", "--timeout", "0.1", "--json"
    )
    answer = json.loads(out)

    assert code == 1
    assert answer["status"] == status
    assert answer["values"]["active_power_w"] is None
    assert err.startswith(f"flatwatt read: unit 3 (eastron_sdm630) at {meter.url} gave no active power: ")
    assert why in err
    assert next_step in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("udp://meter", "--profile", "eastron_sdm630"), "unknown scheme 'udp'"),
        (("tcp://meter", "--profile", "eastron_sdm360"), "did you mean"),
        (("tcp://meter", "--profile", "eastron_sdm630", "--unit", "248"), "--unit 248 is wrong"),
        (("tcp://meter", "--profile", "eastron_sdm630", "--timeout", "0"), "--timeout 0 is wrong"),
        (("tcp://meter",), "--profile"),
    ],
)
async def test_wrong_argument(words: tuple[str, ...], complaint: str) -> None:
    """A wrong argument is exit code 2, with what is wrong, and nothing is asked."""
    code, out, err = await flatwatt_read(*words)

    assert code == 2
    assert out == ""
    assert complaint in err
    assert "Traceback" not in err
