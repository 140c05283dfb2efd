"""A small scenario to build others from, and the profiles that ship."""

from collections.abc import Callable
from pathlib import Path

import pytest

from firmware_sim.plant import Plant
from firmware_sim.scenario import Scenario, read_scenario

HEAD = """
[scenario]
name = "Test"
start = 2026-01-05T00:00:00Z
seed = 5
step_s = {step_s}

[[bus]]
name = "tcp"
url = "tcp://127.0.0.1:0"
"""

METER = """
[[meter]]
id = "{id}"
bus = "tcp"
unit = {unit}
profile = "{profile}"
"""

Write = Callable[..., Scenario]


@pytest.fixture
def scenario(tmp_path: Path) -> Write:
    """Give a function that writes a scenario of one or more meters and reads it back."""

    def write(*bodies: str, step_s: float = 60, profile: str = "eastron_sdm630") -> Scenario:
        text = HEAD.format(step_s=step_s)
        for unit, body in enumerate(bodies, start=1):
            text += METER.format(id=f"m{unit}", unit=unit, profile=profile) + body
        file = tmp_path / "scenario.toml"
        file.write_text(text)
        return read_scenario(file, 0.0)

    return write


@pytest.fixture
def plant(scenario: Write) -> Callable[..., Plant]:
    """Give a function that makes a plant of meters with these loads."""

    def make(*bodies: str, **options: float | str) -> Plant:
        return Plant(scenario(*bodies, **options))

    return make
