"""What systemd hears of a service that runs, hangs, or is not watched."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.watchdog import feed


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket on which systemd listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(2)
        yield listener


def environment(systemd: socket.socket, **more: str) -> dict[str, str]:
    """Give what systemd puts into the environment of a service that it watches every 0.2 s."""
    return {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "200000", "WATCHDOG_PID": str(os.getpid())} | more


async def heard(systemd: socket.socket, settings: dict[str, str], seconds: float) -> list[bytes]:
    """Give what is said in a time."""
    feeding = asyncio.create_task(feed(settings))
    await asyncio.sleep(seconds)
    feeding.cancel()
    systemd.setblocking(False)
    messages = []
    try:
        while True:
            messages.append(systemd.recv(100))
    except BlockingIOError:
        return messages


async def test_a_service_says_that_it_is_up_and_again_and_again_that_it_is(systemd: socket.socket) -> None:
    """Four times in the time that systemd waits."""
    messages = await heard(systemd, environment(systemd), 0.33)

    assert messages[0] == b"READY=1"
    assert set(messages[1:]) == {b"WATCHDOG=1"}
    assert 4 <= len(messages[1:]) <= 7


async def test_a_loop_that_hangs_is_silent(systemd: socket.socket) -> None:
    """So systemd ends it, and starts it anew."""
    feeding = asyncio.create_task(feed(environment(systemd)))
    await asyncio.sleep(0.01)
    time.sleep(0.3)  # noqa: ASYNC251 - the hanging that is meant
    feeding.cancel()

    messages = await heard(systemd, {}, 0.0)

    assert messages == [b"READY=1", b"WATCHDOG=1"]


@pytest.mark.parametrize("more", [{"WATCHDOG_USEC": ""}, {"WATCHDOG_PID": "1"}], ids=["no watchdog", "of another"])
async def test_who_is_not_watched_says_only_that_it_is_up(systemd: socket.socket, more: dict[str, str]) -> None:
    """A unit of Type=notify waits for that word in any case."""
    assert await heard(systemd, environment(systemd, **more), 0.1) == [b"READY=1"]


async def test_without_systemd_and_with_one_that_is_gone_all_goes_on(tmp_path: Path) -> None:
    """Nobody listens, and the service does not care."""
    await feed({})
    feeding = asyncio.create_task(feed({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1000"}))
    await asyncio.sleep(0.05)

    assert not feeding.done()
    feeding.cancel()
