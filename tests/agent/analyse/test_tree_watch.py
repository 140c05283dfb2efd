"""What only the tree of meters shows: a load led past its meter, a farm spread over several."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pytest

from agent.analyse.site import Site
from agent.analyse.tree_watch import Days, TreeWatch
from agent.config import MeterFacts
from agent.records import Notice
from tests.agent.analyse.stories import RULES, START_DAY, Floats, facts, farm, moments, office

DAYS = 80
ONSET = 60


def last(hourly: Floats, days: int | None) -> Floats:
    """Give the last days of a series."""
    return hourly if days is None else hourly[:, -days:]


def told(
    loads: Mapping[str, Floats], meters: list[MeterFacts], until: int = DAYS, reactive: float = np.nan
) -> list[tuple[int, Notice]]:
    """Watch a site of own loads day by day; ``reactive`` is the share of every load that swings to and fro."""
    watch = TreeWatch(Site("other", tuple(meters)), RULES)
    own = np.array([load.reshape(-1, 24) for load in loads.values()])
    found = []
    for day in range(ONSET - 10, until):
        seen = own[:, : day + 1]
        days = Days(partial(last, seen), partial(last, seen * reactive), START_DAY + day)
        found += [(day, notice) for notice in watch.look(days)]
    return found


TREE = [facts("main"), facts("lab", parent="main"), facts("hall", parent="main")]
OWN = {"main": office(DAYS, 8000.0, seed=1), "lab": office(DAYS, 12_000.0, seed=2), "hall": office(DAYS, seed=3)}


def test_a_load_led_past_its_meter_is_told_within_a_week() -> None:
    """6 kW leave the lab's meter and appear beside it, at the meter that feeds both."""
    past = farm(DAYS, 6000.0, ONSET)
    loads = OWN | {"main": OWN["main"] + past, "lab": OWN["lab"] + farm(DAYS, 6000.0) - past}

    (day, notice), *more = told(loads, TREE)

    assert ONSET + 3 <= day <= ONSET + 6
    assert (notice.event, notice.meter) == ("bypass", "lab")
    assert notice.data["watts"] == pytest.approx(6000, rel=0.15)
    assert notice.data["parent"] == "main"
    assert more == []


def test_a_load_that_is_switched_off_is_no_bypass() -> None:
    """It is missed at the parent, too."""
    loads = OWN | {"lab": OWN["lab"] + farm(DAYS, 6000.0, 0, ONSET)}

    assert told(loads, TREE) == []


def test_a_new_load_beside_a_sub_meter_is_no_bypass() -> None:
    """Nothing fell: that is the test for hidden loads' business."""
    assert told(OWN | {"main": OWN["main"] + farm(DAYS, 6000.0, ONSET)}, TREE) == []


OFFICES = {f"office-{seed}": office(DAYS, 10_000.0, seed=seed) for seed in range(4)}
FLOORS = [facts(name) for name in OFFICES]


def split(watts: float) -> dict[str, Floats]:
    """Spread a farm over the offices, the same on each."""
    return {name: load + farm(DAYS, watts, ONSET, seed=seed) for seed, (name, load) in enumerate(OFFICES.items())}


def test_a_farm_spread_over_four_meters_is_told_as_an_observation() -> None:
    """A fifth of each office: the sum rises evenly, all four carry it."""
    (day, notice), *more = told(split(2000.0), FLOORS)

    assert ONSET + 7 <= day <= ONSET + 16
    assert (notice.event, notice.meter) == ("splitting", "")
    assert notice.data["watts"] == pytest.approx(8000, rel=0.15)
    assert set(notice.data) == {"watts", *OFFICES}
    assert more == []


def test_a_farm_behind_one_meter_is_not_called_split() -> None:
    """It is judged there."""
    loads = OFFICES | {"office-1": OFFICES["office-1"] + farm(DAYS, 8000.0, ONSET)}

    assert told(loads, FLOORS) == []


def test_a_term_that_starts_everywhere_is_no_farm() -> None:
    """It lifts days, and nights a little: not the same at all hours."""
    hour, workday = moments(DAYS)
    term = (np.arange(DAYS * 24) >= ONSET * 24) * np.where((hour >= 8) & (hour < 20) & workday, 4000.0, 800.0)

    assert told({name: load + term for name, load in OFFICES.items()}, FLOORS) == []


def test_what_came_with_the_reactive_power_of_motors_is_no_farm() -> None:
    """Pumps that run day and night in every building: a power factor of 0.8."""
    assert told(split(2000.0), FLOORS, reactive=0.75) == []


def test_declared_loads_are_not_added_up() -> None:
    """What was registered needs no finding."""
    meters = [facts(name, declared="data_hall") for name in OFFICES]

    assert told(split(2000.0), meters) == []
