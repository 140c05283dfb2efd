"""A serial adapter: pulled out, plugged in elsewhere, and named so that both do not matter."""

import os
import pty
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.acquire.bus.bus import Bus, open_bus
from agent.acquire.bus.url import by_id_path
from agent.errors import BusDownError, BusError, BusReason
from tests.agent.acquire.bus.hostile import hang_up, pty_meter, request, silent


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """The stable path of an adapter, as udev makes it: a link to whatever device it is now."""
    return tmp_path / "usb-FTDI_FT232R_A50285BI-if00-port0"


@pytest.fixture
def another_adapter() -> Iterator[Callable[[], None]]:
    """Plug in another one: it takes the number of a device that went away."""
    descriptors: list[int] = []
    yield lambda: descriptors.extend(pty.openpty())
    for descriptor in descriptors:
        os.close(descriptor)


def device(adapter: Path) -> str:
    """The device that it is now."""
    return str(adapter.readlink())


def pull_out(adapter: Path) -> None:
    """Let the system take the stable path away."""
    adapter.unlink()


def plug_in(adapter: Path, url: str) -> None:
    """Let the stable path lead to the device of a bus."""
    adapter.symlink_to(url.removeprefix("rtu://").partition("?")[0])


async def error_of(bus: Bus) -> BusError:
    """The error of a read."""
    with pytest.raises(BusError) as caught:
        await bus.read(request())
    return caught.value


@pytest.mark.parametrize("reason", [BusReason.DISCONNECTED, None])
async def test_adapter_comes_back_as_another_device(
    adapter: Path, another_adapter: Callable[[], None], reason: BusReason | None
) -> None:
    """Read by its stable path, an adapter that was pulled out works again under the number it gets then."""
    bus = open_bus(f"rtu://{adapter}?baud=115200", 0.5)
    async with pty_meter() as meter:
        plug_in(adapter, meter.url)
        await bus.read(request())
        first = device(adapter)
        if reason:
            meter.script.append(hang_up)
            assert (await error_of(bus)).reason is reason
    pull_out(adapter)
    await error_of(bus)
    another_adapter()
    started_s = time.monotonic()

    gone, noticed_s = await error_of(bus), time.monotonic() - started_s
    async with pty_meter() as meter:
        plug_in(adapter, meter.url)
        words, second = await bus.read(request()), device(adapter)
        await bus.close()

    assert isinstance(gone, BusDownError)
    assert noticed_s < 0.2
    assert "No such file or directory; check the path; adapters are listed under /dev/serial/by-id" in str(gone)
    assert words == (100, 101, 102, 103)
    assert first != second


async def test_adapter_that_went_while_nothing_was_asked(adapter: Path) -> None:
    """What an adapter was asked before it was pulled out does not keep the next one waiting."""
    bus = open_bus(f"rtu://{adapter}?baud=115200", 0.05)
    async with pty_meter() as meter:
        plug_in(adapter, meter.url)
        meter.script.append(silent)
        assert (await error_of(bus)).reason is BusReason.TIMEOUT
    pull_out(adapter)

    assert isinstance(await error_of(bus), BusDownError)
    async with pty_meter() as meter:
        plug_in(adapter, meter.url)
        assert await bus.read(request()) == (100, 101, 102, 103)
        await bus.close()


def test_stable_path_of_an_adapter(tmp_path: Path) -> None:
    """The path under by-id is found by the device that it leads to, also through another link."""
    device, alias, by_id = tmp_path / "ttyUSB0", tmp_path / "rs485", tmp_path / "by-id"
    device.touch()
    alias.symlink_to(device)
    by_id.mkdir()
    stable = by_id / "usb-FTDI_FT232R_A50285BI-if00-port0"
    stable.symlink_to(device)

    assert by_id_path(str(device), str(by_id)) == by_id_path(str(alias), str(by_id)) == str(stable)
    assert by_id_path(str(tmp_path / "ttyUSB1"), str(by_id)) is None
    assert by_id_path(str(stable), str(by_id)) is None  # it is one already
    assert by_id_path(str(device), str(tmp_path / "no-such-folder")) is None
