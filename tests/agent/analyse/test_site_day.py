"""A site's meters added up: load, mining, sources, emissions."""

import numpy as np
import pytest

from agent.analyse.analyst import Day
from agent.analyse.site import Site
from agent.analyse.site_day import SiteBook, SiteEnergy
from agent.analyse.site_report import lines, report
from agent.config import MeterFacts
from agent.emission_factors import factors
from agent.records import Judgement, Verdict
from tests.agent.analyse.stories import DAY_S, START_DAY, facts

MAIN = facts("main", source="grid")
LAB = facts("lab", parent="main")
ROOF = facts("roof", role="generation", parent="main", source="pv")
NORWAY = factors("NO", ())


def judgement(meter: str, mining_w: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Judgement:
    """Judge a meter to mine so much since the first day of the story."""
    seen = mining_w[2] > 0
    verdict = Verdict.MINING if seen else Verdict.NORMAL
    since_s = START_DAY * DAY_S if seen else None
    return Judgement(meter=meter, verdict=verdict, score=0.9, mining_w=mining_w, since_s=since_s, reasons=())


def energy(
    meters: list[MeterFacts], watts: list[float], mining: dict[str, tuple[float, float, float]], number: int = START_DAY
) -> SiteEnergy:
    """Add up a day of constant powers; NaN is a meter that was not measured."""
    hourly = np.array([np.full(24, power) for power in watts])
    judgements = tuple(judgement(meter.id, mining.get(meter.id, (0.0, 0.0, 0.0))) for meter in meters)
    return SiteBook(Site("other", tuple(meters))).day(Day(number, hourly, judgements, ()))


def test_a_site_draws_what_comes_in_and_what_is_generated_within() -> None:
    """6 kW from the grid and 2 kW from the roof are 8 kW; the lab behind the incomer is not counted twice."""
    day = energy([MAIN, LAB, ROOF], [6000, 3000, -2000], {})

    assert day.load_wh == 8000 * 24
    assert day.load_source_wh == {"grid": 6000 * 24, "pv": 2000 * 24}
    assert day.coverage == 1


def test_inverters_below_a_solar_meter_do_not_add_to_the_load() -> None:
    """The site drew 8 kW, whether the roof's 2 kW are metered once or twice."""
    inverter = facts("inverter", role="generation", parent="roof", source="pv")

    assert energy([MAIN, ROOF, inverter], [6000, -2000, -2000], {}).load_wh == 8000 * 24


def test_generation_that_is_not_metered_makes_no_load_negative() -> None:
    """What it feeds back at noon is taken off no other hour, and the sources add up to the load."""
    hourly = np.where(np.arange(24) == 12, -50_000.0, 1000.0)[None]

    day = SiteBook(Site("other", (MAIN,))).day(Day(START_DAY, hourly, (judgement("main"),), ()))

    assert day.load_wh == sum(day.load_source_wh.values()) == 23_000


def test_mining_is_attributed_to_the_sources_of_its_hours() -> None:
    """1 kW of mining where a quarter is the sun's: 0.75 and 0.25 kWh an hour, each with its own factor."""
    day = energy([MAIN, LAB, ROOF], [6000, 3000, -2000], {"lab": (900, 1000, 1200)})

    assert day.mining_source_wh == {"grid": 18_000, "pv": 6000}
    low, middle, high = day.mining_kg(NORWAY) or (0, 0, 0)
    assert middle == pytest.approx(18 * 0.015 + 6 * 0.041)
    assert (low / middle, high / middle) == pytest.approx((0.9, 1.2))


def test_a_source_without_a_factor_has_no_emissions_rather_than_none() -> None:
    """Nobody said which grid: the sum is unknown, not zero."""
    day = energy([MAIN], [6000], {"main": (900, 1000, 1200)})

    assert day.mining_kg({}) is None
    assert any("no emission factor is known" in line for line in lines(day, {}))


def test_the_bands_of_two_meters_add_as_partly_correlated_errors() -> None:
    """Wider than independent errors would be, narrower than one and the same."""
    day = energy([facts("a"), facts("b")], [5000, 5000], {"a": (800, 1000, 1200), "b": (800, 1000, 1200)})

    low, middle, high = (wh / 24 for wh in day.mining_wh)
    assert middle == 2000
    assert 2000 - 400 < low < 2000 - 200 * 2**0.5
    assert 2000 + 200 * 2**0.5 < high < 2000 + 400


def test_the_days_of_one_meter_add_plainly() -> None:
    """The same case is misjudged in the same way each day: ten days do not make it surer."""
    whole = energy([MAIN], [6000], {"main": (800, 1000, 1200)})
    for number in range(START_DAY + 1, START_DAY + 10):
        whole = whole.joined(energy([MAIN], [6000], {"main": (800, 1000, 1200)}, number))

    assert whole.mining_w == pytest.approx((800, 1000, 1200))
    assert (whole.days, whole.since_s) == (10, START_DAY * DAY_S)


def test_a_gap_is_less_coverage_and_no_load() -> None:
    """One of two feeders was not measured: half of the site, and no mining kWh from it."""
    day = energy([facts("a"), facts("b")], [5000, np.nan], {"b": (800, 1000, 1200)})

    assert (day.coverage, day.load_wh, day.mining_wh) == (0.5, 5000 * 24, (0, 0, 0))


def test_the_report_names_the_factors_year_and_source() -> None:
    """Who reads the kilograms can check them."""
    day = energy([MAIN], [6000], {"main": (900, 1000, 1200)})

    written = report("Plant", day, NORWAY)

    assert written["mining_kwh"] == [21.6, 24.0, 28.8]
    assert written["mining_share"] == [0.15, 0.1667, 0.2]
    assert (written["sources"][0]["year"], written["sources"][0]["kg_per_kwh"]) == (2023, 0.015)
    assert "NVE" in written["sources"][0]["reference"]
    assert any("direct, 2023, NVE" in line for line in lines(day, NORWAY))
