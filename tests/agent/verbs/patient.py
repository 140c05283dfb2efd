"""A gateway with simulated meters, and what the doctor finds there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from firmware_sim.testing import Meters

EM340 = "carlo_gavazzi_em340"
LOAD_W = 9000.0  # 3 kW a phase: well above where rounding makes the angles
Simulate = Callable[..., Meters]


def gateway(folder: Path, url: str, *profiles: str, more: str = "", period_s: float = 60.0) -> Path:
    """Write the configuration of meters m1, m2 … on one bus."""
    text = f'id = "g"\n[site]\nname = "s"\nkind = "other"\n[poll]\nperiod_s = {period_s}\n[mqtt]\nurl = "mqtts://h"\n'
    text += f'[[bus]]\nname = "bus"\nurl = "{url}"\ntimeout_s = 0.3\n'
    for unit, profile in enumerate(profiles, start=1):
        text += f'[[meter]]\nid = "m{unit}"\nbus = "bus"\nunit = {unit}\nprofile = "{profile}"\n'
    path = folder / "gateway.toml"
    path.write_text(text + more)
    return path


def doctor(capsys: pytest.CaptureFixture[str], *words: str, readings: int = 3) -> tuple[int, list[dict[str, Any]]]:
    """Run the verb; give its exit code and what it found."""
    code = main(["doctor", "--json", "--readings", str(readings), *words])
    return code, json.loads(capsys.readouterr().out)["findings"]


def codes(findings: list[dict[str, Any]]) -> list[str]:
    """Give what was found."""
    return [finding["code"] for finding in findings]
