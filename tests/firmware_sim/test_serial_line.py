"""Serial lines that take the time of real ones."""

import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from firmware_sim.frames import Message, rtu_frame
from firmware_sim.line import speed_of
from firmware_sim.testing import Meters, StillClock, one_bus

Start = Callable[..., Meters]
POWER = Message(1, bytes.fromhex("04 0034 0002"))
LONG = Message(1, bytes.fromhex("04 0000 0050"))  # 80 registers, the most that an SDM630 gives
needs_mbpoll = pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed (apt install mbpoll)")


def frame(message: Message) -> bytes:
    """Frame a request."""
    return rtu_frame(message)


@contextmanager
def opened(path: Path) -> Iterator[serial.Serial]:
    """Open the terminal as a serial port; reading waits for two seconds at most."""
    with serial.Serial(str(path), timeout=2) as port:
        yield port


def on_a_line(tmp_path: Path, settings: str = "baud=9600", *profiles: str) -> tuple[str, Path]:
    """Write a scenario with meters on a pseudo-terminal."""
    path = tmp_path / "line"
    return one_bus(*(profiles or ("eastron_sdm630",)), url=f"rtu://{path}?{settings}", power_w=1234), path


def fastest_s(exchange: Callable[[], object], pause_s: float = 0.06) -> float:
    """Give the least time that something takes: a busy machine only adds. The pause is the silence a meter wants."""
    took_s = []
    for _ in range(4):
        begun_s = time.monotonic()
        exchange()
        took_s.append(time.monotonic() - begun_s)
        time.sleep(pause_s)
    return min(took_s)


@pytest.mark.parametrize(
    ("settings", "bits", "baud"),
    [("baud=9600", 10, 9600), ("baud=19200&parity=E", 11, 19200), ("stopbits=2", 11, 9600)],
)
def test_a_cycle_takes_the_time_on_the_wire(
    flatwatt_meters: Start, tmp_path: Path, settings: str, bits: int, baud: int
) -> None:
    """Eight characters ask, 20 ms pass, 165 answer: within 5 %."""
    scenario, path = on_a_line(tmp_path, settings)
    flatwatt_meters(scenario)

    with opened(path) as port:

        def cycle() -> None:
            port.write(frame(LONG))
            assert len(port.read(165)) == 165

        took_s = fastest_s(cycle)

    assert took_s == pytest.approx((8 + 165) * bits / baud + 0.020, rel=0.05)


def test_the_turnaround_is_the_meter_s(flatwatt_meters: Start, tmp_path: Path) -> None:
    """A slow meter answers late."""
    scenario, path = on_a_line(tmp_path, "baud=115200")
    flatwatt_meters(scenario.replace("unit = 1\n", "unit = 1\nturnaround_ms = 150\n"))

    with opened(path) as port:

        def cycle() -> None:
            port.write(frame(POWER))
            port.read(9)

        took_s = fastest_s(cycle)

    assert took_s == pytest.approx(0.150 + 17 * 10 / 115200, rel=0.05)


def test_who_asks_too_soon_is_not_heard(flatwatt_meters: Start, tmp_path: Path) -> None:
    """An SDM630 wants 60 ms of silence after whatever was on the line; an SDM120 beside it does not mind."""
    scenario, path = on_a_line(tmp_path, "baud=115200", "eastron_sdm630", "carlo_gavazzi_em340")
    flatwatt_meters(scenario)
    other = frame(Message(2, bytes.fromhex("04 0028 0002")))

    with opened(path) as port:
        port.timeout = 0.3
        port.write(frame(POWER))
        first = port.read(9)
        port.write(frame(POWER))
        too_soon = port.read(9)
        port.write(other)
        other_reply = port.read(9)
        time.sleep(0.062)
        port.write(frame(POWER))
        patient = port.read(9)

    assert (len(first), len(too_soon), len(other_reply), len(patient)) == (9, 0, 9, 9)
    assert first == patient


