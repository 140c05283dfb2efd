"""What the device remembers, and that it remembers the same after a restart."""

import sqlite3
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from agent.analyse.history import DAY_S, History
from agent.analyse.window import window_features
from agent.records import Quality
from tests.agent.analyse.histories import FIRST_DAY, METERS, assert_same, fill, hold, window


def test_a_restart_remembers_the_same(tmp_path: Path) -> None:
    """What is read from the file is what was in memory, bad first and last days included."""
    history = History(tmp_path / "history.db", METERS)
    bad = window((FIRST_DAY - 2) * DAY_S, [1.0, 1.0], [Quality.STUCK] * 2)
    history.add(bad, window_features(bad))
    fill(history, 12, 900)
    bad = window((FIRST_DAY + 14) * DAY_S, [1.0, 1.0], [Quality.TIMEOUT] * 2)
    history.add(bad, window_features(bad))
    history.close()

    assert_same(history, History(tmp_path / "history.db", METERS))


@pytest.mark.parametrize("letter", [letter for letter in Quality if letter is not Quality.GOOD])
def test_a_window_that_is_not_good_counts_as_unknown(letter: Quality) -> None:
    """No value of it reaches the judgement."""
    history = History(None, METERS)
    taken = window(FIRST_DAY * DAY_S, [5000.0, 100.0], [letter, Quality.GOOD], 3600)

    history.add(taken, window_features(taken))

    assert np.isnan(history.hourly_w(FIRST_DAY)[0]).all()
    assert np.isnan(history.daily("power_factor", FIRST_DAY)[0]).all()
    assert np.isnan(history.hourly("reactive_power_var", FIRST_DAY)[0]).all()
    assert history.hourly_w(FIRST_DAY)[1, 0, 0] == pytest.approx(100 * 3.01 / 3)


def test_it_is_as_cold_while_a_meter_is_stuck() -> None:
    """The temperature of any window that has it counts."""
    history = History(None, METERS)
    taken = window(FIRST_DAY * DAY_S, [5000.0, 100.0], [Quality.STUCK, Quality.GOOD], 3600)

    history.add(taken, window_features(taken))

    warm = history.hourly("outdoor_temperature_c", FIRST_DAY)
    np.testing.assert_array_equal(np.isfinite(warm[:, 0, :2]), [[True, False], [False, False]])


def test_the_day_of_an_exchange_is_known() -> None:
    """Of each meter, with nothing later; a reset counter changes no load."""
    history = History(None, METERS)
    letters = [(Quality.GOOD, Quality.RESET), (Quality.EXCHANGED, Quality.GOOD), (Quality.GOOD, Quality.EXCHANGED)]
    for day, pair in enumerate(letters):
        taken = window((FIRST_DAY + day) * DAY_S, [1.0, 1.0], list(pair))
        history.add(taken, window_features(taken))

    assert history.exchanged(FIRST_DAY + 1).tolist() == [[False, True], [False, False]]


def test_an_hour_counts_when_half_of_it_is_known() -> None:
    """Two good quarters of four make an hour; one does not."""
    history = History(None, METERS)
    for quarter, watts in enumerate([[100.0, 100.0], [100.0, np.nan], [np.nan, np.nan], [np.nan, np.nan]]):
        taken = window(FIRST_DAY * DAY_S + 900 * quarter, watts)
        history.add(taken, window_features(taken))

    assert np.isfinite(history.hourly_w(FIRST_DAY)[:, 0, 0]).tolist() == [True, False]


def test_a_day_is_seen_without_what_came_later() -> None:
    """The arrays end with the day that is asked for."""
    history = History(None, METERS)
    fill(history, 5)

    assert history.hourly_w(FIRST_DAY + 2).shape == (2, 3, 24)
    assert history.daily("power_factor", FIRST_DAY + 2).shape == (2, 3)
    assert history.day_numbers(FIRST_DAY + 2).tolist() == [FIRST_DAY, FIRST_DAY + 1, FIRST_DAY + 2]


def test_who_needs_the_last_days_only_gets_no_more() -> None:
    """They are the end of all days, also where the ring of days has come round; fewer where there are no more."""
    history = History(None, METERS)
    for day in range(433):
        hold(history, FIRST_DAY + day, 1000.0 + day)
    today = FIRST_DAY + 431

    whole, last = history.hourly_w(today), history.hourly_w(today, 5)

    np.testing.assert_array_equal(last, whole[:, -5:])
    np.testing.assert_array_equal(history.daily("power_factor", today, 5), history.daily("power_factor", today)[:, -5:])
    assert history.day_numbers(today, 5).tolist() == [*range(today - 4, today + 1)]
    assert history.hourly_w(FIRST_DAY + 4, 5).shape == (2, 2, 24)


