"""What the doctor says of a line: who shares it, who holds it, and whether it is fast enough."""

import fcntl
import os
from pathlib import Path

import pytest

from agent.acquire.bus.fake import FakeBus
from agent.acquire.bus.line import line_of
from agent.acquire.profiles.profile import find_profile
from agent.commission import checkup_bus
from agent.commission.checkup import Patient, examine
from agent.errors import BusDownError
from agent.records import ReadRequest
from firmware_sim.testing import one_bus
from tests.agent.verbs.patient import EM340, LOAD_W, Simulate, codes, doctor, gateway


def test_two_meters_with_one_unit_id_collide(
    flatwatt_meters: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their bits mix on the line, so most answers are damaged."""
    meters = flatwatt_meters(one_bus(EM340, EM340, url=f"rtu://{tmp_path}/line?baud=115200", power_w=LOAD_W))
    meters.fault("m2", "readdressed", unit=1)

    exit_code, findings = doctor(capsys, meters.url(), "--profile", EM340)

    assert exit_code == 1
    assert codes(findings) == ["duplicate_unit"]


def test_one_meter_under_two_names(
    flatwatt_meters: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A device that answers to every unit id has one serial number."""
    meters = flatwatt_meters(one_bus("eastron_sdm230", "eastron_sdm230", power_w=LOAD_W))
    for name in ("m1", "m2"):
        meters.fault(name, "serial_change", serial=4711)

    exit_code, findings = doctor(capsys, "-c", str(gateway(tmp_path, meters.url(), "eastron_sdm230", "eastron_sdm230")))

    assert exit_code == 1
    assert codes(findings) == ["same_meter"]


def test_a_line_that_is_too_slow_for_its_meters(
    flatwatt_meters: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By what one poll of all meters takes at this speed; the period and the baud rate that would do are named."""
    url = f"rtu://{tmp_path}/line?baud=19200"
    flatwatt_meters(one_bus(EM340, EM340, url=url, power_w=LOAD_W))

    exit_code, findings = doctor(capsys, "-c", str(gateway(tmp_path, url, EM340, EM340, period_s=0.25)), readings=2)

    assert exit_code == 1
    assert codes(findings) == ["slow_bus"]
    assert "period_s = 1 or baud=" in findings[0]["next_step"]


def test_answers_that_come_late_fill_the_bus(
    flatwatt_meters: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan assumes that a meter on a network answers within 5 ms; this one takes 100."""
    meters = flatwatt_meters(one_bus(EM340, power_w=LOAD_W))
    meters.fault("bus", "delay", delay_s=0.1)

    _, findings = doctor(capsys, "-c", str(gateway(tmp_path, meters.url(), EM340, period_s=0.2)), readings=2)

    assert codes(findings) == ["slow_bus"]


def test_a_port_that_another_program_holds(
    flatwatt_meters: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program is named."""
    url = f"rtu://{tmp_path}/line?baud=115200"
    flatwatt_meters(one_bus(EM340, url=url))

    with (tmp_path / "line").open("rb", buffering=0) as port:
        fcntl.flock(port, fcntl.LOCK_EX)
        exit_code, findings = doctor(capsys, url, "--profile", EM340)

    assert (exit_code, codes(findings)) == (1, ["bus_down"])
    assert f"(process {os.getpid()})" in findings[0]["cause"]


async def test_a_silent_meter_is_looked_for_in_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting in which it answers is named."""
    patient = Patient(id="m1", url="rtu:///dev/ttyUSB0?baud=9600", unit=3, profile=find_profile(EM340), timeout_s=0.1)

    def line(url: str, timeout_s: float) -> FakeBus:
        return FakeBus({(3, 4, address): 0 for address in range(100)} if "baud=19200&parity=E" in url else {})

    monkeypatch.setattr(checkup_bus, "open_bus", line)

    setting = await checkup_bus.other_setting(patient, [])

    assert str(setting) == "rtu:///dev/ttyUSB0?baud=19200&parity=E&stopbits=1"


class GoingAway(FakeBus):
    """A bus that cannot be opened any more after so many requests."""

    last = 10  # two readings of an EM340

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """Give the words. Raises BusError."""
        if len(self.requests) == self.last:
            raise BusDownError("Connection refused; check the port")
        return await super().read(request)


async def test_a_meter_that_goes_away_during_the_examination_ends_only_its_own() -> None:
    """Other ways to read it cannot be tried then; what was seen until then is told."""
    patient = Patient(id="m1", url="tcp://h", unit=1, profile=find_profile(EM340), timeout_s=0.1)
    words = {(1, 4, address): 1 for address in (*range(100), *range(0x1000, 0x1010))}
    bus = GoingAway(words | {(1, 4, 0x000B): 331})

    checkup = await examine(bus, patient, line_of(patient.url), 2, lambda: ())

    assert [finding.code for finding in checkup.findings] == ["not_mains"]
