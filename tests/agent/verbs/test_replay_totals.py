"""``flatwatt replay --totals``: the site's account."""

import json
from pathlib import Path

import numpy as np
import pytest

from agent.cli import main
from tests.agent.analyse.stories import farm, office, solar

DAYS = 30
SITE = """[site]
name = "Plant"
kind = "industry"
grid = "NO"
[[meter]]
id = "main"
source = "grid"
[[meter]]
id = "miners"
parent = "main"
declared = "mining"
[[meter]]
id = "roof"
parent = "main"
role = "generation"
source = "pv"
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A plant with a registered farm of 6 kW and a solar roof, and what to type."""
    miners, roof = farm(DAYS, 6000.0), solar(DAYS)
    loads = {"main": office(DAYS) + miners + roof, "miners": miners, "roof": roof}
    times = (np.datetime64("2026-01-05T00", "h") + np.arange(DAYS * 24)).astype("datetime64[m]")
    rows = [f"{times[hour]}Z,{meter},{watts[hour]:.1f}" for hour in range(DAYS * 24) for meter, watts in loads.items()]
    (tmp_path / "load.csv").write_text("time,meter,active_power_w\n" + "\n".join(rows))
    (tmp_path / "site.toml").write_text(SITE)
    return ["replay", str(tmp_path / "load.csv"), "--site", str(tmp_path / "site.toml"), "--totals"]


def test_programs_get_the_site_after_each_day_and_its_total_at_the_end(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The objects of the site have no meter, so that they can be told; the total is the sum of the days."""
    assert main([*words, "--json"]) == 0

    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    *days, total = [row for row in rows if "meter" not in row]
    assert [row.get("meter", "site") for row in rows] == ["main", "miners", "roof", "site"] * DAYS + ["site"]
    assert total["mining_kwh"][1] == pytest.approx(sum(day["mining_kwh"][1] for day in days), abs=0.1)
    assert total["mining_kwh"][1] == pytest.approx(DAYS * 24 * 6, rel=0.01)
    assert total["load_kwh"] == pytest.approx(DAYS * 24 * 26, rel=0.01)
    assert {source["source"]: source["year"] for source in total["sources"]} == {"grid": 2023, "pv": 2014}
    by_source = [source["mining_kg_co2"] for source in total["sources"]]
    assert total["mining_kg_co2"][1] == pytest.approx(sum(by_source), abs=0.01)


def test_people_get_the_total(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """How much, which share, from where, with which factor of which year."""
    assert main(words) == 0

    told = capsys.readouterr().out
    assert "site, 2026-01-05 to 2026-02-03: " in told
    assert "kg CO2 at 0.015 kg/kWh (direct, 2023, NVE" in told
    assert "kg CO2 at 0.041 kg/kWh (life cycle, 2014, IPCC" in told
