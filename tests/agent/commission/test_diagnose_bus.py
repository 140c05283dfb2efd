"""What is wrong on the way to a meter."""

import math
from collections.abc import Iterable

import pytest

from agent.acquire.bus.url import parse_url
from agent.commission.diagnose.bus import (
    load_findings,
    noise_findings,
    path_findings,
    refusal_findings,
    silence_finding,
    time_findings,
)
from agent.commission.diagnose.finding import Finding
from agent.errors import BusDownError, BusError, BusReason

LINE, HOST = parse_url("rtu:///dev/ttyUSB0?baud=9600"), parse_url("tcp://10.0.0.7")
TIMEOUT = BusError(BusReason.TIMEOUT, "no answer within 1.00 s")
GARBAGE = BusError(BusReason.GARBAGE, "7 bytes (01 04) within 1.00 s that are no answer")


def refused(code: int) -> BusError:
    """Make a refusal."""
    return BusError(BusReason.EXCEPTION, f"the device refused: exception {code}", code)


def codes(findings: Iterable[Finding]) -> list[str]:
    """Give what was found."""
    return [finding.code for finding in findings]


def test_a_silent_meter_on_a_line() -> None:
    """The next step is at the line: power, A and B, termination, settings."""
    found = silence_finding([TIMEOUT, TIMEOUT], LINE, others_answer=False)

    assert found.code == "silent"
    assert "nothing on this bus answers" in found.cause
    assert "A and B" in found.next_step
    assert "flatwatt scan rtu:///dev/ttyUSB0" in found.next_step


def test_a_silent_meter_among_others_that_answer() -> None:
    """It is this meter, not the line; where no other was asked it may be either."""
    assert "other meters here answer" in silence_finding([TIMEOUT], LINE, others_answer=True).cause
    assert "it has another unit id, or the cable" in silence_finding([TIMEOUT], LINE, others_answer=None).cause


@pytest.mark.parametrize(("code", "cause"), [(10, "no way to this unit id"), (11, "does not answer it")])
def test_a_gateway_that_speaks_for_a_silent_meter(code: int, cause: str) -> None:
    """Exceptions 10 and 11 come from the gateway, not from the meter."""
    found = silence_finding([refused(code)], HOST, others_answer=False)

    assert found.code == "gateway"
    assert cause in found.cause


def test_noise_instead_of_answers() -> None:
    """Baud, parity or two meters on a line; the scheme of the URL on a network."""
    assert "another baud rate or parity" in silence_finding([GARBAGE], LINE, others_answer=False).cause
    assert "rtu+tcp://" in silence_finding([GARBAGE], HOST, others_answer=False).cause


def test_a_port_that_cannot_be_opened() -> None:
    """The reason and the next step of the operating system's error are kept apart."""
    error = BusDownError("Resource temporarily unavailable; another program holds the port; stop it")

    found = silence_finding([error], LINE, others_answer=False)

    assert found.code == "bus_down"
    assert found.seen.endswith("Resource temporarily unavailable")
    assert found.next_step == "another program holds the port; stop it"


def test_a_sound_line_is_not_noisy() -> None:
    """One lost answer is nothing to talk about, and a refusal is an answer."""
    readings = [{"serial_number": 7.0, "voltage_l1_v": 230.0 + n} for n in range(3)]

    assert codes(noise_findings([TIMEOUT, refused(2), refused(2)], 20, readings)) == []


def test_a_noisy_line() -> None:
    """Five in a hundred, with the reasons counted."""
    (found,) = noise_findings([TIMEOUT] * 3 + [GARBAGE] * 2, 100, [])

    assert found.code == "noise"
    assert "5 of 100 requests without a usable answer (3 timeout, 2 garbage)" in found.seen


def test_a_meter_that_wants_a_longer_silence() -> None:
    """Half of the requests are lost without a damaged byte, and repeating them helps."""
    (found,) = noise_findings([TIMEOUT] * 14, 29, [{"voltage_l1_v": 230.0}])

    assert found.code == "needs_silence"
    assert "min_gap_ms" in found.next_step


def test_two_meters_with_one_unit_id_by_their_serial_numbers() -> None:
    """Now one answers, now the other."""
    (found,) = noise_findings([], 30, [{"serial_number": 7.0}, {"serial_number": 8.0}, {"serial_number": math.nan}])

    assert found.code == "duplicate_unit"
    assert found.severity == "fault"
    assert "serial number 7 and 8" in found.seen


@pytest.mark.parametrize(
    ("failures", "volts"),
    [([GARBAGE] * 10, (230.0, 230.0, 230.0)), ([], (230.0, 115.0, 231.0, 116.0))],
)
def test_two_meters_with_one_unit_id_by_their_collisions(failures: list[BusError], volts: tuple[float, ...]) -> None:
    """Many damaged answers, or values that jump to and fro."""
    readings = [{"voltage_l1_v": value} for value in volts]

    assert codes(noise_findings(failures, 30, readings)) == ["duplicate_unit"]


def test_a_voltage_that_changed_once_is_no_second_meter() -> None:
    """A tap changer or a large load: it does not come back at once."""
    readings = [{"voltage_l1_v": value} for value in (230.0, 230.0, 200.0, 200.0)]

    assert codes(noise_findings([], 30, readings)) == []


def test_gateway_exceptions_among_answers() -> None:
    """A gateway that now and then loses its meter."""
    assert codes(noise_findings([refused(11)], 30, [])) == ["gateway"]


def test_a_slow_meter() -> None:
    """Half a second is what the slowest documents allow."""
    assert codes(time_findings(0.8, 1.0)) == ["slow_meter"]
    assert codes(time_findings(0.1, 1.0)) == []
    assert codes(time_findings(math.nan, 1.0)) == []


def test_a_bus_with_room_is_not_complained_about() -> None:
    """Up to four fifths of its time."""
    assert codes(load_findings(LINE, 0.7, 0.75, 1.0)) == []


def test_a_bus_that_cannot_carry_its_meters() -> None:
    """The period and the baud rate that would do are named; a network has no baud rate."""
    (line,) = load_findings(LINE, 2.4, 2.5, 1.0)
    (network,) = load_findings(HOST, 2.4, 2.5, 1.0)

    assert line.severity == "fault"
    assert "period_s = 5 or baud=38400" in line.next_step
    assert "baud" not in network.next_step


def test_registers_that_a_meter_refuses() -> None:
    """A few are a variant of the model, most are another model."""
    assert codes(refusal_findings([], 40)) == []
    assert [str(f.severity) for f in refusal_findings(["frequency_hz"], 40)] == ["note"]
    assert [str(f.severity) for f in refusal_findings(["frequency_hz"] * 30, 40)] == ["warning"]


def test_a_port_by_number_has_a_stable_name() -> None:
    """ttyUSB0 may be another adapter after a restart."""
    by_id = "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0"

    assert codes(path_findings("/dev/ttyUSB0", by_id)) == ["serial_path"]
    assert codes(path_findings(by_id, by_id)) == []
    assert codes(path_findings("/dev/ttyAMA0", None)) == []
