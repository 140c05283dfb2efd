"""The course of a replay, and the words above its picture."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from agent.analyse.alarm import Alarm, Change
from agent.analyse.analyst import Day
from agent.analyse.course import Course, MeterCourse
from agent.records import Evidence, Judgement, Verdict
from tests.agent.analyse.stories import DAY_S, START_DAY, Floats

MINING, NORMAL = Verdict.MINING, Verdict.NORMAL


def judged(verdict: Verdict) -> Judgement:
    """Give a judgement; a farm of 5 kW that began on the first day."""
    is_farm = verdict is MINING
    return Judgement(
        meter="main",
        verdict=verdict,
        score=0.9 if is_farm else 0.1,
        mining_w=(4000.0, 5000.0, 6000.0) if is_farm else (0.0, 0.0, 0.0),
        since_s=START_DAY * DAY_S if is_farm else None,
        reasons=(Evidence("clarity", 1.0, 1.0, f"what speaks for {verdict.value}"),),
    )


def course(verdicts: Sequence[Verdict], hourly_w: Floats | None = None) -> MeterCourse:
    """Give the course of a meter of 20 kW; an alarm is raised on its first day."""
    kept = Course(("other", "main"), START_DAY * DAY_S, (START_DAY + len(verdicts)) * DAY_S)
    other = replace(judged(NORMAL), meter="other")
    for number, verdict in enumerate(verdicts):
        hours = np.full((2, 24), 20_000.0) if hourly_w is None else hourly_w
        raised = Change(Alarm("id", 0, 5000.0), "raised", judged(verdict))
        changes = (raised,) if number == 0 else ()
        kept.take(Day(START_DAY + number, hours, (other, judged(verdict)), changes))
    return kept.of("main")


@pytest.mark.parametrize(
    ("verdicts", "headline"),
    [
        ([NORMAL, MINING], "main: mining since 2026-01-05: 5.0 kW (4.0 to 6.0), 25 % of its load"),
        (
            [MINING, MINING, NORMAL],
            "main: mining since 2026-01-05 until 2026-01-06, now normal: 5.0 kW (4.0 to 6.0), 25 % of its load",
        ),
        ([NORMAL], "main: normal, no mining found; the mean load is 20.0 kW"),
        ([], "main: no whole day was recorded"),
    ],
)
def test_the_finding_stands_above_the_picture_in_words(verdicts: list[Verdict], headline: str) -> None:
    """What, since when, how much, how sure; and when it was over."""
    assert course(verdicts).headline == headline


def test_the_reasons_are_those_of_the_finding() -> None:
    """A farm that has gone is explained by what spoke for it."""
    assert course([MINING, NORMAL]).reasons == "what speaks for mining"


def test_each_day_is_kept_as_it_was_judged() -> None:
    """Hours with their gaps, estimate, score, verdict and alarm, of this meter and no other."""
    hours = np.vstack([np.zeros(24), np.where(np.arange(24) == 5, np.nan, np.arange(24.0))])

    kept = course([MINING, NORMAL], hours)

    np.testing.assert_array_equal(kept.hourly_w, [hours[1], hours[1]])
    np.testing.assert_array_equal(kept.mining_w, [[4000, 5000, 6000], [0, 0, 0]])
    assert (kept.score.tolist(), kept.verdicts, kept.alarms) == ([0.9, 0.1], (MINING, NORMAL), ((0, "raised"),))
    assert kept.days.tolist() == [START_DAY, START_DAY + 1]
