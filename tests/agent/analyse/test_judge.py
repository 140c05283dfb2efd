"""The judgement as specification: small facilities with a known truth, judged day by day with the shipped rules."""

from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest

from agent.analyse.analyst import Day
from agent.analyse.judge import Judge
from agent.analyse.meter_day import Case
from agent.analyse.replay import replay
from agent.analyse.rules import RULES as ORDER
from agent.analyse.site import Site
from agent.records import Judgement, Quality, Verdict
from tests.agent.analyse.stories import (
    DAY_S,
    RULES,
    START_DAY,
    Floats,
    cold_store,
    facts,
    farm,
    judged,
    of,
    office,
    recording,
    solar,
    verdicts,
)

FARM_W = 8000.0  # 40 % of the office's mean
ONSET = 60
NOTHING = (0.0, 0.0, 0.0)


def since(judgement: Judgement) -> int:
    """Give the day of the story on which the mining is said to have begun."""
    assert judgement.since_s is not None
    return judgement.since_s // DAY_S - START_DAY


def evidence(judgement: Judgement) -> set[str]:
    """Give the names of the reasons."""
    return {reason.evidence for reason in judgement.reasons}


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


def test_a_step_at_a_data_centre_is_suspect_only() -> None:
    """A new row of servers and a new row of miners look alike; the change is told, nobody is accused."""
    days = judged({"m": office(90) + farm(90, FARM_W, ONSET)}, kind="data_centre")

    assert set(verdicts(days, "m")) == {"inconclusive", "normal", "suspect"}


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


@pytest.fixture(scope="module")
def infested_days() -> list[Day]:
    """Four offices, each with a farm of 40 % of its mean from the same day on."""
    return judged({f"office-{seed}": office(90, seed=seed) + farm(90, FARM_W, ONSET) for seed in range(4)})


@pytest.mark.parametrize("meter", [f"office-{seed}" for seed in range(4)])
def test_a_farm_hidden_in_an_office_is_found(infested_days: list[Day], meter: str) -> None:
    """40 % of the office's mean: found within two weeks, its start within two days, its power within the interval."""
    found = [judgement for judgement in of(infested_days, meter) if judgement.verdict is Verdict.MINING]
    last = found[-1]
    low, middle, high = last.mining_w
    assert verdicts(infested_days, meter).index("mining") in range(ONSET + 7, ONSET + 15)
    assert set(verdicts(infested_days, meter)[ONSET + 15 :]) == {"mining"}
    assert {abs(since(judgement) - ONSET) <= 2 for judgement in found} == {True}
    assert low <= FARM_W <= high
    assert middle == pytest.approx(FARM_W, rel=0.15)
    assert last.score > 0.5


def test_a_farm_keeps_its_start_and_its_power_for_months() -> None:
    """The search for onsets looks back six weeks; what was found before does not move with it."""
    days = judged({"m": office(160) + farm(160, FARM_W, ONSET)})

    last = of(days, "m")[-1]
    assert last.verdict is Verdict.MINING
    assert abs(since(last) - ONSET) <= 2
    assert last.mining_w[0] <= FARM_W <= last.mining_w[2]


def test_a_small_farm_that_nobody_could_see_is_not_guessed() -> None:
    """One machine of 600 W in 20 kW drowns in the weather: no verdict of mining, and no watt."""
    days = judged({"m": office(100) + farm(100, 600.0, ONSET)})

    assert "mining" not in verdicts(days, "m")
    assert {judgement.mining_w for judgement in of(days, "m")} == {NOTHING}


def test_a_short_history_is_inconclusive() -> None:
    """Three weeks are needed; until then a hidden farm cannot be told from the building, and that is said."""
    days = judged({"m": office(40) + farm(40, FARM_W)})

    first = of(days, "m")[0]
    assert set(verdicts(days, "m")[:20]) == {"inconclusive"}
    assert set(verdicts(days, "m")[20:]) == {"normal"}
    assert evidence(first) == {"history"}


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
    loads = {"main": office(100) + farm(100, FARM_W, ONSET) + solar(100), "roof": solar(100)}

    days = judged(loads, meters=[facts("main"), facts("roof", parent="main", role="generation")])

    assert verdicts(days, "main")[-1] == "mining"
    assert set(verdicts(days, "roof")) == {"normal"}


def test_a_register_that_repeats_is_a_fault() -> None:
    """Hour after hour the same mean to the last bit: no mining, not even of a farm that was known."""
    load = office(105) + farm(105, FARM_W, ONSET)
    load[90 * 24 :] = load[90 * 24]
    days = judged({"m": load})

    stuck = of(days, "m")[96:]
    assert verdicts(days, "m")[89] == "mining"
    assert {judgement.verdict for judgement in stuck} == {Verdict.FAULT}
    assert {judgement.mining_w for judgement in stuck} == {NOTHING}


