"""``docs/at-the-meters.md``, held against what it describes."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli import main
from firmware_sim.testing import Meters

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/at-the-meters.md").read_text()
SOURCES = [*(ROOT / "agent/commission").rglob("*.py")]


def test_the_page_s_basement_is_found_and_diagnosed(
    flatwatt_meters: Callable[..., Meters], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its scenario gives the three models of its scan and the finding of its doctor."""
    (scenario,) = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    meters = flatwatt_meters(scenario.replace("rtu://./adapter?baud=9600", "tcp://127.0.0.1:0"))

    scanned = main(["scan", meters.url(), "--units", "1-3", "-o", str(tmp_path / "gateway.toml"), "--json"])
    found = [meter["profiles"][0] for meter in json.loads(capsys.readouterr().out)]
    examined = main(["doctor", "-c", str(tmp_path / "gateway.toml"), "--readings", "2"])
    out = capsys.readouterr().out

    assert (scanned, examined) == (0, 1)
    assert found == ["eastron_sdm630", "abb_b23", "carlo_gavazzi_em340"]
    assert "fault: em330-em340-3: ct_swapped" in out
    assert "why  the current transformers of phases 2 and 3 are swapped" in out
    assert "why  the current transformers of phases 2 and 3 are swapped" in PAGE


def test_every_finding_of_the_doctor_is_in_the_table() -> None:
    """With what was seen and what to do."""
    codes = {code for path in SOURCES for code in re.findall(r'code="([a-z_]+)"', path.read_text())}

    assert len(codes) > 15
    assert [code for code in sorted(codes) if f"`{code}`" not in PAGE] == []
