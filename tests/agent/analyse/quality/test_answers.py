"""What is told of answers that do not come, cannot be used, repeat themselves, are too high, or are nothing."""

import numpy as np

from agent.analyse.features.robust import Floats
from tests.agent.analyse.metering import TICKS, inspected, load, metered


def stopped(series: Floats, first: int, last: int) -> Floats:
    """Let a series stand still from the first to before the last window."""
    series = series.copy()
    series[first * TICKS : last * TICKS] = series[first * TICKS]
    return series


def test_a_frozen_meter_is_told_with_what_it_repeats() -> None:
    """Once, and once when it moves again; the energies that leap then are no tampering."""
    series = metered(load(40))
    series = {name: stopped(values, 10, 20) for name, values in series.items()}

    told = inspected({"office": series}, restart_before=15)

    assert told.checks() == [(10, "stuck", "raised"), (20, "stuck", "cleared")]
    assert told.letters["office"] == "G" * 10 + "K" * 10 + "G" * 20
    assert told.texts[0].startswith("office: repeats 2")
    assert " W, 230." in told.texts[0]
    assert told.texts[0].endswith("a gateway serves old values: restart the meter, or what lies between")
    assert told.texts[1] == "office: values move again since 2026-01-05 05:00 UTC"


def test_answers_without_a_power_are_told_once() -> None:
    """And nothing else of that meter is."""
    series = metered(load(40))
    series["active_power_w"][10 * TICKS : 20 * TICKS] = np.nan

    told = inspected({"office": series})

    assert told.checks() == [(10, "unusable", "raised"), (20, "unusable", "cleared")]
    assert "answers, with an active power in 0 % of the polls" in told.texts[0]


def test_a_power_beyond_what_the_feeder_carries_is_told_and_not_judged() -> None:
    """A tenth of the polls is too often for motors that start."""
    series = metered(load(40))
    series["active_power_w"][10 * TICKS : 12 * TICKS : 5] = 150_000.0
    series["active_power_w"][20 * TICKS] = 150_000.0  # one poll of fifteen

    told = inspected({"office": {"active_power_w": series["active_power_w"]}}, limits_w={"office": 100_000.0})

    assert told.checks() == [(10, "overload", "raised"), (12, "overload", "cleared")]
    assert told.letters["office"] == "G" * 10 + "OO" + "G" * 28
    assert "power reaches 150.0 kW, in 20 % of the polls beyond 1.1 times the 100.0 kW" in told.texts[0]


def test_a_feeder_that_rests_for_over_a_week_is_told() -> None:
    """Not one that rests over a weekend, nor a spare one that never had a load."""
    day = np.arange(12 * 24 * TICKS) // (24 * TICKS)
    watts = load(12 * 24)
    meters = {
        name: metered(np.where(rests, 0.0, watts), period_s=240.0)
        for name, rests in (("hall", (day >= 1) & (day < 9)), ("works", (day >= 1) & (day < 4)), ("spare", day >= 0))
    }

    told = inspected(meters, period_s=240.0, window_s=3600)

    assert told.checks() == [(8 * 24 - 1, "unused", "raised"), (9 * 24, "unused", "cleared")]
    assert told.texts[0].startswith("hall: no power flows (0.0 W at most) on a feeder that has carried 20.")
