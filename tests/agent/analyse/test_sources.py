"""Which sources supply a site, hour by hour."""

import numpy as np
import pytest

from agent.analyse.site import Site
from agent.analyse.sources import UNKNOWN, Supply
from agent.config import MeterFacts
from tests.agent.analyse.stories import Floats, facts

MAIN = facts("main", source="grid")
ROOF = facts("roof", role="generation", parent="main", source="pv")
BATTERY = facts("store", role="generation", parent="main", source="battery", capacity_wh=10_000.0)


def supplied(meters: list[MeterFacts]) -> Supply:
    """Give the supply of a site with these meters."""
    return Supply(Site("other", tuple(meters)))


def mix(meters: list[MeterFacts], *watts: float | Floats) -> dict[str, list[float]]:
    """Give the shares of a day through which each meter's power is constant, or given by the hour."""
    day = np.array([np.broadcast_to(power, 24) for power in watts], dtype=float)
    return {source: share.tolist() for source, share in supplied(meters).day(day).items() if share.any()}


def test_the_sources_of_an_hour_share_its_loads_in_proportion() -> None:
    """6 kW from the grid and 2 kW from the roof: a quarter of every kWh is the sun's."""
    assert mix([MAIN, ROOF], 6000, -2000) == {"grid": [0.75] * 24, "pv": [0.25] * 24}


def test_what_is_exported_was_not_the_grids() -> None:
    """Where the site feeds back, all that it draws is its own."""
    assert mix([MAIN, ROOF], -500, -2000) == {"pv": [1.0] * 24}


def test_without_facts_all_comes_from_the_grid() -> None:
    """What stands at the top of the tree is fed from outside."""
    assert mix([facts("a"), facts("b", parent="a")], 5000, 4000) == {"grid": [1.0] * 24}


def test_an_island_has_no_grid() -> None:
    """A diesel set beside its loads, none of them an incomer, is all there is."""
    meters = [facts("set", role="generation", source="diesel"), facts("hall")]

    assert mix(meters, -8000, 8000) == {"diesel": [1.0] * 24}


def test_generation_that_nobody_named_is_unknown() -> None:
    """It is not guessed to be the sun's."""
    assert mix([MAIN, facts("set", role="generation")], 3000, -1000) == {"grid": [0.75] * 24, UNKNOWN: [0.25] * 24}


def test_inverters_below_a_solar_meter_are_not_counted_twice() -> None:
    """The roof's meter measures what both of them generate."""
    inverters = [facts(name, role="generation", parent="roof", source="pv") for name in ("one", "two")]

    assert mix([MAIN, ROOF, *inverters], 6000, -2000, -1200, -800) == {"grid": [0.75] * 24, "pv": [0.25] * 24}


def test_an_hour_that_was_not_measured_has_no_known_source() -> None:
    """A gap in one source's meter leaves the shares of all of them open."""
    roof = np.full(24, -2000.0)
    roof[5] = np.nan

    shares = mix([MAIN, ROOF], 6000, roof)

    assert shares[UNKNOWN] == [0.0] * 5 + [1.0] + [0.0] * 18
    assert shares["grid"][5] == shares["pv"][5] == 0


def test_a_battery_gives_back_what_it_was_charged_with() -> None:
    """Charged by the sun at noon, it supplies the sun's energy in the evening; what it held before was the grid's."""
    hours = np.arange(24)
    store = np.select([hours < 10, (hours >= 12) & (hours < 17), hours >= 18], [-1000.0, 2200.0, -1500.0], 0.0)
    grid = np.where(hours < 12, 500.0, 0.0)
    roof = np.where((hours >= 12) & (hours < 18), -4000.0, 0.0)

    shares = mix([MAIN, ROOF, BATTERY], grid, roof, store)

    assert shares["grid"][:10] == [1.0] * 10
    assert shares["pv"][18:] == pytest.approx([1.0] * 6)


def test_losses_do_not_fill_a_battery_beyond_its_capacity() -> None:
    """More goes in than comes out, for years; what is stored stays a mix of its capacity."""
    supply = supplied([MAIN, BATTERY])
    hours = np.arange(24)

    for _ in range(30):
        supply.day(np.array([np.full(24, 3000.0), np.where(hours < 12, 800.0, -600.0)]))

    assert 0 < sum(supply.stored_wh.values()) <= 10_000


def test_no_energy_is_lost_or_made_by_attribution() -> None:
    """The shares of every hour add up to one, whatever flows."""
    chance = np.random.default_rng(5)
    watts = chance.normal(0, 3000, (3, 24))
    watts[:, 7] = 0

    shares = np.array(list(supplied([MAIN, ROOF, BATTERY]).day(watts).values()))

    assert shares.sum(axis=0) == pytest.approx(np.ones(24))
    assert shares.min() >= 0
