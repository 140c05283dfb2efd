"""From configuration to a poller."""

import struct
from pathlib import Path
from random import Random

import pytest

from agent.acquire.bus.fake import FakeBus
from agent.acquire.poll import make_poller as module
from agent.acquire.poll.make_poller import make_poller
from agent.config import load_gateway

GATEWAY = """
id = "gw-1"

[site]
name = "Site"
kind = "office"

[mqtt]
url = "mqtts://broker.example"

[[bus]]
name = "hall"
url = "tcp://127.0.0.1:1"

[[meter]]
id = "main"
bus = "hall"
unit = 1
profile = "eastron_sdm120"
ct_ratio = 40
vt_ratio = 10
"""


async def test_transformers_that_a_meter_does_not_know_of_are_in_its_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every register of the meter reads 1.0: with a CT of 40 and a VT of 10 that is 10 V, 40 A and 400 W."""
    one = struct.unpack(">HH", struct.pack(">f", 1.0))
    bus = FakeBus({(1, function, address): one[address % 2] for function in (3, 4) for address in range(0x10000)})
    monkeypatch.setattr(module, "open_bus", lambda url, timeout_s: bus)
    path = tmp_path / "gateway.toml"
    path.write_text(GATEWAY)

    (sample,) = await make_poller(load_gateway(path), Random(0)).poll(0.0, None)

    assert [sample.values[name] for name in ("voltage_l1_v", "current_l1_a", "active_power_w")] == [10.0, 40.0, 400.0]
