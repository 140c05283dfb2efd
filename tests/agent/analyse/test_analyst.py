"""The analyst over restarts: with its state, without it, without its history."""

import logging
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import msgspec
import pytest

from agent.analyse.analyst import Analyst, Day
from agent.analyse.site import Site
from agent.records import Verdict, Window
from tests.agent.analyse.stories import (
    DAY_S,
    RULES,
    START_DAY,
    Floats,
    facts,
    farm,
    judged,
    office,
    recording,
    verdicts,
)

LOADS = {"m": office(75) + farm(75, 20_000.0, 30, 60), "feeder": farm(75, 20_000.0)}
SITE = Site("other", (facts("m"), facts("feeder")))
FACTOR = (0.97, 0.99)


def windows(loads: dict[str, Floats] = LOADS) -> list[Window]:
    """Give the story's windows."""
    return list(recording(loads, FACTOR).windows())


def feed(analyst: Analyst, part: list[Window]) -> list[Day]:
    """Give the days that these windows end; what is to be judged again is, before the next window."""
    days: list[Day] = []
    for window in part:
        days += analyst.take(window).days
        analyst.catch_up()
    return days


@pytest.fixture(scope="module")
def uninterrupted() -> list[Day]:
    """The story judged in one run."""
    return feed(Analyst("gw", SITE, RULES), windows())


def test_the_story_has_something_to_remember(uninterrupted: list[Day]) -> None:
    """The farm comes, is found, goes; the other feeder is a farm throughout."""
    changes = [(c.judgement.meter, c.state) for day in uninterrupted for c in day.changes if c.state != "updated"]

    assert changes == [("feeder", "raised"), ("m", "raised"), ("m", "cleared")]


def test_restarts_change_no_judgement_and_no_alarm(tmp_path: Path, uninterrupted: list[Day]) -> None:
    """Stopped at any hour, restored from history and state: the same days, and alarms with the same ids."""
    history, state, days = tmp_path / "history.db", b"", []
    cuts = [0, 5, 24, 24 * 20 + 11, 24 * 38, 24 * 41 + 23, 24 * 57 + 1, 24 * 75]
    every = windows()
    for first, last in pairwise(cuts):
        analyst = Analyst("gw", SITE, RULES, history, state)
        days += feed(analyst, every[first:last])
        state = analyst.state
        analyst.close()

    assert [day.judgements for day in days] == [day.judgements for day in uninterrupted]
    assert [day.changes for day in days] == [day.changes for day in uninterrupted]


def test_without_a_state_the_judgement_is_rebuilt_from_the_history(tmp_path: Path, uninterrupted: list[Day]) -> None:
    """A lost state costs nothing: its alarms are told again under their ids, and the next days are judged the same."""
    every, cut = windows(), 24 * 45 + 6
    first = Analyst("gw", SITE, RULES, tmp_path / "history.db")
    feed(first, every[:cut])
    first.close()

    rebuilt = Analyst("gw", SITE, RULES, tmp_path / "history.db")

    assert rebuilt.state == first.state
    assert [day.changes for day in feed(rebuilt, every[cut : cut + 1])] == [
        day.changes for day in uninterrupted[:45] if day.changes
    ]
    assert [(day.judgements, day.changes) for day in feed(rebuilt, every[cut + 1 :])] == [
        (day.judgements, day.changes) for day in uninterrupted[45:]
    ]


