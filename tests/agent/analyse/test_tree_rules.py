"""Verdicts that a meter's place in the tree decides."""

import numpy as np

from agent.analyse.history import History
from agent.analyse.judge import Judge
from agent.analyse.machines.signs import NAMES
from agent.analyse.site import Site
from agent.analyse.window import window_features
from agent.records import Verdict
from tests.agent.analyse.stories import RULES, START_DAY, facts, farm, judged, of, office, recording, verdicts

DAYS, ONSET = 68, 40
TREE = [facts("main"), facts("lab", parent="main")]


def test_a_load_that_moved_around_its_meter_is_suspect_and_no_new_farm() -> None:
    """8 kW leave the lab's meter for the main meter's own part: somebody should look, nobody mines more than before."""
    past = farm(DAYS, 8000.0, ONSET)
    lab = office(DAYS, 12_000.0, seed=7) + farm(DAYS, 8000.0)
    days = judged({"main": office(DAYS) + lab, "lab": lab - past}, meters=TREE)

    main = [judgement for judgement in of(days, "main")[ONSET:] if judgement.reasons[0].evidence == "bypass"]
    assert "mining" not in verdicts(days, "main")
    assert {judgement.verdict for judgement in main} == {Verdict.SUSPECT}
    assert [(notice.event, notice.meter) for day in days for notice in day.notices] == [("bypass", "lab")]


def test_the_same_rise_without_a_fall_is_a_farm() -> None:
    """Nothing left the lab: what rose beside it is new."""
    lab = office(DAYS, 12_000.0, seed=7)
    days = judged({"main": office(DAYS) + lab + farm(DAYS, 8000.0, ONSET), "lab": lab}, meters=TREE)

    assert verdicts(days, "main")[-1] == "mining"


def test_a_parent_that_measures_less_than_its_sub_meters_is_inconclusive() -> None:
    """What it sees beside them would be negative."""
    days = judged({"main": office(DAYS, 15_000.0), "lab": office(DAYS, 20_000.0)}, meters=TREE)

    last = of(days, "main")[-1]
    assert last.verdict is Verdict.INCONCLUSIVE
    assert "its sub-meters measure more than it does" in last.reasons[0].text


def test_machines_that_a_sub_meter_shows_are_named_there_alone() -> None:
    """The main meter sees them reboot as well; what it feeds besides the lab is accused of nothing."""
    lab = office(30, 12_000.0, seed=7)
    story = recording({"main": office(30) + lab, "lab": lab})
    history = History(None, story.meters)
    for window in story.windows():
        history.add(window, window_features(window))
    of_both = {"evidence": 12.0, "notches_per_week": 20.0, "quantum_w": 3400.0, "machines": 4.0, "known_days": 7.0}
    signs = {name: np.full(2, of_both.get(name, np.nan)) for name in NAMES}

    main, sub = Judge(Site("other", tuple(TREE)), RULES).day(history, START_DAY + 29, signs)

    assert (main.verdict, sub.verdict) == (Verdict.NORMAL, Verdict.MINING)
