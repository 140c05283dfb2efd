"""The servers, read by an independent client (mbpoll) and byte by byte."""

import asyncio
import shutil
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from firmware_sim.device import Device
from firmware_sim.errors import SimError
from firmware_sim.frames import crc16
from firmware_sim.plant import Plant
from firmware_sim.scenario import Scenario, read_scenario
from firmware_sim.server import open_bus
from firmware_sim.site import Site, open_site
from firmware_sim.station import Units

needs_mbpoll = pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed (apt install mbpoll)")
START_S = 1_767_571_200.0  # 2026-01-05
LOAD = '[[meter.load]]\nkind = "constant"\npower_w = 1234\n'


class FixedClock:
    """A time that only the test moves."""

    def __init__(self, time_s: float) -> None:
        self.time_s = time_s

    def now_s(self) -> float:
        """Give the time."""
        return self.time_s


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Serve an SDM120 on TCP, on RTU over TCP and on a pseudo-terminal."""
    text = '[scenario]\nname = "x"\nstart = 2026-01-05T00:00:00Z\n'
    urls = ("tcp://127.0.0.1:0", "rtu+tcp://127.0.0.1:0", f"rtu://{tmp_path / 'line'}?baud=9600")
    for name, url in zip(("tcp", "over", "line"), urls, strict=True):
        text += f'[[bus]]\nname = "{name}"\nurl = "{url}"\n'
        text += f'[[meter]]\nid = "{name}"\nbus = "{name}"\nunit = 7\nprofile = "eastron_sdm120"\n{LOAD}'
    file = tmp_path / "scenario.toml"
    file.write_text(text)
    opened = await open_site(read_scenario(file, 0.0), FixedClock(START_S + 3600))
    yield opened
    await opened.close()


async def mbpoll(*words: str) -> str:
    """Run the client; give what it printed."""
    process = await asyncio.create_subprocess_exec(
        "mbpoll", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 10)
    return output.decode()


def port(site: Site, name: str) -> int:
    """Give the port of a bus."""
    return int(site.urls[name].rpartition(":")[2])


@needs_mbpoll
async def test_an_independent_client_reads_over_tcp(site: Site) -> None:
    """Function 4, address 0x000C of an SDM120: active power as a big-endian float."""
    words = ("-m", "tcp", "-p", str(port(site, "tcp")), "-a", "7", "-t", "3:float", "-B", "-0", "-r", "12", "-1")

    assert "[12]: \t1234" in await mbpoll(*words, "127.0.0.1")


@needs_mbpoll
async def test_an_independent_client_reads_over_a_serial_line(site: Site, tmp_path: Path) -> None:
    """The same by RTU, on the terminal found under the path of the bus."""
    words = ("-m", "rtu", "-b", "9600", "-P", "none", "-a", "7", "-t", "3:float", "-B", "-0", "-r", "12", "-1")

    assert "[12]: \t1234" in await mbpoll(*words, str(tmp_path / "line"))


@needs_mbpoll
async def test_an_independent_client_sees_the_refusals(site: Site) -> None:
    """An address outside the map and a unit that is not there are answered with their exceptions."""
    words = ("-m", "tcp", "-p", str(port(site, "tcp")), "-t", "3:hex", "-0", "-c", "2", "-1", "127.0.0.1")

    assert "Illegal data address" in await mbpoll("-a", "7", "-r", "4000", *words)
    assert "Target device failed to respond" in await mbpoll("-a", "8", "-r", "12", *words)


async def exchange(port_: int, request: bytes, size: int) -> bytes:
    """Send bytes and give the first ``size`` that come back, or all until the peer closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.readexactly(size), 2)
    except asyncio.IncompleteReadError as error:
        return error.partial
    finally:
        writer.close()
        await writer.wait_closed()


async def test_tcp_requests_may_arrive_in_any_pieces(site: Site) -> None:
    """Two requests in one packet get two answers, in order, with their transaction ids."""
    request = bytes.fromhex("000000000006 07 04 000C 0002")
    both = b"\x00\x01" + request[2:] + b"\x00\x02" + request[2:]

    answers = await exchange(port(site, "tcp"), both, 26)

    expected = bytes.fromhex("0000 0007 07 04 04") + struct.pack(">f", 1234)
    assert answers == b"\x00\x01" + expected + b"\x00\x02" + expected


async def test_what_is_no_modbus_tcp_is_hung_up_on(site: Site) -> None:
    """A client of another protocol is not kept waiting."""
    assert await exchange(port(site, "tcp"), b"GET / HTTP/1.1\r\n\r\n", 8) == b""