def test_a_state_of_another_version_is_rebuilt_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An update must not keep a gateway from starting."""
    first = Analyst("gw", SITE, RULES, tmp_path / "history.db")
    feed(first, windows()[: 24 * 40 + 6])
    first.close()

    with caplog.at_level(logging.WARNING):
        rebuilt = Analyst("gw", SITE, RULES, tmp_path / "history.db", b'{"judged_day": "yesterday"}')

    assert "rebuilt from the history" in caplog.text
    assert rebuilt.state == first.state


def test_a_lost_history_does_not_stop_the_judge() -> None:
    """The state knows more days than the new history: judging goes on with what there is."""
    every = windows()
    first = Analyst("gw", SITE, RULES)
    feed(first, every[: 24 * 40 + 7])

    days = feed(Analyst("gw", SITE, RULES, state=first.state), every[24 * 42 + 3 : 24 * 44])

    assert [day.number - START_DAY for day in days] == [42, 43]


def test_the_days_of_a_long_absence_are_faults(tmp_path: Path) -> None:
    """A gateway that was off for a week catches up on each day: nothing was measured, nothing mined."""
    every = windows()
    first = Analyst("gw", SITE, RULES, tmp_path / "history.db")
    feed(first, every[: 24 * 40])
    first.close()

    days = feed(Analyst("gw", SITE, RULES, tmp_path / "history.db", first.state), every[24 * 45 : 24 * 46])

    assert [day.number - START_DAY for day in days] == [40, 41, 42, 43, 44, 45]
    assert {judgement.verdict for day in days[:-1] for judgement in day.judgements} == {Verdict.FAULT}


def test_a_leap_of_the_clock_concludes_nothing_before_its_second_day(uninterrupted: list[Day]) -> None:
    """A day decades ahead leaves no trace in the judgement of the days after."""
    every = windows()
    analyst = Analyst("gw", SITE, RULES)
    days = feed(analyst, every[: 24 * 40])
    leap = [replace(window, start_s=window.start_s + 8000 * DAY_S) for window in every[24 * 40 : 24 * 41]]

    assert feed(analyst, leap) == []
    days += feed(analyst, every[24 * 40 :])
    assert [(day.judgements, day.changes) for day in days] == [(day.judgements, day.changes) for day in uninterrupted]


def test_an_hour_in_1970_costs_an_hour(tmp_path: Path, uninterrupted: list[Day]) -> None:
    """A gateway without a clock of its own boots in 1970: no alarm is cleared or raised for that."""
    every = windows()
    analyst = Analyst("gw", SITE, RULES, tmp_path / "history.db")
    days = feed(analyst, every[: 24 * 60 + 3])

    days += feed(analyst, [replace(every[0], start_s=3 * 3600)])
    days += feed(analyst, every[24 * 60 + 4 :])

    assert [day.number for day in days] == [day.number for day in uninterrupted]
    assert [c for day in days for c in day.changes if c.state != "updated"] == [
        c for day in uninterrupted for c in day.changes if c.state != "updated"
    ]


def test_a_clock_that_starts_in_1970_and_stays_there_is_followed() -> None:
    """The first day of all is a day like any other."""
    first = [replace(window, start_s=window.start_s - START_DAY * DAY_S) for window in windows()[: 24 * 3]]

    assert [day.number for day in feed(Analyst("gw", SITE, RULES), first)] == [0, 1, 2]


def test_a_leap_that_lasts_is_followed() -> None:
    """A gateway that was off for three months goes on from its second day, and catches up on no more than a month."""
    every = windows()
    analyst = Analyst("gw", SITE, RULES)
    feed(analyst, every[: 24 * 5])
    later = [replace(window, start_s=window.start_s + 91 * DAY_S) for window in every[24 * 5 : 24 * 8]]

    numbers = [day.number - START_DAY for day in feed(analyst, later)]

    assert numbers == list(range(97 - 31, 99))


def test_a_clock_that_was_ahead_for_days_blocks_one_day_more(tmp_path: Path) -> None:
    """Back in the present for a day, each day is judged again from the history on disk."""
    every = windows()
    analyst = Analyst("gw", SITE, RULES, tmp_path / "history.db")
    feed(analyst, every[: 24 * 40])
    feed(analyst, [replace(window, start_s=window.start_s + 8000 * DAY_S) for window in every[24 * 40 : 24 * 43]])

    days = feed(analyst, every[24 * 43 : 24 * 45])
    analyst.close()

    assert [day.number - START_DAY for day in days] == [44]
    assert days[0].judgements[1].verdict is Verdict.MINING


def test_days_in_1970_leave_no_trace(tmp_path: Path, uninterrupted: list[Day]) -> None:
    """A clock that was wrong by decades for days: afterwards the whole past is judged again, not its last month."""
    every = windows()
    analyst = Analyst("gw", SITE, RULES, tmp_path / "history.db")
    feed(analyst, every[: 24 * 60])
    feed(analyst, [replace(window, start_s=window.start_s - START_DAY * DAY_S) for window in every[: 24 * 3]])

    days = feed(analyst, every[24 * 60 :])
    analyst.close()

    before = [day for day in days if day.number < START_DAY + 60]
    for day, never_wrong in zip(before, uninterrupted[60 - len(before) : 60], strict=True):
        assert [(one.verdict, one.since_s) for one in day.judgements] == [
            (one.verdict, one.since_s) for one in never_wrong.judgements
        ]


def test_the_past_is_judged_again_a_day_at_a_time(tmp_path: Path) -> None:
    """Between two of them the meters are polled, and the last judgement stands."""
    every = windows()
    analyst = Analyst("gw", SITE, RULES, tmp_path / "history.db")
    feed(analyst, every[: 24 * 40])
    feed(analyst, [replace(window, start_s=window.start_s + 5 * DAY_S) for window in every[24 * 40 : 24 * 41]])

    findings = analyst.take(every[24 * 41])
    standing = analyst.provisional(findings)
    slices = 0
    while analyst.is_behind:
        analyst.judge_again()
        slices += 1
    analyst.close()

    assert findings.days == ()
    assert standing[1].verdict is Verdict.MINING
    assert slices == 41


def test_a_state_of_an_outage_can_be_read_again() -> None:
    """What was not measured is NaN, which JSON does not know."""
    load = office(3)
    load[24:48] = float("nan")
    site = Site("other", (facts("m"),))
    first = Analyst("gw", site, RULES)
    feed(first, list(recording({"m": load}).windows())[:50])

    assert Analyst("gw", site, RULES, state=first.state).state == first.state


def test_a_meter_that_is_new_begins_anew_and_one_that_left_is_forgotten() -> None:
    """A changed configuration keeps the state of who is still there."""
    first = Analyst("gw", SITE, RULES)
    feed(first, windows()[: 24 * 40])

    changed = Analyst("gw", Site("other", (facts("new"), facts("feeder"))), RULES, state=first.state)

    assert set(msgspec.msgpack.decode(changed.state)["memory"]) == {"feeder", "new"}


def test_each_window_gives_a_judgement_of_each_meter() -> None:
    """Provisional until the day is over; days come with the window that ends them."""
    analyst = Analyst("gw", SITE, RULES)
    findings = [analyst.take(window) for window in islice(windows(), 1)]
    provisional = analyst.provisional(findings[0])
    findings += [analyst.take(window) for window in islice(windows(), 1, 49)]

    assert [judgement.meter for judgement in provisional] == ["m", "feeder"]
    assert {judgement.verdict for judgement in provisional} == {Verdict.INCONCLUSIVE}
    assert [len(finding.days) for finding in findings] == [0] * 23 + [1] + [0] * 23 + [1, 0]
    assert findings[23].days[0].end_s == (START_DAY + 1) * DAY_S


def test_replay_is_the_analyst(uninterrupted: list[Day]) -> None:
    """What is judged from a recording is what the daemon judges from windows."""
    days = judged(LOADS, meters=SITE.meters, power_factor=FACTOR)

    assert verdicts(days, "m") == verdicts(uninterrupted, "m")


def test_what_the_tree_shows_is_told_once_and_not_again_after_a_restart() -> None:
    """A load that moved around its meter: a notice of the day, remembered with the state."""
    past = farm(40, 6000.0, 30)
    loads = {
        "m": office(40, 20_000.0, seed=2) + farm(40, 6000.0),
        "feeder": office(40, seed=3) + farm(40, 6000.0) - past,
    }
    site = Site("other", (facts("m"), facts("feeder", parent="m")))
    loads["m"] += office(40, seed=3)
    windows = list(recording(loads).windows())
    first = Analyst("gw", site, RULES)
    before = [notice for window in windows[: 38 * 24] for day in first.take(window).days for notice in day.notices]

    second = Analyst("gw", site, RULES, state=first.state)

    assert [(notice.event, notice.meter) for notice in before] == [("bypass", "feeder")]
    assert [day.notices for window in windows[38 * 24 :] for day in second.take(window).days if day.notices] == []
