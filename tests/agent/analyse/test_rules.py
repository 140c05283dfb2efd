"""The rules on one meter, day by day, with evidence made by hand: cases open, grow, rest and close."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from agent.analyse.features.robust import Floats
from agent.analyse.machines.weigh import NOTHING as UNSEEN
from agent.analyse.machines.weigh import Seen, shipped_machine_rules
from agent.analyse.meter_day import Memory, MeterDay, Rise
from agent.analyse.rules import decide
from agent.records import Evidence, Judgement
from tests.agent.analyse.stories import DAY_S, NOTHING, RULES, evidence, facts

BEFORE_W = 10_000.0  # baseload of the building
DAYS, ONSET = 200, 100
SEEN = Evidence("evidence", 9.0, 5.0, "single machines drop out")


def levels(*steps: tuple[int, float]) -> Floats:
    """Give a baseload, day by day, that rises by so many W on a day and stays there."""
    load = np.full(DAYS, BEFORE_W)
    for day, watts in steps:
        load[day:] += watts
    return load


def rise(onset: int, height_w: float, margin: float, before_w: float = BEFORE_W) -> Rise:
    """Give a step that the hidden test has found so likely."""
    reasons = (Evidence("clarity", 2.0, 1.0, "clear"),)
    return Rise(onset, before_w, height_w, 100.0, margin, exchanged=False, reasons=reasons)


def machines(log_odds: float, gain: float = 0.0) -> Seen:
    """Give a week of seconds in which machines of 3 kW together were seen, or nearly."""
    return Seen(log_odds, gain, 3000.0, 5, lambda: (SEEN,))


class Life:
    """One meter with its memory."""

    def __init__(self, base_w: Floats, has_servers: bool = False) -> None:
        busy_w = 4000.0 * (np.arange(24) >= 12)
        self._hourly_w = base_w[:, None] + busy_w + np.random.default_rng(8).normal(0, 20, (len(base_w), 24))
        self._base_w, self._has_servers = base_w, has_servers
        self.memory = Memory()

    def on(self, day: int, risen: Rise | None = None, seen: Seen = UNSEEN) -> Judgement:
        """Judge the day."""
        meter = MeterDay(
            facts=facts("m"),
            day=day,
            rules=RULES,
            has_servers=self._has_servers,
            is_parent=False,
            hourly_w=self._hourly_w[: day + 1],
            base_w=self._base_w[: day + 1],
            total_w=float(self._hourly_w[day].mean()),
            total_hours=24,
            moved=lambda onset: 0.0,
            dedicated_odds=-np.inf,
            explain_dedicated=tuple,
            machines=seen,
            memory=self.memory,
        )
        meter.follow(risen)
        return decide(meter)

    def words(self, days: Sequence[int]) -> list[str]:
        """Judge days on which nothing new was found."""
        return [self.on(day).verdict.value for day in days]


@pytest.fixture
def farm() -> Life:
    """A farm of 4 kW from day 100 on, found a week later; another 3 kW on day 120, all gone on day 150."""
    life = Life(levels((ONSET, 4000.0), (120, 3000.0), (150, -7000.0)))
    assert life.on(ONSET + 6, rise(ONSET, 4000.0, 1.5)).verdict.value == "mining"
    return life


@pytest.mark.parametrize(
    ("margin", "word"),
    [(0.0, "mining"), (-0.01, "suspect"), (RULES.hidden_suspect, "suspect"), (RULES.hidden_suspect - 0.01, "normal")],
)
def test_the_margin_of_a_rise_decides(margin: float, word: str) -> None:
    """From the threshold on it is mining, a little below it suspicion."""
    assert Life(levels((ONSET, 4000.0))).on(ONSET + 6, rise(ONSET, 4000.0, margin)).verdict.value == word


def test_a_rise_smaller_than_any_miner_is_none() -> None:
    """However clear it is."""
    small_w = 0.9 * RULES.least_rise_w

    assert Life(levels((ONSET, small_w))).on(ONSET + 6, rise(ONSET, small_w, 9.0)).verdict.value == "normal"


def test_the_same_onset_seen_better_corrects_the_case(farm: Life) -> None:
    """A surer look of the days beside it counts, a less sure one does not."""
    surer = farm.on(ONSET + 13, rise(ONSET + 1, 4400.0, 2.0))
    less_sure = farm.on(ONSET + 14, rise(ONSET, 9000.0, 1.0))

    assert surer.since_s == less_sure.since_s == (ONSET + 1) * DAY_S
    assert surer.mining_w[1] == less_sure.mining_w[1] == 4400.0


def test_a_further_batch_adds_to_the_case(farm: Life) -> None:
    """Its own onset was likelier than the batch; the case keeps its start, and its band widens."""
    before = farm.on(119)
    after = farm.on(127, rise(120, 3000.0, 0.5, BEFORE_W + 4000.0))

    assert (before.mining_w[1], after.mining_w[1]) == (4000.0, 7000.0)
    assert after.since_s == ONSET * DAY_S
    assert after.mining_w[2] - after.mining_w[0] > before.mining_w[2] - before.mining_w[0]
    assert "batch" in evidence(after)


def test_a_farm_that_rested_in_part_and_is_back_has_not_grown() -> None:
    """Half of its machines were off for a week; their return is a step, but not above where the case stood."""
    life = Life(levels((ONSET, 4000.0), (120, -2000.0), (127, 2000.0)))
    life.on(ONSET + 6, rise(ONSET, 4000.0, 1.5))

    judgement = life.on(133, rise(127, 2000.0, 1.5, BEFORE_W + 2000.0))

    assert judgement.mining_w[1] == 4000.0
    assert "batch" not in evidence(judgement)


def test_the_case_closes_some_days_after_the_farm_has_gone(farm: Life) -> None:
    """Two days of an outage do not close it, a third of five does; then nothing is mined."""
    assert farm.words(range(148, 152)) == ["mining"] * 4
    assert farm.words(range(152, 160)) == ["normal"] * 8
    assert farm.on(160).mining_w == NOTHING


@pytest.mark.parametrize(("rested", "word"), [(10, "mining"), (40, "normal")])
def test_a_farm_that_is_back_within_weeks_is_taken_up_again(rested: int, word: str) -> None:
    """With its old start and power; after a month and more it may be the season."""
    back = 130 + rested
    life = Life(levels((ONSET, 4000.0), (130, -4000.0), (back, 4000.0)))
    life.on(ONSET + 6, rise(ONSET, 4000.0, 1.5))
    life.words(range(ONSET + 7, back))

    assert life.words(range(back, back + 6))[-1] == word
    if word == "mining":
        assert life.on(back + 6).since_s == ONSET * DAY_S


def test_half_a_step_back_is_not_the_farm() -> None:
    """A building that creeps up to half of what went stays normal."""
    life = Life(levels((ONSET, 4000.0), (130, -4000.0), (140, 2000.0)))
    life.on(ONSET + 6, rise(ONSET, 4000.0, 1.5))

    assert life.words(range(ONSET + 7, 150))[-1] == "normal"


def test_suspicion_lasts_while_the_step_stands_and_ends_five_weeks_after_it() -> None:
    """After the last look at it and ten days more there is nothing left to be said."""
    life = Life(levels((ONSET, 4000.0)))
    life.on(ONSET + 6, rise(ONSET, 4000.0, -0.5))

    words = life.words(range(ONSET + 7, ONSET + 45))

    assert words == ["suspect"] * 29 + ["normal"] * 9


def test_suspicion_ends_when_the_load_has_come_down() -> None:
    """Whatever it was has gone."""
    life = Life(levels((ONSET, 4000.0), (110, -4000.0)))
    life.on(ONSET + 6, rise(ONSET, 4000.0, -0.5))

    assert life.words(range(107, 118)) == ["suspect"] * 5 + ["normal"] * 6


def test_the_likelier_of_two_rises_is_followed() -> None:
    """A later and weaker one does not take its place, a stronger one does."""
    life = Life(levels((ONSET, 4000.0), (110, 4000.0)))
    life.on(ONSET + 6, rise(ONSET, 4000.0, -0.5))
    life.on(116, rise(110, 4000.0, -1.0))
    assert life.memory.lead is not None
    assert life.memory.lead.onset_day == ONSET

    life.on(123, rise(110, 4000.0, -0.2))

    assert life.memory.lead.onset_day == 110


def test_where_servers_are_the_business_nothing_is_mining() -> None:
    """Neither a step nor machines that reboot: both are worth a question."""
    life = Life(levels((ONSET, 4000.0)), has_servers=True)
    sure = machines(shipped_machine_rules().mining + 3)

    assert life.on(ONSET - 1, seen=sure).verdict.value == "suspect"
    assert life.on(ONSET + 6, rise(ONSET, 4000.0, 3.0)).verdict.value == "suspect"


def test_machines_that_reboot_are_mining_without_any_history() -> None:
    """On the fifth day, since the first that the seconds know, with a band of three either way."""
    life = Life(levels())

    judgement = life.on(4, seen=machines(shipped_machine_rules().mining))

    assert judgement.verdict.value == "mining"
    assert judgement.since_s == 0
    assert judgement.mining_w == (1000.0, 3000.0, 9000.0)
    assert judgement.reasons == (SEEN,)


def test_machines_once_seen_are_believed_down_to_suspicion_also_after_a_restart() -> None:
    """A quieter week does not clear them, and neither start nor verdict changes with the restart."""
    rules = shipped_machine_rules()
    life = Life(levels())
    assert life.on(100, seen=machines(rules.suspect)).verdict.value == "suspect"
    life.on(101, seen=machines(rules.mining))
    restarted = Life(levels())
    restarted.memory = msgspec.json.decode(msgspec.json.encode(life.memory), type=Memory)

    for one in (life, restarted):
        kept = one.on(102, seen=machines(rules.suspect))
        assert (kept.verdict.value, kept.since_s) == ("mining", 97 * DAY_S)
        assert one.on(103, seen=machines(rules.suspect - 0.1)).verdict.value == "normal"


def test_the_seconds_add_to_what_the_hours_suspect() -> None:
    """A rise just short of the threshold, and a week of reboots: a farm, with the step's power."""
    life = Life(levels((ONSET, 4000.0)))

    judgement = life.on(ONSET + 6, rise(ONSET, 4000.0, -1.0), machines(0.0, gain=1.5))

    assert judgement.verdict.value == "mining"
    assert judgement.mining_w[1] == 4000.0
    assert evidence(judgement) == {"clarity", "evidence"}


@pytest.mark.parametrize(("days", "word"), [(20, "inconclusive"), (21, "normal")])
def test_three_weeks_of_history_are_needed_for_an_all_clear(days: int, word: str) -> None:
    """Before that no onset could be asked."""
    assert Life(levels()).on(days - 1).verdict.value == word


def test_the_days_that_are_told_are_those_of_a_year() -> None:
    """So that a restart, after which fewer are held, changes no word."""
    base_w = np.full(560, BEFORE_W)
    base_w[-16:-1] = np.nan

    told = [Life(base_w[-held:]).on(held - 1).reasons for held in (430, 560)]

    assert told[0] == told[1]
    assert told[0][0].value == 365 - 15
