"""docs/simulator.md names every key that a scenario may have."""

import dataclasses
from pathlib import Path

import pytest

from firmware_sim.loads import KINDS
from firmware_sim.scenario import BusSpec, MeterSpec, Scenario

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()


@pytest.mark.parametrize("table", [Scenario, BusSpec, MeterSpec, *KINDS.values()], ids=lambda table: table.__name__)
def test_every_key_is_documented(table: type) -> None:
    """A key without a word on the page fails here."""
    keys = [field.name for field in dataclasses.fields(table) if "read" in field.metadata]

    assert [key for key in keys if f"`{key}`" not in PAGE] == []


def test_every_kind_is_documented() -> None:
    """A kind of load without a row on the page fails here."""
    assert [kind for kind in KINDS if f"| `{kind}` |" not in PAGE] == []
