"""The dedicated-feeder test as specification: which shapes are a farm's, and which only nearly."""

import numpy as np
import pytest

from agent.analyse.detect import dedicated
from tests.agent.analyse.stories import RULES, Floats, farm, moments

DAYS = 60
WATTS = 30_000.0
HOUR, WORKDAY = moments(DAYS)
CHANCE = np.random.default_rng(9)


def odds(*loads: Floats, factor: float = np.nan) -> list[float]:
    """Give the log-odds of loads, as of their last day."""
    hourly_w = np.stack(loads).reshape(len(loads), -1, 24)
    values = dedicated.features(hourly_w, np.full(hourly_w.shape[:2], factor))
    return list(dedicated.weigh(values, RULES)[0])


def warm(load: Floats, share: float) -> Floats:
    """Let a load swing with the warmth of the day."""
    return load * (1 + share * np.cos(2 * np.pi * (HOUR[: len(load)] - 15) / 24))


def curtailed(load: Floats) -> Floats:
    """Switch off from 16 to 20 h on every second workday."""
    peak = (HOUR >= 16) & (HOUR < 20) & WORKDAY & (np.arange(DAYS * 24) // 24 % 2 == 0)
    return load * np.where(peak, 0.03, 1.0)


def repaired(load: Floats) -> Floats:
    """Lose a tenth for a day and a half, and everything for five hours."""
    hour = np.arange(DAYS * 24)
    away = np.where((hour >= 50 * 24) & (hour < 50 * 24 + 36), 0.9, 1.0)
    return load * away * np.where((hour >= 55 * 24 + 3) & (hour < 55 * 24 + 8), 0.02, 1.0)


FARM = farm(DAYS, WATTS)
FARMS = {
    "clean": FARM,
    "without noise": WATTS * (1 + 1e-4 * CHANCE.standard_normal(DAYS * 24)),
    "warm by day": warm(FARM, 0.03),
    "curtailed": curtailed(FARM),
    "repaired": repaired(FARM),
    "all of it": repaired(curtailed(warm(FARM, 0.03))),
    "of five days": np.where(np.arange(DAYS * 24) < (DAYS - 5) * 24, 0.0, FARM),
    "unmeasured before": np.where(np.arange(DAYS * 24) < (DAYS - 5) * 24, np.nan, FARM),
}


@pytest.mark.parametrize("name", FARMS)
def test_a_farm_is_a_farm_however_it_runs(name: str) -> None:
    """Warmth, price, repairs and youth change the minima and the variance, not the verdict."""
    assert odds(FARMS[name])[0] >= RULES.dedicated_mining


def lit(share: float) -> Floats:
    """Light a garage: by night a little more, always at the same hours."""
    return FARM * np.where((HOUR >= 7) & (HOUR < 18), 1.0, 1.0 + share)


HONEST = {
    "lit garage": lit(0.05),
    "hall that follows its workdays": FARM * np.where(WORKDAY & (HOUR >= 8) & (HOUR < 18), 1.06, 1.0),
    "base station": FARM * (1 + 0.12 * np.clip(np.sin((HOUR - 8) / 24 * 2 * np.pi), -0.7, 0.7)) * (1 + 0.03 * WORKDAY),
    "lit hall that came down": lit(0.03) * np.where(np.arange(DAYS * 24) < 40 * 24, 1.3, 1.0),
    "two levels": FARM * np.where(np.arange(DAYS * 24) // 5 % 3 == 0, 0.7, 1.0),
}


@pytest.mark.parametrize("name", HONEST)
def test_a_load_that_is_nearly_flat_is_no_farm(name: str) -> None:
    """Clocks, people, machines that switch, and an earlier life at a higher level give it away."""
    assert odds(HONEST[name])[0] < RULES.dedicated_mining


UNKNOWN = {
    "street lights": FARM * np.where((HOUR >= 7) & (HOUR < 18), 0.0, 1.0),
    "coarse register": np.round(FARM / 2000) * 2000,
    "generator": -FARM,
    "last digits": np.where(np.arange(DAYS * 24) >= (DAYS - 5) * 24, 1e-310, FARM),
    "three days": np.where(np.arange(DAYS * 24) < (DAYS - 3) * 24, np.nan, FARM),
    "nothing": np.full(DAYS * 24, np.nan),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_of_some_feeders_nothing_is_said(name: str) -> None:
    """Off by day, too coarse, feeding back, idle, too young or unmeasured: unknown, which is not the same as no."""
    assert np.isnan(odds(UNKNOWN[name])[0])


def test_the_power_factor_speaks_where_it_is_known() -> None:
    """Power supplies of computers add to the shape; motors refute any shape; between the two nothing is said."""
    unknown, server, between, motor = (odds(lit(0.05), factor=factor)[0] for factor in (np.nan, 0.98, 0.93, 0.84))

    assert server == unknown + RULES.power_factor_weight
    assert between == unknown
    assert odds(FARM, factor=0.84)[0] < RULES.dedicated_flat
    assert motor < unknown


def test_an_earlier_life_at_a_higher_level_speaks_against_a_farm() -> None:
    """A building that empties becomes flat; a feeder that was idle before does not have that past."""
    shares = {"emptied": 1.3, "idle": 0.03, "always so": 1.0}
    lives = [np.where(np.arange(DAYS * 24) < 40 * 24, share * FARM, FARM) for share in shares.values()]
    hourly_w = np.stack(lives).reshape(len(lives), -1, 24)

    values = dedicated.features(hourly_w, np.full(hourly_w.shape[:2], np.nan))
    emptied, idle, always = dedicated.weigh(values, RULES)[1]["earlier_top"]

    assert emptied < -2
    assert idle == 0  # nothing is known of a life before
    assert always > -1


def test_a_feeder_is_judged_alike_alone_and_among_others() -> None:
    """Meters that are judged together do not touch each other."""
    together = odds(FARM, lit(0.05), curtailed(FARM))

    assert together == pytest.approx([*odds(FARM), *odds(lit(0.05)), *odds(curtailed(FARM))])


def test_all_evidence_can_be_told_in_words() -> None:
    """Each curve of the configuration has a feature and a text, and nothing else has."""
    assert {*RULES.dedicated.curves, "power_factor"} == set(dedicated.TEXTS)
    assert all(dedicated.TEXTS[name](-3.0) for name in dedicated.TEXTS)
