"""A goal is met where the figure lies within its bounds, and missed aloud."""

import pytest

from bench.evaluate.goals import Goal
from bench.evaluate.metrics import Figure


@pytest.mark.parametrize(("value", "met"), [(0.85, "yes"), (0.7999, "**no**"), (float("nan"), "**no**")])
def test_a_goal_is_judged_by_the_figure_before_it_is_rounded(value: float, met: str) -> None:
    """0.7999 is not 0.80, and what was not measured is not met."""
    goal = Goal("a farm of 25 % found within 28 days", "0.80", 0.80, 1.0, Figure(value, 0.7, 0.9, 100))

    assert goal.row()[-1] == met
