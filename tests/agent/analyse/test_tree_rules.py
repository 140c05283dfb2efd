"""Verdicts that a meter's place in the tree decides."""

from agent.records import Verdict
from tests.agent.analyse.stories import facts, farm, judged, of, office, verdicts

DAYS, ONSET = 64, 40
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
