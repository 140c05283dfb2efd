"""Meters below meters, and roofs: each is judged by its own load, what no sub-meter sees."""

import numpy as np

from agent.records import Verdict
from tests.agent.analyse.stories import (
    evidence,
    facts,
    farm,
    judged,
    of,
    office,
    solar,
    verdicts,
)

FARM_W = 12_000.0  # 60 % of the office's mean
DAYS, ONSET = 100, 70


def test_a_roof_is_generation() -> None:
    """A feeder that is declared so is no load, whatever it does."""
    days = judged({"m": solar(60)}, meters=[facts("m", role="generation")])

    assert set(verdicts(days, "m")) == {"normal"}


def test_a_roof_that_nobody_declared_is_inconclusive() -> None:
    """More flows out than in: the meter says so, and what to do about it."""
    last = of(judged({"m": solar(60)}, power_factor=0.99), "m")[-1]

    assert last.verdict is Verdict.INCONCLUSIVE
    assert 'role = "generation"' in last.reasons[0].text


def test_the_sun_hides_no_farm_from_a_meter_tree() -> None:
    """With the roof's own meter below it, the incomer is judged by what it feeds."""
    loads = {"main": office(DAYS) + farm(DAYS, FARM_W, ONSET) + solar(DAYS), "roof": solar(DAYS)}

    days = judged(loads, meters=[facts("main"), facts("roof", parent="main", role="generation")])

    assert verdicts(days, "main")[-1] == "mining"
    assert set(verdicts(days, "roof")) == {"normal"}


def test_a_meter_through_which_the_sun_feeds_back_is_inconclusive() -> None:
    """A net meter's baseload rises when the sun goes; nobody mines for that."""
    roof = solar(150, 40_000.0)
    roof[90 * 24 :] *= 0.1

    days = judged({"m": office(150) + roof})

    assert set(verdicts(days, "m")[1:]) == {"inconclusive"}
    assert "export" in evidence(of(days, "m")[-1])


def test_only_the_meter_that_holds_the_farm_is_named() -> None:
    """The farm is seen by the incomer as well; sums over meters must count it once."""
    workshop = office(DAYS, 12_000.0, seed=7) + farm(DAYS, FARM_W, ONSET)
    loads = {"main": office(DAYS) + workshop, "workshop": workshop}

    days = judged(loads, meters=[facts("main"), facts("workshop", parent="main")])

    assert verdicts(days, "workshop")[-1] == "mining"
    assert set(verdicts(days, "main")) == {"inconclusive", "normal"}


def test_an_incomer_whose_feeders_see_all_is_judged_there() -> None:
    """What remains is the meters' own error."""
    feeder = office(60)

    days = judged({"main": 1.01 * feeder, "feeder": feeder}, meters=[facts("main"), facts("feeder", parent="main")])

    assert set(verdicts(days, "main")) == {"normal"}
    assert evidence(of(days, "main")[-1]) == {"remainder"}


def test_the_power_factor_of_the_whole_says_nothing_of_the_rest() -> None:
    """An incomer at 0.98 with a steady remainder beside its sub-meter: the factor is no evidence on the remainder."""
    loads = {"main": office(60) + farm(60, 4000.0), "office": office(60)}
    site = (facts("main"), facts("office", parent="main"))

    days = judged(loads, meters=site, power_factor=0.98)

    assert "power_factor" not in {name for judgement in of(days, "main") for name in evidence(judgement)}


def test_a_parent_with_a_dead_sub_meter_is_not_called_unmeasured() -> None:
    """The incomer was measured; what is not known is its own part."""
    dead = office(30)
    dead[20 * 24 :] = np.nan
    site = (facts("main"), facts("office", parent="main"))

    days = judged({"main": office(30) * 2, "office": dead}, meters=site)

    last = of(days, "main")[-1]
    assert last.verdict is Verdict.INCONCLUSIVE
    assert "sub-meters" in last.reasons[0].text
