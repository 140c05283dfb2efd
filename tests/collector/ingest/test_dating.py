"""Times that were wrong are put right by reference: the tables follow, the signed bytes stay."""

import itertools
import random
import sqlite3
from contextlib import closing

import pytest

from tests.collector.desk import Desk
from tests.collector.gateway import START_S, WINDOW_S, FakeGateway, Sent

HOUR_S = 3600


def table(desk: Desk, columns: str, name: str) -> list[tuple[object, ...]]:
    """Give these columns of a table, in order."""
    with closing(sqlite3.connect(desk.database)) as database:
        return sorted(database.execute(f"SELECT {columns} FROM {name}"))


def wrong_by_three_hours(gateway: FakeGateway) -> list[Sent]:
    """Give two windows and an event of a boot without a clock, and what puts them right."""
    records = [gateway.summary(window=window, clock="U") for window in range(2)]
    records.append(gateway.event("restarted", None, "restart"))
    correction = gateway.event("3 h later", None, "clock_correction", from_seq=1, through_seq=3, offset_s=3.0 * HOUR_S)
    return [*records, correction]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_a_correction_dates_anew_in_any_order_of_arrival(desk: Desk, order: tuple[int, ...]) -> None:
    """Windows, days and events carry their true time; the payload is what was signed."""
    records = wrong_by_three_hours(FakeGateway())

    for place in order:
        desk.commit(records[place])
    desk.commit(records[3])

    true_s = START_S + 3 * HOUR_S
    assert table(desk, "start_s, offset_s", "summary") == [(true_s, 10_800), (true_s + WINDOW_S, 10_800)]
    assert table(desk, "time_s", "event WHERE event = 'restart'") == [(true_s,)]
    assert table(desk, "payload", "record WHERE seq = 1") == [(records[0][1],)]


def test_the_last_correction_holds(desk: Desk) -> None:
    """It says by how much the time that was told was wrong, not by how much more."""
    gateway = FakeGateway()
    records = [*wrong_by_three_hours(gateway)]
    again = gateway.event("2 h later", None, "clock_correction", from_seq=1, through_seq=2, offset_s=7200.0)

    desk.commit(again, *records)

    assert table(desk, "start_s", "summary") == [(START_S + 7200,), (START_S + 7200 + WINDOW_S,)]


def test_a_wrong_time_never_hides_a_right_window(desk: Desk) -> None:
    """Two records claim one window; the better clock is shown, and both have their own place once that is known."""
    for seed in range(6):
        gateway = FakeGateway(f"campus-{seed}")
        right = gateway.summary(window=0, watts=5_000.0)
        wrong = gateway.summary(window=0, watts=9_000.0, clock="U")
        correction = gateway.event("late", None, "clock_correction", from_seq=2, through_seq=2, offset_s=HOUR_S)
        messages = [right, wrong, correction]
        random.Random(seed).shuffle(messages)
        for message in messages:
            desk.commit(message)

        rows = table(desk, "start_s, active_power_w", f"summary WHERE gateway = 'campus-{seed}'")
        assert rows == [(START_S, 5_000.0), (START_S + HOUR_S, 9_000.0)]


def test_until_it_is_corrected_the_better_clock_is_shown(desk: Desk) -> None:
    """Whichever arrives first."""
    gateway = FakeGateway()
    right, wrong = gateway.summary(watts=5_000.0), gateway.summary(watts=9_000.0, clock="U")

    desk.commit(wrong)
    desk.commit(right)

    assert table(desk, "active_power_w, clock", "summary") == [(5_000.0, "S")]
    assert table(desk, "load_wh", "meter_day") == [(1_250.0,)]


def test_parts_of_a_window_add_up(desk: Desk) -> None:
    """A stepped clock tells a window in parts, each of another time."""
    gateway = FakeGateway()

    desk.commit(gateway.summary(watts=4_000.0), gateway.summary(watts=4_000.0, part=1))

    assert table(desk, "windows, load_wh", "meter_day") == [(2, 2_000.0)]


def test_what_a_spool_tells_again_is_there_once(desk: Desk) -> None:
    """A window, an alarm and an event that came from memory come again in the disk's stream."""
    memory, disk = FakeGateway(stream="memory"), FakeGateway(stream="disk")
    for gateway in (memory, disk):
        desk.commit(gateway.summary(), gateway.alarm(), gateway.event())

    counts = [len(table(desk, "seq", name)) for name in ("summary", "alarm", "event", "record")]

    assert counts == [1, 1, 1, 6]


def test_the_same_records_are_not_corrected_without_end(desk: Desk) -> None:
    """Each correction projects its records again; a clock that is set at each boot corrects others each time."""
    gateway = FakeGateway()
    desk.commit(gateway.summary(clock="U"), gateway.summary(window=1, clock="U"))
    for _ in range(12):
        desk.commit(gateway.event("late", None, "clock_correction", from_seq=1, through_seq=1, offset_s=HOUR_S))

    desk.commit(gateway.event("late", None, "clock_correction", from_seq=2, through_seq=2, offset_s=HOUR_S))

    ranges = table(desk, "from_seq", "correction")
    assert ranges == [(1,)] * 10 + [(2,)]


@pytest.mark.parametrize("data", [{}, {"from_seq": 1}, {"from_seq": 1, "through_seq": 10**30, "offset_s": 5.0}])
def test_a_senseless_correction_changes_nothing(desk: Desk, data: dict[str, float]) -> None:
    """It stays an event that anybody can read."""
    gateway = FakeGateway()

    desk.commit(gateway.summary(), gateway.event("?", None, "clock_correction", **data))

    assert table(desk, "start_s", "summary") == [(START_S,)]
    assert table(desk, "seq", "correction") == []
