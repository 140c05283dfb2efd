"""What tests on a real line ask for."""

import gc
import logging
from collections.abc import Iterator

import pytest

from agent.acquire.bus import pymodbus_bus


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever the meter does, nothing is logged and nothing reaches the terminal."""
    caplog.set_level(logging.INFO)
    gc.freeze()  # so that only what the test leaves behind is collected

    yield

    gc.collect()
    gc.unfreeze()
    assert [record.getMessage() for record in caplog.records if record.name != "asyncio" or record.levelno > 10] == []
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def no_greeting(monkeypatch: pytest.MonkeyPatch) -> None:
    """These gateways keep nothing for the next client, and are not waited for."""
    monkeypatch.setattr(pymodbus_bus, "_GREETING_S", 0.0)
