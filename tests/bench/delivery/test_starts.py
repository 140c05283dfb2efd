"""How long starts take is not flattered by those that were killed before they were done."""

import math

import pytest

from bench.delivery.starts import Starts


def test_a_start_that_was_killed_counts_as_one_that_took_longer() -> None:
    """Of 0.5, 0.7 and 0.8 s a third took no longer than 0.5 s; with one killed at 0.6 s, fewer did."""
    starts = Starts()
    for killed_s in (0.4, 0.6):
        starts.add(None, 10.0, 10.0 + killed_s)
    for first_s in (0.5, 0.7, 0.8):
        starts.add(10.0 + first_s, 10.0, 13.0)

    figures = starts.figures()

    assert [round(figures[name], 6) for name in ("longest", "killed", "longest_killed")] == [0.8, 2, 0.6]
    assert starts.quantile(0.3) == pytest.approx(0.7)


def test_a_quantile_that_nobody_was_watched_long_enough_for_is_infinite() -> None:
    """Where the last starts were killed, nobody knows how long they would have taken."""
    starts = Starts()
    starts.add(0.5, 0.0, 3.0)
    starts.add(None, 0.0, 0.9)

    assert starts.quantile(0.5) == 0.5
    assert math.isinf(starts.quantile(0.99))
