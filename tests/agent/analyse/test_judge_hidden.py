"""Farms hidden behind a building's own load, judged day by day with the shipped rules; the truth is known."""

import numpy as np
import pytest

from agent.analyse.analyst import Day
from agent.records import Judgement, Verdict
from tests.agent.analyse.stories import (
    NOTHING,
    Floats,
    cold_store,
    evidence,
    farm,
    judged,
    of,
    office,
    since,
    verdicts,
)

DAYS = 150
FARM_W = 8000.0  # 40 % of the office's mean
FOUND = 25  # days after the onset: the last look
TELLING = 7  # and the first


def frozen(load: Floats, day: int) -> Floats:
    """Give the load as a register shows it that repeats itself from a day on."""
    load[day * 24 :] = load[day * 24]
    return load


def unknown(load: Floats, first: int, last: int) -> Floats:
    """Give the load with an outage of the meter from the first to before the last day."""
    load[first * 24 : last * 24] = np.nan
    return load


def broken_term(days: int) -> Floats:
    """An office that rests for five weeks."""
    load = office(days, seed=9)
    load[60 * 24 : 95 * 24] *= 0.5
    return load


# One facility: farms begin on different days, so no rise is everywhere
ONSETS = {"stays": 60, "leaves": 65, "rests": 70, "outage": 75, "early outage": 80, "stuck": 63, "small": 68}
LOADS: dict[str, Floats] = {
    "stays": office(DAYS, seed=0) + farm(DAYS, FARM_W, 60),
    "leaves": office(DAYS, seed=1) + farm(DAYS, FARM_W, 65, 110),
    "rests": office(DAYS, seed=2) + farm(DAYS, FARM_W, 70, 112) + farm(DAYS, FARM_W, 120),
    "outage": unknown(office(DAYS, seed=3) + farm(DAYS, FARM_W, 75), 120, 123),
    "early outage": unknown(office(DAYS, seed=4) + farm(DAYS, FARM_W, 80), 82, 85),
    "stuck": frozen(office(DAYS, seed=5) + farm(DAYS, FARM_W, 63), 120),
    "small": office(DAYS, seed=6) + farm(DAYS, 300.0, 68),
    "unwatched": unknown(office(DAYS, seed=7), 50, 115),
    "term": broken_term(DAYS),
}
HIDDEN = ["stays", "leaves", "rests", "outage", "early outage", "stuck"]


@pytest.fixture(scope="module")
def days() -> list[Day]:
    """The facility, judged day by day."""
    return judged(LOADS)


def found(days: list[Day], meter: str) -> list[Judgement]:
    """Give the judgements that say mining."""
    return [judgement for judgement in of(days, meter) if judgement.verdict is Verdict.MINING]


@pytest.mark.parametrize("meter", HIDDEN)
def test_a_farm_hidden_in_an_office_is_found(days: list[Day], meter: str) -> None:
    """40 % of the office's mean: found after 25 days at the latest, its start and its power told."""
    onset, last = ONSETS[meter], found(days[:110], meter)[-1]

    low, middle, high = last.mining_w
    assert verdicts(days, meter).index("mining") in range(onset + TELLING - 3, onset + FOUND + 2)
    assert abs(since(last) - onset) <= 2
    assert low <= FARM_W <= high
    assert middle == pytest.approx(FARM_W, rel=0.15)
    assert last.score > 0.5


def test_a_farm_keeps_its_start_and_its_power_for_months(days: list[Day]) -> None:
    """No onset is asked after 25 days; what was found stays."""
    later = of(days, "stays")[ONSETS["stays"] + FOUND + 10 :]

    assert {judgement.verdict for judgement in later} == {Verdict.MINING}
    assert len({(judgement.since_s, judgement.mining_w) for judgement in later}) == 1


def test_before_it_is_sure_there_is_suspicion() -> None:
    """Alone on a site of two months nothing is sure before the last look, and it is said that something came."""
    days = judged({"m": office(90) + farm(90, FARM_W, 60)})

    words = verdicts(days, "m")
    before = words[60 : words.index("mining")]
    assert "suspect" in before
    assert set(words[words.index("mining") :]) == {"mining"}


def test_a_rise_in_all_buildings_at_once_is_suspect_first_and_found_at_last() -> None:
    """Four farms of the same day look like a term that begins; weeks later no term stands so still."""
    days = judged({f"office-{seed}": office(90, seed=seed) + farm(90, FARM_W, 60) for seed in range(4)})

    for seed in range(4):
        words = verdicts(days, f"office-{seed}")
        first = words.index("mining")
        assert first in range(60 + 2 * TELLING, 60 + FOUND + 2)
        assert "suspect" in words[60:first]


