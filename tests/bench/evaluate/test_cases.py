"""Farms are put into real records so that nothing but the farm tells a meter with one from a meter without."""

from itertools import pairwise

import numpy as np

from agent.analyse.detect.evidence import shipped_rules
from bench.evaluate.cases import AFTER_DAYS, BEFORE_DAYS, PLAIN, YEAR, Stretch, Virtual, stretch, stretches
from bench.evaluate.data import Meter
from bench.evaluate.farms import CLEAN, farm
from bench.evaluate.trial import judge

LENGTH = 600


def campus(count: int = 9) -> list[Meter]:
    """Give the meters of a site; nothing is known of the first fifty days."""
    rng = np.random.default_rng(2)
    meters = []
    for number in range(count):
        hourly_w = 50e3 + 5e3 * rng.standard_normal((LENGTH, 24))
        hourly_w[:50] = np.nan
        meters.append(Meter(f"building {number}", "campus", "Office", 17000, hourly_w))
    return meters


def test_every_pair_of_a_building_and_a_case_comes_once_and_a_third_of_the_meters_at_most() -> None:
    """Siblings are mostly clean."""
    pairs = [(meter.building, case) for meter in campus() for case in PLAIN]
    found = []
    for each in stretches(campus(), pairs, (1, 2)):
        farms = [(virtual.building, virtual.case) for virtual in each.virtuals if virtual.case is not None]
        assert len(farms) <= 3
        found += farms

    assert sorted(found, key=str) == sorted(pairs, key=str)


def test_a_stretch_ends_with_the_judged_year_and_has_all_the_history_there_is() -> None:
    """It begins where the site's record begins; eight weeks of history at least."""
    for seed in range(20):
        each = stretch(campus(3), {}, np.random.default_rng(seed))

        assert each.first_day == 17050
        assert each.year >= BEFORE_DAYS
        assert {len(virtual.hourly_w) for virtual in each.virtuals} == {each.year + YEAR}


def test_a_farm_is_a_share_of_the_eight_weeks_before_and_begins_within_the_year() -> None:
    """Half of the mean, and eight weeks or more are left."""
    for seed in range(20):
        each = stretch(campus(3), {"building 1": PLAIN[3]}, np.random.default_rng(seed))
        virtual = each.virtuals[1]
        before_w = float(np.nanmean(virtual.hourly_w[virtual.onset - BEFORE_DAYS : virtual.onset]))

        assert each.year <= virtual.onset < each.year + YEAR - AFTER_DAYS
        assert abs(np.median(virtual.farm_w[virtual.onset + 1 :]) / before_w - 0.5) < 0.01
        assert not virtual.farm_w[: virtual.onset].any()


def test_a_meter_without_a_farm_is_left_as_it_was_measured() -> None:
    """To the last bit."""
    meters = campus(3)
    each = stretch(meters, {"building 1": PLAIN[4]}, np.random.default_rng(5))
    days = slice(50, 50 + each.year + YEAR)

    assert np.array_equal(each.virtuals[0].hourly_w, meters[0].hourly_w[days], equal_nan=True)


def test_the_next_stretch_is_another_one() -> None:
    """The year is drawn anew for each."""
    pairs = [(meter.building, case) for meter in campus() for case in PLAIN]
    years = [each.year for each in stretches(campus(), pairs, (1, 2))]

    assert any(one != other for one, other in pairwise(years))


def test_the_daemons_code_finds_a_plain_farm_in_a_stretch() -> None:
    """A step by the whole of a quiet office's load is told within four weeks, and nothing of its sibling."""
    rng = np.random.default_rng(6)
    busy = np.where(np.arange(65) % 7 < 5, 0.8, 0.2)[:, None] * np.sin(np.pi * np.arange(24) / 24)
    quiet_w = 50e3 * (0.6 + busy + 0.01 * rng.standard_normal((65, 24)))
    farm_w = np.zeros((65, 24))
    farm_w[38:] = 50e3 * farm(rng, CLEAN, np.zeros(27, dtype=bool))
    clean = Virtual("calm", "Office", quiet_w, np.zeros(65), None, -1)
    mined = Virtual("mined", "Office", quiet_w + farm_w, farm_w.mean(axis=1), PLAIN[4], 38)
    calm, found = judge(Stretch("campus", 17000, 28, (clean, mined)), shipped_rules())

    assert calm.trace.told("raised").tolist() == []
    assert 38 <= found.trace.told("raised")[0] < 65
    assert found.row()["alarm"].popitem()[1] == "raised"
