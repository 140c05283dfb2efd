"""What a kWh emits, and who says so."""

import pytest

from agent.emission_factors import EmissionFactor, factors, regions


@pytest.mark.parametrize("region", regions())
def test_every_figure_is_believable_and_says_where_it_is_from(region: str) -> None:
    """A grid lies between hydropower and lignite; year and reference can be printed."""
    grid = factors(region, ())["grid"]

    assert 0.005 < grid.kg_per_kwh < 1.3
    assert 2015 <= grid.year <= 2100
    assert len(grid.reference) > 10


def test_the_newest_year_of_a_grid_is_taken() -> None:
    """Of 2022 and 2023, that of 2023."""
    assert factors("CN", ())["grid"].year == 2023


def test_a_site_may_know_better() -> None:
    """Its own figure replaces the published one, and only that."""
    own = EmissionFactor(source="grid", year=2026, kg_per_kwh=0.1, basis="direct", reference="our utility")

    chosen = factors("CN", (own,))

    assert chosen["grid"] is own
    assert chosen["pv"].reference.startswith("IPCC")


def test_a_grid_that_nobody_named_has_no_figure() -> None:
    """No average of the world stands in for it."""
    assert "grid" not in factors(None, ())
