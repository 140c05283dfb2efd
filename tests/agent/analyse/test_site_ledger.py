"""A site's account over a replay."""

import json

import pytest

from agent.analyse.site import Site
from agent.analyse.site_ledger import SiteLedger
from agent.emission_factors import factors
from tests.agent.analyse.stories import RULES, facts, farm, judged, office, solar

DAYS, ONSET = 100, 74  # with fewer weeks of a past, a meter without siblings is hardly told from its building
METERS = (
    facts("main", source="grid"),
    facts("lab", parent="main"),
    facts("roof", parent="main", role="generation", source="pv"),
)


@pytest.fixture(scope="module")
def ledger() -> SiteLedger:
    """A main meter with a clean lab; the farm of 8 kW is beside it, from day 74 on."""
    lab = office(DAYS, 12_000.0, seed=7)
    ledger = SiteLedger("Plant", Site("office", METERS), factors("DE", ()), RULES)
    roof = solar(DAYS, 200.0)
    days = judged(
        {"main": lab + office(DAYS) + farm(DAYS, 8000.0, ONSET) + roof, "lab": lab, "roof": roof}, meters=METERS
    )
    assert [ledger.take(day)["load_kwh"] > 0 for day in days] == [True] * DAYS
    return ledger


def test_the_total_says_how_much_from_where_and_since_when(ledger: SiteLedger) -> None:
    """Mining energy as an interval, all of it from the grid, with the factor that was used."""
    (total,) = ledger.total()

    json.dumps(total, allow_nan=False)
    low, middle, high = total["mining_kwh"]
    assert low < middle < high
    assert middle <= 26 * 24 * 8.0 * 1.1
    assert total["mining_kg_co2"][1] == pytest.approx(middle * 0.363, rel=0.01)
    assert [(s["source"], s["year"]) for s in total["sources"]] == [("grid", 2024), ("pv", 2014)]
    assert (total["site"], total["days"], total["coverage"]) == ("Plant", DAYS, 1.0)
    assert abs(int(total["since"][-2:]) - 20) <= 2  # 2026-03-20


def test_a_clean_meter_comes_with_what_could_not_have_been_seen(ledger: SiteLedger) -> None:
    """Only the lab is a clean load; a few kilowatts could hide there."""
    (total,) = ledger.total()

    assert set(total["unseen_w"]) == {"lab"}
    assert 1200 <= total["unseen_w"]["lab"] <= 12_000
    assert any("lab: no mining seen; a load of" in line for line in ledger.lines())


def test_before_the_first_day_there_is_no_total() -> None:
    """Nothing measured is nothing said."""
    assert list(SiteLedger(None, Site("office", METERS), {}, RULES).total()) == []