async def test_writing_is_refused(site: Site) -> None:
    """Function 6 gets exception 1: the meters are read-only."""
    request = bytes.fromhex("0001 0000 0006 07 06 0000 0001")

    assert await exchange(port(site, "tcp"), request, 9) == bytes.fromhex("0001 0000 0003 07 86 01")


async def test_rtu_frames_are_set_apart_by_silence(site: Site) -> None:
    """A broken frame is forgotten after a silence, and the next one is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port(site, "over"))
    frame = bytes.fromhex("07 04 000C 0002")
    writer.write(frame[:3])
    await asyncio.sleep(0.05)
    writer.write(frame + crc16(frame))

    answer = await asyncio.wait_for(reader.readexactly(9), 2)

    body = bytes.fromhex("07 04 04") + struct.pack(">f", 1234)
    assert answer == body + crc16(body)
    writer.close()
    await writer.wait_closed()


async def test_nothing_is_left_behind(site: Site, tmp_path: Path) -> None:
    """Closing removes the link to the terminal."""
    assert (tmp_path / "line").is_symlink()

    await site.close()

    assert not (tmp_path / "line").is_symlink()


READ_POWER = bytes.fromhex("04 0034 0002")
READ_BLOCK = bytes.fromhex("04 0000 0024")


def device(scenario: Callable[..., Scenario], body: str) -> tuple[Device, FixedClock]:
    """Make one SDM630 on a clock of the test's."""
    plant, clock = Plant(scenario(body)), FixedClock(START_S + 30)
    return Device(plant, plant.feeders["m1"], clock), clock


def test_a_stuck_meter_repeats_bit_for_bit(scenario: Callable[..., Scenario]) -> None:
    """While it is stuck, voltage and current stand still; a healthy flat load never does."""
    meter, clock = device(scenario, LOAD + '[[meter.fault]]\nkind = "stuck"\nfrom = "1h"\nuntil = "2h"\n')

    def block(minute: float) -> bytes | None:
        clock.time_s = START_S + minute * 60
        return meter.answer(READ_BLOCK)

    assert block(61) == block(90) == block(119)
    assert len({block(58), block(59), block(90), block(121), block(122)}) == 5


def test_a_gap_of_a_recording_is_a_device_failure(scenario: Callable[..., Scenario], tmp_path: Path) -> None:
    """A meter that measured nothing does not invent a zero: it answers with exception 4."""
    (tmp_path / "load.csv").write_text(
        "time,active_power_w\n2026-01-05T00:00,5\n2026-01-05T00:01,\n2026-01-05T00:02,7\n"
    )
    meter, clock = device(scenario, '[[meter.load]]\nkind = "recording"\nfile = "load.csv"\n')

    clock.time_s = START_S + 90

    assert meter.answer(READ_POWER) == b"\x84\x04"


async def test_a_link_of_somebody_else_stays(tmp_path: Path) -> None:
    """As those of udev below /dev/serial, which a wrong address may name; one that a killed simulator left is not."""
    device, adapter, left = tmp_path / "ttyUSB0", tmp_path / "adapter", tmp_path / "left"
    device.touch()
    adapter.symlink_to(device)
    left.symlink_to("/dev/pts/999999")

    with pytest.raises(SimError, match=r"cannot make the link .*/adapter: File exists"):
        await open_bus(f"rtu://{adapter}", Units([]))
    bus = await open_bus(f"rtu://{left}", Units([]))
    replaced = left.readlink()
    await bus.close()

    assert adapter.readlink() == device
    assert replaced != Path("/dev/pts/999999")
    assert not left.is_symlink()


async def test_a_second_simulator_does_not_take_the_link_of_a_living_one(tmp_path: Path) -> None:
    """The first keeps its line, and the second says what is in its way."""
    url = f"rtu://{tmp_path / 'line'}"
    first = await open_bus(url, Units([]))
    led_to = (tmp_path / "line").readlink()

    with pytest.raises(SimError, match="is another simulator running"):
        await open_bus(url, Units([]))

    assert (tmp_path / "line").readlink() == led_to
    await first.close()


async def test_a_wrong_address_is_not_a_taken_one() -> None:
    """A port that cannot be is wrong input, exit code 2; only what another holds is a failure, 1."""
    with pytest.raises(SimError) as wrong:
        await open_bus("tcp://127.0.0.1:99999", Units([]))

    assert wrong.value.exit_code == 2
    assert "another simulator" not in str(wrong.value)