def test_a_stuck_feeder_is_no_dedicated_farm() -> None:
    """The perfect miner is a frozen register."""
    days = judged({"m": np.full(40 * 24, 30_000.0)}, power_factor=0.99)

    assert set(verdicts(days, "m")) == {"fault"}


def test_days_without_data_are_faults_and_mine_nothing() -> None:
    """An outage makes no mining; afterwards the case is still known."""
    load = office(96) + farm(96, FARM_W, ONSET)
    load[90 * 24 : 93 * 24] = np.nan
    days = judged({"m": load})

    assert verdicts(days, "m")[88:95] == ["mining", "mining", "fault", "fault", "fault", "mining", "mining"]
    assert {judgement.mining_w for judgement in of(days, "m")[90:93]} == {NOTHING}


def test_a_long_gap_is_no_all_clear() -> None:
    """After six weeks without data nothing is known of what came meanwhile: inconclusive until there is."""
    load = office(134)
    load[60 * 24 : 125 * 24] = np.nan
    days = judged({"m": load})

    assert set(verdicts(days, "m")[125:134]) == {"inconclusive"}


@pytest.mark.parametrize("changed", ["m", "lab"])
def test_a_load_that_rose_with_a_transformer_ratio_is_no_farm(changed: str) -> None:
    """Somebody set the ratio anew, of this meter or of one below it: all hours rise alike, as with a farm."""
    days, total = 90, office(90)
    later = np.arange(days * 24) >= ONSET * 24 + 10
    lab = office(days, 12_000.0, seed=5)
    loads = {"m": total * np.where(later, 1.8, 1.0), "lab": lab / 1.8}
    if changed == "lab":
        loads = {"m": total + lab, "lab": lab * np.where(later, 0.05, 1.0)}
    told = recording(loads)
    told.values["ct_ratio"] = np.where(later & (np.array(list(loads)) == changed)[:, None], 72.0, 40.0)
    meters = (facts("m"), facts("lab", parent="m"))

    found = list(replay(told, Site("other", meters), RULES))

    assert "mining" not in verdicts(found, "m")
    assert evidence(of(found, "m")[ONSET + 10]) == {"exchange"}


def test_a_farm_that_leaves_closes_the_case() -> None:
    """A few days after the baseload has come down the verdict is normal again, and stays so."""
    days = judged({"m": office(130) + farm(130, FARM_W, ONSET, 90)})

    assert verdicts(days, "m")[89] == "mining"
    assert set(verdicts(days, "m")[95:]) == {"normal"}


def test_only_the_meter_that_holds_the_farm_is_named() -> None:
    """The farm is seen by the incomer as well; sums over meters must count it once."""
    workshop = office(100, 12_000.0, seed=7) + farm(100, FARM_W, ONSET)
    loads = {"main": office(100) + workshop, "workshop": workshop}

    days = judged(loads, meters=[facts("main"), facts("workshop", parent="main")])

    assert verdicts(days, "workshop")[-1] == "mining"
    assert set(verdicts(days, "main")) == {"inconclusive", "normal"}


def test_an_incomer_whose_feeders_see_all_is_judged_there() -> None:
    """What remains is the meters' own error."""
    feeder = office(60)

    days = judged({"main": 1.01 * feeder, "feeder": feeder}, meters=[facts("main"), facts("feeder", parent="main")])

    assert set(verdicts(days, "main")) == {"normal"}
    assert evidence(of(days, "main")[-1]) == {"remainder"}


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


@pytest.mark.parametrize("until", [25, 70, 84])
def test_a_judgement_uses_nothing_later(until: int) -> None:
    """Each day is judged the same whether or not later days exist."""
    loads = {"m": office(90) + farm(90, FARM_W, ONSET, 80), "cold": cold_store(90)}
    site = Site("other", (facts("m"), facts("cold")))

    whole = replay(recording(loads, 0.97), site, RULES)
    cut = list(replay(recording({name: load[: until * 24 + 5] for name, load in loads.items()}, 0.97), site, RULES))

    assert len(cut) == until
    assert [day.judgements for day in cut] == [day.judgements for day in islice(whole, until)]


def windowed(power_w: list[float], quality: list[Quality]) -> tuple[Judgement, ...]:
    """Carry a day with hidden farms, 8 kW of the workshop's 20, 4 of the incomer's 10, into a window."""
    judge = Judge(Site("other", (facts("main"), facts("workshop", parent="main"))), RULES)
    for meter, middle, load_w in (("main", 4000.0, 10_000.0), ("workshop", 8000.0, 20_000.0)):
        mining_w = (0.8 * middle, middle, 1.2 * middle)
        mining = Judgement(meter=meter, verdict=Verdict.MINING, score=0.9, mining_w=mining_w, since_s=0, reasons=())
        judge.last[meter] = (mining, load_w)
        judge.memory[meter].case = Case(START_DAY, 1000.0, middle, 0.2 * middle, 3.0, ())
    return judge.window(np.array(power_w), quality)