def test_who_talks_into_an_answer_is_not_understood(flatwatt_meters: Start, tmp_path: Path) -> None:
    """The line is one: the second request is lost, and the answer to the first goes on."""
    scenario, path = on_a_line(tmp_path)
    flatwatt_meters(scenario)

    with opened(path) as port:
        port.write(frame(LONG))
        begun = port.read(20)
        port.write(frame(POWER))
        port.timeout = 0.3
        rest = port.read(145 + 9)

    assert len(begun) + len(rest) == 165


def test_behind_a_transparent_gateway_the_line_is_as_slow(flatwatt_meters: Start) -> None:
    """RTU over TCP: bytes trickle at 9600 baud."""
    meters = flatwatt_meters(one_bus("eastron_sdm630", url="rtu+tcp://127.0.0.1:0"))
    host, _, port = meters.url().partition("://")[2].partition(":")

    with socket.create_connection((host, int(port)), 2) as client:

        def cycle() -> None:
            client.sendall(frame(LONG))
            reply = b""
            while len(reply) < 165:
                reply += client.recv(200)

        took_s = fastest_s(cycle)

    assert took_s == pytest.approx((8 + 165) / 960 + 0.020, rel=0.05)


def test_in_fast_motion_nothing_is_waited_for(flatwatt_meters: Start, tmp_path: Path) -> None:
    """Where the clock is not the real one, an answer comes at once, and no silence is wanted."""
    scenario, path = on_a_line(tmp_path, "baud=300")
    flatwatt_meters(scenario, StillClock(1_767_571_200.0))

    with opened(path) as port:
        begun_s = time.monotonic()
        for _ in range(20):
            port.write(frame(LONG))
            assert len(port.read(165)) == 165

    assert time.monotonic() - begun_s < 1


def test_the_specification_s_silence_is_fixed_above_19200_baud() -> None:
    """3.5 characters, and 1.75 ms on a fast line."""
    assert speed_of("rtu://x?baud=9600").gap_s == pytest.approx(3.5 * 10 / 9600)
    assert speed_of("rtu://x?baud=38400").gap_s == 0.00175


@needs_mbpoll
@pytest.mark.parametrize(
    ("profile", "words", "factor"),
    [
        ("eastron_sdm630", ["-t", "3:float", "-B", "-r", "52"], 1),
        ("abb_b23", ["-t", "4:int", "-B", "-r", str(0x5B14)], 0.01),
        ("carlo_gavazzi_em340", ["-t", "3:int", "-r", str(0x28)], 0.1),
        ("schneider_pm5110", ["-t", "4:float", "-B", "-r", "3059"], 1000),
    ],
)
@pytest.mark.parametrize("on", ["tcp", "line"])
def test_mbpoll_reads_the_power(
    flatwatt_meters: Start, tmp_path: Path, profile: str, words: list[str], factor: float, on: str
) -> None:
    """A client of somebody else's, on a socket and on a line that is as slow as a real one."""
    if on == "tcp":
        meters = flatwatt_meters(one_bus(profile, power_w=12_340))
        where = ["-m", "tcp", "-p", meters.url().rpartition(":")[2], "127.0.0.1"]
    else:
        scenario, path = on_a_line(tmp_path, "baud=9600", profile)
        flatwatt_meters(scenario.replace("1234", "12340"))
        where = ["-m", "rtu", "-b", "9600", "-P", "none", str(path)]

    ended = subprocess.run(
        ["mbpoll", "-a", "1", "-0", "-1", *words, *where], capture_output=True, text=True, timeout=10, check=False
    )

    shown = [line for line in ended.stdout.splitlines() if line.startswith("[")]
    assert shown, ended.stdout + ended.stderr
    assert float(shown[0].split()[1]) * factor == pytest.approx(12_340)


def test_a_frame_that_is_no_request_occupies_the_line(flatwatt_meters: Start, tmp_path: Path) -> None:
    """Noise of a tenth of a second is waited out before anybody is understood."""
    scenario, path = on_a_line(tmp_path)
    flatwatt_meters(scenario)

    with opened(path) as port:
        port.timeout = 0.3
        port.write(struct.pack("100x"))
        time.sleep(0.03)
        port.write(frame(POWER))
        amid = port.read(9)
        port.write(frame(POWER))
        after = port.read(9)

    assert (len(amid), len(after)) == (0, 9)
