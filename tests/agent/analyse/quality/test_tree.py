"""Meters of a tree that contradict each other."""

import numpy as np
import pytest

from tests.agent.analyse.metering import Told, inspected, load, metered
from tests.agent.analyse.stories import facts

HOURS = 4  # windows of a quarter of an hour, four an hour


def told(main_w: float, lab_w: float, hall_w: float, hours: int = HOURS, hall: str = "load") -> Told:
    """Inspect a main meter with two sub-meters, each around its power."""
    sheet = [facts("main"), facts("lab", parent="main"), facts("hall", parent="main", role=hall)]
    watts = {"main": main_w, "lab": lab_w, "hall": hall_w}
    return inspected(
        {name: metered(load(4 * hours, power, seed), seed) for seed, (name, power) in enumerate(watts.items())}, sheet
    )


def test_sub_meters_that_see_more_than_their_parent_are_told_after_three_hours() -> None:
    """30 kW below 24 kW: something flows around the main meter, or one of the three is wrong."""
    found = told(24_000, 18_000, 12_000)

    assert found.checks() == [(11, "excess_below", "raised")]
    assert "main: measures 24" in found.texts[0]
    assert "its sub-meters 30" in found.texts[0]
    assert "it is bypassed" in found.texts[0]
    assert set(found.letters["main"]) == {"G"}


@pytest.mark.parametrize("main_w", [29_700, 30_000, 60_000])
def test_the_errors_of_honest_meters_are_no_contradiction(main_w: float) -> None:
    """One percent less than its sub-meters, the same, or a part of its own."""
    assert told(main_w, 18_000, 12_000).checks() == []


def test_an_hour_of_contradiction_is_a_feeder_that_was_switched_over() -> None:
    """Not told: work on a board looks alike."""
    assert told(24_000, 18_000, 12_000, hours=2).checks() == []


def test_generation_that_reads_positive_is_named() -> None:
    """A solar meter whose transformers point the wrong way makes the sum too large."""
    found = told(24_000, 18_000, 12_000, hall="generation")

    assert any("hall generates and reads positive" in text for text in found.texts)


def test_a_battery_that_is_charged_is_no_reversed_generation() -> None:
    """It draws by right, so the contradiction is told without naming it."""
    sheet = [facts("main"), facts("lab", parent="main")]
    sheet.append(facts("store", parent="main", role="generation", source="battery", capacity_wh=1e6))
    watts = {"main": 24_000.0, "lab": 18_000.0, "store": 12_000.0}

    found = inspected({name: metered(load(16, power)) for name, power in watts.items()}, sheet)

    assert "it is bypassed" in found.texts[0]


def test_a_site_that_exports_may_generate_beside_its_sub_meters() -> None:
    """A roof that nobody meters feeds out besides the one that is metered: no contradiction."""
    sheet = [facts("main"), facts("lab", parent="main"), facts("roof", parent="main", role="generation")]
    watts = {"main": -15_000.0, "lab": 5_000.0, "roof": -10_000.0}

    assert inspected({name: metered(load(16, power)) for name, power in watts.items()}, sheet).texts == []


def test_a_silent_sub_meter_leaves_the_sum_open() -> None:
    """What it does not say is not zero."""
    sheet = [facts("main"), facts("lab", parent="main"), facts("hall", parent="main")]
    series = {"main": metered(load(16, 24_000.0), 1), "lab": metered(load(16, 18_000.0, 2), 2)}
    silent = {name: np.full(240, np.nan) for name in series["lab"]}

    assert "excess_below" not in [check for _, check, _ in inspected(series | {"hall": silent}, sheet).checks()]
