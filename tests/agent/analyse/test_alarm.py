"""The life of an alarm: raised once, updated on change, cleared after days of quiet."""

import pytest

from agent.analyse.alarm import AlarmBook, Change
from agent.records import Judgement, Verdict

DAY_S = 86_400


def judgement(verdict: Verdict, watts: float = 0.0) -> Judgement:
    """Give a judgement of one meter."""
    mining_w = (0.8 * watts, watts, 1.2 * watts)
    return Judgement(meter="m", verdict=verdict, score=0.5, mining_w=mining_w, since_s=None, reasons=())


MINING = judgement(Verdict.MINING, 8000.0)
NORMAL = judgement(Verdict.NORMAL)


def told(book: AlarmBook, *days: Judgement) -> list[str]:
    """Give what is told of these days, one after the other; a day without news is a dash."""
    states: list[str] = []
    for number, day in enumerate(days, start=1):
        changes = book.day([day], number * DAY_S)
        states.append(changes[0].state if changes else "-")
    return states


def test_an_alarm_is_raised_once() -> None:
    """A farm that goes on is no news."""
    assert told(AlarmBook("gw"), NORMAL, MINING, MINING, MINING) == ["-", "raised", "-", "-"]


def test_a_change_of_a_fifth_is_news() -> None:
    """Compared with what was told last, so that slow growth is told as well."""
    days = [judgement(Verdict.MINING, watts) for watts in (8000.0, 9000.0, 9700.0, 10_000.0)]

    assert told(AlarmBook("gw"), *days) == ["raised", "-", "updated", "-"]


def test_ten_quiet_days_clear_it() -> None:
    """Nine are a pause: a repair, or a holiday."""
    assert told(AlarmBook("gw"), MINING, *[NORMAL] * 9, MINING, *[NORMAL] * 11) == [
        *("raised", *["-"] * 9, "-"),
        *(*["-"] * 9, "cleared", "-"),
    ]


@pytest.mark.parametrize("verdict", [Verdict.FAULT, Verdict.INCONCLUSIVE])
def test_silence_is_no_all_clear(verdict: Verdict) -> None:
    """Who cuts the meter's wire does not clear the alarm, nor do days that allow no conclusion."""
    quiet = judgement(verdict)

    assert told(AlarmBook("gw"), MINING, NORMAL, *[quiet] * 12, *[NORMAL] * 9) == [
        *("raised", "-", *["-"] * 12),
        *(*["-"] * 8, "cleared"),
    ]


def test_the_id_stays_until_it_is_cleared_and_is_another_next_time() -> None:
    """Raised, updated and cleared are of one alarm; a farm that comes back is another."""
    book = AlarmBook("gw")
    changes: list[Change] = []
    for number, day in enumerate([MINING, judgement(Verdict.MINING, 20e3), *[NORMAL] * 10, MINING], start=1):
        changes += book.day([day], number * DAY_S)

    assert [change.state for change in changes] == ["raised", "updated", "cleared", "raised"]
    assert len({change.alarm.id for change in changes[:3]}) == 1
    assert changes[3].alarm.id != changes[0].alarm.id
    assert [change.alarm.raised_s for change in changes] == [DAY_S, DAY_S, DAY_S, 13 * DAY_S]


def test_the_id_tells_gateways_and_meters_apart() -> None:
    """Two gateways that raise at the same time raise two alarms."""
    ids = {AlarmBook(gateway).day([MINING], DAY_S)[0].alarm.id for gateway in ("one", "two")}

    assert len(ids) == 2