def test_a_small_farm_that_nobody_could_see_is_not_guessed(days: list[Day]) -> None:
    """300 W in 20 kW drown in the weather: no verdict of mining, and no watt."""
    assert not found(days, "small")
    assert {judgement.mining_w for judgement in of(days, "small")} == {NOTHING}


def test_a_farm_that_was_there_before_the_first_day_is_no_step() -> None:
    """It is in the baseload from the beginning: three weeks nothing can be said, then that nothing has begun."""
    days = judged({"m": office(60) + farm(60, FARM_W)})

    assert set(verdicts(days, "m")[:20]) == {"inconclusive"}
    assert evidence(of(days, "m")[0]) == {"history"}
    assert set(verdicts(days, "m")[20:]) == {"normal"}
    assert evidence(of(days, "m")[-1]) == {"baseload_step"}


def test_a_farm_that_leaves_closes_the_case(days: list[Day]) -> None:
    """A few days after the baseload has come down the verdict is normal again, and stays so."""
    assert verdicts(days, "leaves")[109] == "mining"
    assert set(verdicts(days, "leaves")[115:]) == {"normal"}


def test_a_farm_that_rests_for_a_week_is_known_when_it_is_back(days: list[Day]) -> None:
    """Its return alone would be no farm's step, for the level is an old one; the case is taken up again."""
    words = verdicts(days, "rests")

    assert set(words[115:121]) == {"normal"}
    assert set(words[124:]) == {"mining"}
    assert abs(since(of(days, "rests")[-1]) - ONSETS["rests"]) <= 2


def test_days_without_data_are_faults_and_mine_nothing(days: list[Day]) -> None:
    """An outage of the meter makes no mining; afterwards the case is still known."""
    assert verdicts(days, "outage")[118:125] == ["mining", "mining", "fault", "fault", "fault", "mining", "mining"]
    assert {judgement.mining_w for judgement in of(days, "outage")[120:123]} == {NOTHING}


def test_days_without_data_confirm_nothing(days: list[Day]) -> None:
    """A farm of two days and an outage of three are not called mining before a week of the farm was measured."""
    assert "mining" not in verdicts(days, "early outage")[: ONSETS["early outage"] + TELLING]


def test_a_register_that_repeats_is_a_fault(days: list[Day]) -> None:
    """Hour after hour the same mean to the last bit: no mining, not even of a farm that was known."""
    stuck = of(days, "stuck")[126:]

    assert verdicts(days, "stuck")[119] == "mining"
    assert {judgement.verdict for judgement in stuck} == {Verdict.FAULT}
    assert {judgement.mining_w for judgement in stuck} == {NOTHING}


def test_a_long_gap_is_no_all_clear(days: list[Day]) -> None:
    """After nine weeks without data nothing is known of what came meanwhile: inconclusive until there is."""
    assert set(verdicts(days, "unwatched")[115:129]) == {"inconclusive"}


def test_a_term_that_starts_again_is_no_farm(days: list[Day]) -> None:
    """After five weeks of break the baseload returns to where it has stood before."""
    assert not found(days, "term")


SPAN = 150
HONEST: dict[str, tuple[Floats, float]] = {
    "office": (office(SPAN), np.nan),
    "modern office": (office(SPAN, seed=8), 0.97),
    "cold store": (cold_store(SPAN), np.nan),
    "compressors": (cold_store(SPAN), 0.85),
    "season": (office(SPAN) * (1 + 0.4 * np.sin(np.arange(SPAN * 24) / 24 / 365 * 2 * np.pi)), np.nan),
    "slow growth": (office(SPAN) * np.repeat(np.linspace(1, 1.5, SPAN), 24), 0.97),
    "idle feeder": (np.zeros(SPAN * 24), np.nan),
    "motor": (farm(SPAN, 30_000.0), 0.82),
}


@pytest.fixture(scope="module")
def honest_days() -> list[Day]:
    """All honest loads as feeders of one site."""
    loads = {name: load for name, (load, _) in HONEST.items()}
    return judged(loads, power_factor=[factor for _, factor in HONEST.values()])


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_load_is_never_mining(honest_days: list[Day], name: str) -> None:
    """Occupancy, compressors, the season's slow ramp, a motor: none is a step that lifts all hours alike."""
    assert "mining" not in verdicts(honest_days, name)
    assert {judgement.mining_w for judgement in of(honest_days, name)} == {NOTHING}
    assert verdicts(honest_days, name)[-1] == "normal"


def test_a_step_at_a_data_centre_is_suspect_only() -> None:
    """A new row of servers and a new row of miners look alike; the change is told, nobody is accused."""
    days = judged({"m": office(90) + farm(90, FARM_W, 60)}, kind="data_centre")

    assert set(verdicts(days, "m")) == {"inconclusive", "normal", "suspect"}
