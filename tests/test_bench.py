"""The computed half of docs/performance.md is current, and says what is promised."""

import numpy as np
import pytest

from agent.acquire.bus.line import Line
from agent.acquire.profiles.profile import find_profile, profile_names
from bench import fairness, features, wire_time
from bench.performance_page import PAGE

HINT = "run `python -m bench --short`"


@pytest.mark.parametrize("baud", [1200, 9600, 115200])
def test_every_shipped_plan_is_optimal(baud: int) -> None:
    """A second program, without the planner's code, finds no shorter way to read a model."""
    line = Line.rtu(baud)
    found = [wire_time.wire_time(find_profile(name), line) for name in profile_names()]

    assert [each.profile for each in found if abs(each.ours_s - each.least_s) > 1e-9] == []


def test_page_tells_wire_times_as_they_are() -> None:
    """The table of the page is what is computed now."""
    assert wire_time.section().strip() in PAGE.read_text(), HINT


def test_page_tells_the_fairness_of_a_bus_as_it_is() -> None:
    """The table of the page is what the simulation in virtual time gives now."""
    assert fairness.section().strip() in PAGE.read_text(), HINT


def test_features_are_compared_by_value_and_by_time() -> None:
    """A library's feature is ours or off by so much; what it lacks has a dash; without libraries ours stands alone."""
    ours = {"dwell": np.array([0.5, 1.0]), "roughness": np.array([0.1, 0.2]), "shorth": np.array([0.3, 0.3])}
    library = {
        "version": "2.0",
        "values": {"dwell": [0.5, 1.0], "roughness": [0.1, 0.21]},
        "seconds": {"dwell": 4e-5, "roughness": 2e-3},
        "set_size": 700,
        "set_seconds": 0.3,
    }
    other = {**library, "values": {"dwell": [0.5, 1.0]}}

    table = features.comparison({"a": library, "b": other}, ours, dict.fromkeys(ours, 1e-6), 3e-6)

    assert "| `dwell` | 1 µs | 40 µs, same | 40 µs, same |" in table
    assert "| `roughness` | 1 µs | 2 ms, off by 0.05 | — |" in table
    assert "shorth" not in table
    assert "| a meter, whole set | 3 in 3 µs | 700 in 300 ms | 700 in 300 ms |" in table
    assert "whole set | 3 in 3 µs |" in features.comparison({}, ours, dict.fromkeys(ours, 1e-6), 3e-6)
