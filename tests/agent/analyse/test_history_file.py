"""What becomes of the history where its file is damaged, or its disk in trouble."""

import logging
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from agent.analyse import history_file
from agent.analyse.history import History
from agent.errors import FlatwattError
from tests.agent.analyse.histories import FIRST_DAY, METERS, assert_same, fill, hold


@pytest.mark.parametrize("damage", ["garbage", "page"])
def test_a_damaged_file_is_put_aside(tmp_path: Path, damage: str) -> None:
    """The gateway goes on with a new one, and keeps the old one for who wants to look."""
    path = tmp_path / "history.db"
    history = History(path, METERS)
    fill(history, 30)
    history.close()
    whole = path.read_bytes()
    path.write_bytes(b"not a database" * 400 if damage == "garbage" else whole[:4096] + b"\xff" * 4096 + whole[8192:])

    said: list[str] = []
    fresh = History(path, METERS, said.append)
    fresh.read_all()
    fill(fresh, 2)
    fresh.close()

    assert "history.db is no readable history" in said[0]
    assert [file.name for file in tmp_path.glob("history.db.corrupt-*") if not file.name.endswith(("-wal", "-shm"))]
    assert_same(fresh, History(path, METERS))


def test_damage_that_is_found_by_writing_is_not_waited_out(tmp_path: Path) -> None:
    """A card rots while the agent runs: the file is replaced at once, and what comes is on the disk again."""
    path = tmp_path / "history.db"
    said: list[str] = []
    history = History(path, METERS, said.append)
    fill(history, 3)
    history.read_all()
    with sqlite3.connect(path) as reader:
        reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(os.urandom(size - 4096))

    hold(history, FIRST_DAY + 3, 500.0)
    history.close()

    again = History(path, METERS)
    again.read_all()
    assert "history.db is no readable history" in said[0]
    assert np.isfinite(again.hourly_w(FIRST_DAY + 3)).any()


def test_a_file_of_an_earlier_version_keeps_its_windows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What it did not store is unknown; what it stored is worth more than any feature."""
    path = tmp_path / "history.db"
    history = History(path, METERS)
    fill(history, 2)
    history.close()
    History(path, METERS).close()  # the last day is sorted in
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE recent")
        database.execute("ALTER TABLE window DROP COLUMN outdoor_temperature_c")

    with caplog.at_level(logging.WARNING):
        newer = History(path, METERS)
    hold(newer, FIRST_DAY + 2, 500.0)
    newer.close()

    again = History(path, METERS)
    again.read_all()
    assert "of an earlier version: outdoor_temperature_c is unknown" in caplog.text
    np.testing.assert_array_equal(again.hourly_w(FIRST_DAY + 1), history.hourly_w(FIRST_DAY + 1))
    known = np.isfinite(again.hourly("outdoor_temperature_c", FIRST_DAY + 2)[0])
    assert known.sum(axis=-1).tolist() == [0, 0, 1]


def test_a_file_of_another_process_is_left_alone(tmp_path: Path) -> None:
    """Locked is not damaged: one line for the operator, and the file stays."""
    path = tmp_path / "folder-that-is-not-there" / "history.db"

    with pytest.raises(FlatwattError, match="the history cannot be used"):
        History(path, METERS)


def test_a_full_disk_costs_the_history_of_a_window_not_the_window(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory goes on; the log says what is missing on disk, and it goes there as soon as that is possible."""
    path = tmp_path / "history.db"
    history = History(path, METERS)
    sqlite3.connect(path).execute("DROP TABLE recent")

    fill(history, 1)

    assert "is not on disk" in caplog.text
    assert_same(history, History(path, METERS))


def test_a_disk_that_cannot_be_written_at_the_start_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was known is known, and what comes waits in memory until the disk is back."""
    path = tmp_path / "history.db"
    history = History(path, METERS)
    fill(history, 3)
    history.close()
    monkeypatch.setattr(history_file, "_connect", a_full_disk)
    history = History(path, METERS)
    hold(history, FIRST_DAY + 3, 500.0)
    monkeypatch.undo()
    hold(history, FIRST_DAY + 4, 500.0)

    assert history.days == 5
    assert_same(history, History(path, METERS))


def a_full_disk(_path: Path) -> sqlite3.Connection:
    """Raise what SQLite raises."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


def test_a_damaged_file_is_read_from_both_ends(tmp_path: Path) -> None:
    """A bad block in the middle of a meter costs the days that lie in it, and a few around them."""
    path = tmp_path / "history.db"
    history = History(path, METERS)
    fill(history, 40)
    history.close()
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2 // 4096 * 4096
    whole[middle : middle + 4096] = os.urandom(4096)
    path.write_bytes(whole)

    rebuilt = History(path, METERS)
    rebuilt.read_all()

    known = np.isfinite(rebuilt.hourly_w(FIRST_DAY + 39)).any(axis=-1).sum(axis=-1)
    assert rebuilt.days == 40
    assert sorted(known.tolist()) == [38, 40]


def test_few_damaged_files_are_kept(tmp_path: Path) -> None:
    """A card that dies slowly does not fill itself up with wrecks."""
    path = tmp_path / "history.db"
    path.with_name("history.db.corrupt-of-2026").write_bytes(b"of somebody")
    for _ in range(6):
        path.write_bytes(os.urandom(5000))
        History(path, METERS).close()

    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "history.db", *(f"history.db.corrupt-{number}" for number in (4, 5, 6, "of-2026"))
    ]  # fmt: skip
