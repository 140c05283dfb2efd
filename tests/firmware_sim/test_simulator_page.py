"""docs/simulator.md names every key and every kind that a scenario may have, and its test runs."""

import re
from pathlib import Path

import pytest

from firmware_sim import verb
from firmware_sim.faults import KINDS as FAULTS
from firmware_sim.fields import keys_of
from firmware_sim.loads import KINDS as LOADS
from firmware_sim.scenario import SCENARIOS, BusSpec, MeterSpec, Scenario

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
ROWS = {row.split("`")[1]: row for row in PAGE.splitlines() if re.match(r"\| `[a-z_]+`", row)}


@pytest.mark.parametrize("table", [Scenario, BusSpec, MeterSpec, *LOADS.values()], ids=lambda table: table.__name__)
def test_every_key_is_documented(table: type) -> None:
    """A key without a word on the page fails here."""
    assert [key for key in keys_of(table) if f"`{key}`" not in PAGE] == []


@pytest.mark.parametrize("kind", [*LOADS, *FAULTS])
def test_every_kind_is_documented(kind: str) -> None:
    """A kind of load or fault without a row on the page fails here, and a key without a place in its row."""
    keys = keys_of((LOADS | FAULTS)[kind]).keys() - {"starts", "ends", "pf", "thd_percent", "from", "until", "share"}

    assert [key for key in keys if f"`{key}`" not in ROWS.get(kind, "")] == []
    assert kind in ROWS


def test_no_kind_is_documented_that_there_is_not() -> None:
    """A row that nothing stands behind promises what nobody keeps."""
    assert set(ROWS) == {*LOADS, *FAULTS}


@pytest.mark.parametrize("name", [path.stem for path in SCENARIOS.glob("*.toml")])
def test_every_shipped_scenario_is_named(name: str) -> None:
    """On the page, and in the verb's own help."""
    assert f"`{name}`" in PAGE
    assert name in (verb.__doc__ or "").rpartition("SCENARIO")[2]


pytest_plugins = ["pytester"]


def test_the_page_shows_a_test_that_passes(pytester: pytest.Pytester) -> None:
    """Word for word, as a stranger copies it into a file of his own."""
    (shown,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    pytester.makepyfile(shown)

    pytester.runpytest_inprocess("-p", "no:asyncio").assert_outcomes(passed=1)
