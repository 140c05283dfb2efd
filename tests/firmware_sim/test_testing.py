"""The simulator as a fixture of other people's tests."""

import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware_sim.testing import Meters, SimError, StillClock, one_bus, simulated_meters

Start = Callable[..., Meters]
READ_POWER = bytes.fromhex("0001 0000 0006 01 04 0034 0002")  # unit 1, active power of an SDM630


def read_power(url: str, patience_s: float = 2.0) -> float:
    """Read as a plain client: one request, one reply. Raises TimeoutError."""
    host, _, port = url.removeprefix("tcp://").partition(":")
    with socket.create_connection((host, int(port)), patience_s) as client:
        client.sendall(READ_POWER)
        reply = client.recv(260)
    return float(struct.unpack(">f", reply[9:])[0])


def test_the_fixture_serves_meters(flatwatt_meters: Start) -> None:
    """The fixture is there without any import; the meters answer as soon as it gives them."""
    meters = flatwatt_meters(one_bus("eastron_sdm630", power_w=1234))

    assert read_power(meters.url()) == 1234


def test_faults_begin_and_end_at_will() -> None:
    """A fault lasts as long as its ``with``; what was late is prompt again."""
    with simulated_meters(one_bus("eastron_sdm630", power_w=1234)) as meters:
        with meters.fault("m1", "silence"), pytest.raises(TimeoutError):
            read_power(meters.url(), patience_s=0.05)

        assert read_power(meters.url()) == 1234


def test_values_and_truth_can_be_compared_with(flatwatt_meters: Start) -> None:
    """A test knows what the registers say, and what is so."""
    clock = StillClock(1_767_571_200.0 + 3600)
    meters = flatwatt_meters(one_bus("eastron_sdm630", power_w=1234), clock)

    meters.fault("bus", "scaled", quantities=["active_power_w"], factor=10)

    assert meters.values("m1")["active_power_w"] == read_power(meters.url()) == 12_340
    assert meters.values("m1")["active_energy_import_wh"] == pytest.approx(1234)
    assert meters.truth()["site"]["load_w"] == pytest.approx(1234)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("m11", "silence"), "'m11': no such meter or bus; there are m1, bus; did you mean 'm1'?"),
        (("m1", "silent"), "'silent': expected one of wiring, .*; did you mean 'silence'?"),
        (("m1", "delay"), "delay.delay_s: missing"),
    ],
)
def test_a_wrong_fault_is_a_complaint(flatwatt_meters: Start, words: tuple[str, str], complaint: str) -> None:
    """What cannot be done is said at once, with what could be meant."""
    meters = flatwatt_meters(one_bus("eastron_sdm630"))

    with pytest.raises(SimError, match=complaint):
        meters.fault(*words)


def test_a_fault_of_what_a_meter_does_not_have_is_a_complaint(flatwatt_meters: Start) -> None:
    """A quantity without a register cannot be wrong."""
    meters = flatwatt_meters(one_bus("eastron_sdm120"))

    with pytest.raises(SimError, match="meter m1: eastron_sdm120 has no register of 'active_power_l1_w'"):
        meters.fault("m1", "not_available", quantities=["active_power_l1_w"])


def test_a_scenario_may_be_a_file_or_a_shipped_one(tmp_path: Path, flatwatt_meters: Start) -> None:
    """Text, path and name mean the same."""
    file = tmp_path / "mine.toml"
    file.write_text(one_bus("eastron_sdm630", power_w=5))

    assert read_power(flatwatt_meters(file).url("bus")) == 5
    with pytest.raises(SimError, match="no such file"):
        flatwatt_meters("nowhere")
