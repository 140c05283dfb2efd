"""The judgement as specification: small facilities with a known truth, judged day by day with the shipped rules."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from agent.analyse.analyst import Day
from agent.analyse.history import History
from agent.analyse.judge import Judge
from agent.analyse.replay import replay
from agent.analyse.rules import RULES as ORDER
from agent.analyse.site import Site
from agent.analyse.window import window_features
from agent.records import Judgement, Verdict
from tests.agent.analyse.stories import (
    DAY_S,
    NOTHING,
    RULES,
    START_DAY,
    Floats,
    cold_store,
    evidence,
    facts,
    farm,
    judged,
    of,
    office,
    recording,
    verdicts,
)

FARM_W = 8000.0  # 40 % of the office's mean
ONSET = 60


def test_the_rules_are_read_from_top_to_bottom() -> None:
    """Faults come before accusations, declarations before findings, and the last rule always answers."""
    names = [rule.__name__ for rule in ORDER]
    position: Callable[[str], int] = names.index

    assert position("stuck") < position("declared") < position("open_case") < position("new_hidden_load")
    assert position("too_little_data") < position("dedicated_farm") < position("suspect") < position("flat")
    assert names[-1] == "normal"


LOADS = {"m": office(100) + farm(100, 12_000.0, ONSET, 90), "cold": cold_store(100)}


@pytest.fixture(scope="module")
def story() -> list[Day]:
    """A farm that comes, is found and goes, beside a cold store."""
    return judged(LOADS, power_factor=0.97)


@pytest.mark.parametrize("until", [25, 84])
def test_a_judgement_uses_nothing_later(story: list[Day], until: int) -> None:
    """Each day is judged the same whether or not later days exist."""
    cut = judged({name: load[: until * 24 + 5] for name, load in LOADS.items()}, power_factor=0.97)

    assert len(cut) == until
    assert [day.judgements for day in cut] == [day.judgements for day in story[:until]]


def test_the_score_is_half_or_more_exactly_for_mining(story: list[Day]) -> None:
    """Whoever sorts by score sees every mining meter above every other."""
    seen = {
        (judgement.verdict is Verdict.MINING, judgement.score >= 0.5) for day in story for judgement in day.judgements
    }

    assert seen == {(True, True), (False, False)}


@pytest.mark.parametrize("changed", ["m", "lab"])
def test_a_load_that_rose_with_a_transformer_ratio_is_no_farm(changed: str) -> None:
    """Somebody set the ratio anew, of this meter or of one below it: all hours rise alike, as with a farm."""
    days, total = 90, office(90)
    later = np.arange(days * 24) >= ONSET * 24 + 10
    lab = office(days, 12_000.0, seed=5)
    loads = {"m": total * np.where(later, 1.8, 1.0), "lab": lab / 1.8}
    if changed == "lab":
        loads = {"m": total + lab, "lab": lab * np.where(later, 0.05, 1.0)}
    ratios = np.where(later & (np.array(list(loads)) == changed)[:, None], 72.0, 40.0)
    power = recording(loads)
    told = replace(power, values={**power.values, "ct_ratio": ratios})
    meters = (facts("m"), facts("lab", parent="m"))

    found = list(replay(told, Site("other", meters), RULES))

    assert "mining" not in verdicts(found, "m")
    assert evidence(of(found, "m")[ONSET + 10]) == {"exchange"}


HALL = 30_000.0 * (1 + 0.01 * np.sin(np.arange(100 * 24)))


def hall(load: Floats, **declared: object) -> list[Judgement]:
    """Judge a data hall that the site registered."""
    return of(judged({"m": load}, meters=[facts("m", **declared)], power_factor=0.98), "m")


def test_a_hall_within_its_declaration_is_declared() -> None:
    """Registered, and not more than was registered."""
    judgements = hall(HALL, declared="data_hall", declared_w=32_000.0)

    assert {judgement.verdict for judgement in judgements} == {Verdict.DECLARED}
    assert {judgement.mining_w for judgement in judgements} == {NOTHING}


def test_a_hall_above_its_declaration_is_suspect() -> None:
    """Something came that was not registered: by how much is the value."""
    last = hall(HALL + farm(100, FARM_W, ONSET), declared="data_hall", declared_w=32_000.0)[-1]

    assert last.verdict is Verdict.SUSPECT
    assert last.reasons[0].value == pytest.approx(6000, rel=0.05)


def test_a_registered_miner_reports_all_of_its_load() -> None:
    """Declared mining is mining that needs no finding."""
    last = hall(HALL, declared="mining")[-1]

    assert last.verdict is Verdict.DECLARED
    assert last.mining_w == pytest.approx((30_000,) * 3, rel=0.01)


def test_what_came_is_asked_for_its_power_factor() -> None:
    """The same rise of motors, of power supplies, and of a meter without reactive power."""
    days, step_w = 90, farm(90, 12_000.0, ONSET)
    tan_phi = np.array([[0.75], [0.1], [np.nan]])  # cos phi 0.8, 0.995, unknown
    power = recording({name: office(days, seed=seed) + step_w for seed, name in enumerate(("motors", "rigs", "m"))})
    told = replace(power, values={**power.values, "reactive_power_var": 3000.0 + tan_phi * step_w})

    found = list(replay(told, Site("other", tuple(map(facts, power.meters))), RULES))

    assert "mining" not in verdicts(found, "motors")
    assert verdicts(found, "rigs").index("mining") <= verdicts(found, "m").index("mining")
    assert "step_power_factor" in {name for judgement in of(found, "rigs") for name in evidence(judgement)}


def test_what_the_seconds_show_of_single_machines_needs_no_history() -> None:
    """On the third day of a recording: of two meters, the one whose machines reboot."""
    site = Site("other", (facts("rigs"), facts("office")))
    history = History(None, site.names)
    for window in recording({"rigs": farm(3, 9000.0) + office(3), "office": office(3)}).windows():
        history.add(window, window_features(window))
    signs = {"evidence": [12.0, -3.0], "notches_per_week": [20.0, 0.0], "rhythm": [0.2, 0.0]}
    signs |= {"reboots_per_machine": [6.0, 0.0], "machines": [3.0, 0.0], "quantum_w": [3000.0, 0.0]}
    signs |= {"known_days": [3.0, 3.0]}

    day = Judge(site, RULES).day(history, START_DAY + 2, {name: np.array(values) for name, values in signs.items()})

    assert [judgement.verdict for judgement in day] == [Verdict.MINING, Verdict.INCONCLUSIVE]
    assert day[0].mining_w[:2] == (3000.0, 9000.0)
    assert day[0].since_s == START_DAY * DAY_S
