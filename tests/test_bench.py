"""The computed half of docs/performance.md is current, and says what is promised."""

import pytest

from agent.acquire.bus.line import Line
from agent.acquire.profiles.profile import find_profile, profile_names
from bench import fairness, wire_time
from bench.__main__ import PAGE

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
