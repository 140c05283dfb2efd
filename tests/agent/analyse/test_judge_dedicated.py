"""Feeders that are a farm as a whole, judged day by day with the shipped rules."""

import numpy as np
import pytest

from agent.records import Verdict
from tests.agent.analyse.stories import (
    NOTHING,
    evidence,
    farm,
    judged,
    of,
    office,
    since,
    verdicts,
)

ONSET = 60


def test_a_flat_feeder_with_the_power_factor_of_computers_is_a_farm() -> None:
    """Shape and power supplies agree on a dedicated farm; all of the load is mining."""
    days = judged({"m": farm(30, 30_000.0)}, power_factor=0.99)

    last = of(days, "m")[-1]
    low, middle, high = last.mining_w
    assert "mining" not in verdicts(days, "m")[:4]  # four days' shape on three days in a row
    assert set(verdicts(days, "m")[7:]) == {"mining"}
    assert since(last) == 0
    assert low < middle < high == pytest.approx(30_000, rel=0.01)
    assert low > 0.9 * high
    assert {"upper_gap", "carry_over", "running_days"} <= evidence(last)


def test_a_farm_on_a_feeder_that_was_used_before_is_named_with_its_start() -> None:
    """The feeder's own past tells when it began."""
    workshop = office(80, 4000.0)
    workshop[ONSET * 24 :] = 0.0

    last = of(judged({"m": workshop + farm(80, 30_000.0, ONSET)}, power_factor=0.99), "m")[-1]

    assert last.verdict is Verdict.MINING
    assert abs(since(last) - ONSET) <= 2


@pytest.mark.parametrize("kind", ["data_centre", "telecom"])
def test_flatness_accuses_nobody_where_servers_are_the_business(kind: str) -> None:
    """The same feeder at a data centre or a telecom site is flat: never mining, never a watt, never near an alarm."""
    days = judged({"m": farm(40, 30_000.0)}, kind=kind, power_factor=0.99)

    assert set(verdicts(days, "m")) == {"inconclusive", "flat"}
    assert {judgement.mining_w for judgement in of(days, "m")} == {NOTHING}
    assert max(judgement.score for judgement in of(days, "m")) < 0.5


def test_a_farm_is_found_by_its_shape_alone() -> None:
    """No power factor is known: a feeder that never rests, never rises and knows no hour of the day is a farm."""
    days = judged({"m": farm(30, 30_000.0)})

    assert verdicts(days, "m").index("mining") <= 6
    assert set(verdicts(days, "m")[7:]) == {"mining"}
    assert {"upper_gap", "day_pattern", "carry_over", "running_days"} <= evidence(of(days, "m")[-1])


def test_a_farm_on_an_idle_feeder_is_found_within_a_week() -> None:
    """Two months of standby, then full power at ten o'clock: mining since that day, with all of its power."""
    load = 0.03 * farm(ONSET + 7, 30_000.0, seed=5)
    load[ONSET * 24 + 10 :] = farm(7, 30_000.0)[10:]

    days = judged({"m": load})

    found = of(days, "m")[ONSET + 6]
    assert "mining" not in verdicts(days, "m")[:ONSET]
    assert found.verdict is Verdict.MINING
    assert since(found) in (ONSET, ONSET + 1)
    assert found.mining_w[2] == pytest.approx(30_000, rel=0.02)


def test_one_bad_day_does_not_clear_a_farm() -> None:
    """A day on which repairs take a third away is weaker evidence; the verdict stands."""
    load = farm(40, 30_000.0)
    load[30 * 24 + 6 : 30 * 24 + 14] *= 0.67

    days = judged({"m": load})

    assert set(verdicts(days, "m")[7:]) == {"mining"}


def test_a_stuck_feeder_is_no_dedicated_farm() -> None:
    """The perfect miner is a frozen register."""
    days = judged({"m": np.full(40 * 24, 30_000.0)}, power_factor=0.99)

    assert set(verdicts(days, "m")) == {"fault"}