def test_a_window_mines_no_more_than_it_measured() -> None:
    """The farm's power of yesterday, limited by what the building leaves of each meter's own load now."""
    main, workshop = windowed([23_000.0, 7000.0], [Quality.GOOD] * 2)

    assert main.mining_w == (3200.0, 4000.0, 4800.0)
    assert workshop.mining_w == (6100.0, 6100.0, 6100.0)  # 7 kW less 90 % of the earlier baseload of 1 kW


def test_a_window_that_cannot_be_trusted_mines_nothing() -> None:
    """Neither the meter itself, nor the one above it, from which it would be subtracted."""
    main, workshop = windowed([30_000.0, 7000.0], [Quality.GOOD, Quality.STUCK])

    assert (workshop.verdict, workshop.mining_w) == (Verdict.FAULT, NOTHING)
    assert main.mining_w == NOTHING


def test_before_the_first_day_is_over_nothing_is_known() -> None:
    """The first windows say so."""
    judge = Judge(Site("other", (facts("m"),)), RULES)

    assert [judgement.verdict for judgement in judge.window(np.array([5.0]), [Quality.GOOD])] == [Verdict.INCONCLUSIVE]


def test_the_rules_are_read_from_top_to_bottom() -> None:
    """Faults come before accusations, declarations before findings, and the last rule always answers."""
    names = [rule.__name__ for rule in ORDER]
    position: Callable[[str], int] = names.index

    assert position("stuck") < position("declared") < position("open_case") < position("new_hidden_load")
    assert position("too_little_data") < position("dedicated_farm") < position("suspect") < position("flat")
    assert names[-1] == "normal"


def test_a_term_that_starts_again_is_no_farm() -> None:
    """After five weeks of break the baseload returns to where it has stood before, and the reason says so."""
    load = office(200)
    load[120 * 24 : 155 * 24] *= 0.5

    days = judged({"m": load})

    assert "mining" not in verdicts(days, "m")
    assert "earlier_level" in {name for judgement in of(days, "m") for name in evidence(judgement)}


def test_the_power_factor_of_the_whole_says_nothing_of_the_rest() -> None:
    """An incomer at 0.98 with a steady remainder beside its sub-meter: the factor is no evidence on the remainder."""
    loads = {"main": office(60) + farm(60, 4000.0), "office": office(60)}
    site = (facts("main"), facts("office", parent="main"))

    days = judged(loads, meters=site, power_factor=0.98)

    assert "power_factor" not in {name for judgement in of(days, "main") for name in evidence(judgement)}


def test_a_meter_through_which_the_sun_feeds_back_is_inconclusive() -> None:
    """A net meter's baseload rises when the sun goes; nobody mines for that."""
    roof = solar(150, 40_000.0)
    roof[90 * 24 :] *= 0.1

    days = judged({"m": office(150) + roof})

    assert set(verdicts(days, "m")[1:]) == {"inconclusive"}
    assert "export" in evidence(of(days, "m")[-1])


def test_days_without_data_confirm_nothing() -> None:
    """Seven measured days of a step, five of outage and one more do not make the five strong days in a row."""
    load = office(76) + farm(76, FARM_W, ONSET)
    load[(ONSET + 7) * 24 : (ONSET + 12) * 24] = np.nan

    days = judged({"m": load})

    assert "mining" not in verdicts(days, "m")[: ONSET + 13]


def test_a_parent_with_a_dead_sub_meter_is_not_called_unmeasured() -> None:
    """The incomer was measured; what is not known is its own part."""
    dead = office(30)
    dead[20 * 24 :] = np.nan
    site = (facts("main"), facts("office", parent="main"))

    days = judged({"main": office(30) * 2, "office": dead}, meters=site)

    last = of(days, "main")[-1]
    assert last.verdict is Verdict.INCONCLUSIVE
    assert "sub-meters" in last.reasons[0].text


def test_the_score_is_half_or_more_exactly_for_mining() -> None:
    """Whoever sorts by score sees every mining meter above every other."""
    days = judged({"m": office(120) + farm(120, FARM_W, ONSET, 100), "cold": cold_store(120)}, power_factor=0.97)

    seen = {
        (judgement.verdict is Verdict.MINING, judgement.score >= 0.5) for day in days for judgement in day.judgements
    }
    assert seen == {(True, True), (False, False)}


def test_a_window_in_which_measuring_began_is_inconclusive() -> None:
    """It is no fault of the meter, and nothing is concluded from it."""
    main, _ = windowed([23_000.0, 7000.0], [Quality.PARTIAL, Quality.GOOD])

    assert main.verdict is Verdict.INCONCLUSIVE
    assert main.mining_w == NOTHING
