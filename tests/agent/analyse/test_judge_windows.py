"""The last day's judgements, carried into the windows between two days."""

import numpy as np

from agent.analyse.judge import Judge
from agent.analyse.meter_day import Case
from agent.analyse.site import Site
from agent.records import Judgement, Quality, Verdict
from tests.agent.analyse.stories import (
    NOTHING,
    RULES,
    START_DAY,
    facts,
)


def windowed(power_w: list[float], quality: list[Quality]) -> tuple[Judgement, ...]:
    """Carry a day with hidden farms, 8 kW of the workshop's 20, 4 of the incomer's 10, into a window."""
    judge = Judge(Site("other", (facts("main"), facts("workshop", parent="main"))), RULES)
    for meter, middle, load_w in (("main", 4000.0, 10_000.0), ("workshop", 8000.0, 20_000.0)):
        mining_w = (0.8 * middle, middle, 1.2 * middle)
        mining = Judgement(meter=meter, verdict=Verdict.MINING, score=0.9, mining_w=mining_w, since_s=0, reasons=())
        judge.last[meter] = (mining, load_w)
        judge.memory[meter].case = Case(
            onset_day=START_DAY,
            newest_day=START_DAY,
            before_w=1000.0,
            first_w=middle,
            height_w=middle,
            half_width_w=0.2 * middle,
            margin=3.0,
            reasons=(),
        )
    return judge.window(np.array(power_w), quality)


def test_a_window_mines_no_more_than_it_measured() -> None:
    """The farm's power of yesterday, limited by what the building leaves of each meter's own load now."""
    main, workshop = windowed([23_000.0, 7000.0], [Quality.GOOD] * 2)

    assert main.mining_w == (3200.0, 4000.0, 4800.0)
    assert workshop.mining_w == (6100.0, 6100.0, 6100.0)  # 7 kW less 90 % of the earlier baseload of 1 kW


def test_counted_machines_draw_no_more_when_the_building_does() -> None:
    """They are a part of the load, whatever is not known of the rest of it."""
    counted = Judgement(
        meter="a", verdict=Verdict.MINING, score=0.9, mining_w=(3000.0, 9000.0, 20_000.0), since_s=0, reasons=()
    )
    judge = Judge(Site("other", (facts("a"),)), RULES)
    judge.last["a"] = (counted, 30_000.0)

    (now,) = judge.window(np.array([60_000.0]), [Quality.GOOD])

    assert now.mining_w == counted.mining_w


def test_a_window_that_cannot_be_trusted_mines_nothing() -> None:
    """Neither the meter itself, nor the one above it, from which it would be subtracted."""
    main, workshop = windowed([30_000.0, 7000.0], [Quality.GOOD, Quality.STUCK])

    assert (workshop.verdict, workshop.mining_w) == (Verdict.FAULT, NOTHING)
    assert main.mining_w == NOTHING


def test_a_window_in_which_measuring_began_is_inconclusive() -> None:
    """It is no fault of the meter, and nothing is concluded from it."""
    main, _ = windowed([23_000.0, 7000.0], [Quality.PARTIAL, Quality.GOOD])

    assert main.verdict is Verdict.INCONCLUSIVE
    assert main.mining_w == NOTHING


def test_before_the_first_day_is_over_nothing_is_known() -> None:
    """The first windows say so."""
    judge = Judge(Site("other", (facts("m"),)), RULES)

    assert [judgement.verdict for judgement in judge.window(np.array([5.0]), [Quality.GOOD])] == [Verdict.INCONCLUSIVE]