def test_430_days_are_kept_in_memory_and_on_disk(tmp_path: Path) -> None:
    """The oldest day goes when a new one begins, whatever the hour of its first window."""
    history = History(tmp_path / "history.db", METERS)
    for day in range(435):
        taken = window((FIRST_DAY + day) * DAY_S + 5 * 3600, [1000.0 + day, 1.0], window_s=3600)
        history.add(taken, window_features(taken))
    history.close()
    History(tmp_path / "history.db", METERS).close()  # the last day is sorted in

    oldest = sqlite3.connect(tmp_path / "history.db").execute("SELECT min(start_s) FROM window").fetchone()[0]

    assert (history.first_day, history.days) == (FIRST_DAY + 5, 430)
    assert oldest // DAY_S == FIRST_DAY + 5
    assert history.hourly_w(FIRST_DAY + 434)[0, 0, 5] == pytest.approx(1005 * 3.01 / 3)
    assert_same(history, History(tmp_path / "history.db", METERS))


@pytest.mark.parametrize("wrong_day", [0, FIRST_DAY + 20 * 365, 2_900_000])
def test_a_wrong_date_destroys_nothing(tmp_path: Path, wrong_day: int) -> None:
    """A window decades away, back to the present, a restart: the 430 days are there but for the one that gave way."""
    history = History(tmp_path / "history.db", METERS)
    for day in range(430):
        hold(history, FIRST_DAY + day, 1000.0 + day)

    hold(history, wrong_day, 9e5)
    alone = (history.first_day, history.days)
    hold(history, FIRST_DAY + 430, 1430.0)
    history.close()
    restarted = History(tmp_path / "history.db", METERS)
    hold(restarted, FIRST_DAY + 431, 1431.0)
    restarted.close()

    assert alone == (wrong_day, 1)
    for held, last in ((history, 430), (restarted, 431)):
        noon_w = held.hourly_w(FIRST_DAY + last)[0, :, 12]
        assert (held.first_day + held.days - 1, held.days >= 429) == (FIRST_DAY + last, True)
        np.testing.assert_allclose(noon_w[-420:], (1000.0 + last - np.arange(420)[::-1]) * 3.01 / 3)


def test_a_window_older_than_all_is_of_no_use() -> None:
    """A clock that jumped back a year does not overwrite anything."""
    history = History(None, METERS)
    fill(history, 2)
    before = history.hourly_w(FIRST_DAY + 1)
    taken = window((FIRST_DAY - 300) * DAY_S, [9e5, 9e5])

    history.add(taken, window_features(taken))

    np.testing.assert_array_equal(history.hourly_w(FIRST_DAY + 1), before)


def test_a_meter_that_left_is_forgotten_and_a_new_one_begins(tmp_path: Path) -> None:
    """The file is read by the meters' names, not by their order."""
    history = History(tmp_path / "history.db", METERS)
    fill(history, 3)
    history.close()

    changed = History(tmp_path / "history.db", ("new", "main"))
    changed.read_all()

    today = FIRST_DAY + 2
    assert np.isnan(changed.hourly_w(today)[0]).all()
    np.testing.assert_allclose(changed.hourly_w(today)[1], history.hourly_w(today)[0])


def test_ten_meters_and_430_days_are_read_in_two_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Start-up of a gateway with a full history; the time is printed."""
    meters = [f"meter-{n}" for n in range(10)]
    path = tmp_path / "history.db"
    History(path, meters).close()
    starts = range(FIRST_DAY * DAY_S, (FIRST_DAY + 430) * DAY_S, 900)
    rows = (
        (start, meter, 900, 1.0, "G", 5e3 + start % 977, 0.97, 0.01, 900.0, 12.0, None, None)
        for meter in meters
        for start in starts
    )
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.executemany("INSERT INTO window VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", rows)

    begin = time.process_time()
    history = History(path, meters)
    history.read_all()
    seconds = time.process_time() - begin

    with capsys.disabled():
        sys.stdout.write(f"\n430 days of 15-minute windows of 10 meters are read in {seconds:.2f} s\n")
    assert history.days == 430
    assert seconds < 2.0  # 0.8 on a quiet core
