"""A disk that is full, and the spool in memory meanwhile."""

import sqlite3
from pathlib import Path

import pytest

from agent.deliver.identity.keys import GatewayKey
from agent.deliver.spool import file as spool_file
from agent.deliver.spool.spool import Spool
from tests.agent.deliver.spool.windows import START_S, Opened, events, field, records, summaries, tell


class Disk:
    """A disk that is full as long as ``is_full``: no file on it grows."""

    def __init__(self) -> None:
        self.is_full = False
        self._connect = spool_file.connect

    def connect(self, path: Path | None) -> sqlite3.Connection:
        """Open a database that grows only while there is room."""
        db = self._connect(path)
        if path is not None and self.is_full:
            db.execute("PRAGMA max_page_count = 1")
        return db

    def fill(self, spool: Spool) -> None:
        """Let no more room be left."""
        self.is_full = True
        spool._file._db.execute("PRAGMA max_page_count = 1")  # as many as it has


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Where the spools of a test lie."""
    disk = Disk()
    monkeypatch.setattr(spool_file, "connect", disk.connect)
    return disk


def test_a_full_disk_moves_the_spool_to_memory_and_back(opened: Opened, key: GatewayKey, disk: Disk) -> None:
    """The window that could not be written is not lost, and when there is room again all goes on where it was."""
    spool, upkeep = opened()
    tell(spool, key, 0)
    stream = spool.stream
    disk.fill(spool)

    for window in range(1, 200):
        tell(spool, key, window)
        upkeep.tend()
    in_memory = (spool.storage, spool.stream != stream, events(spool)[0], len(summaries(spool)) > 100)
    disk.is_full = False
    upkeep.tend()

    assert in_memory == ("memory", True, "storage", True)
    assert (spool.storage, spool.stream) == ("disk", stream)
    assert len(summaries(spool)) == len(set(summaries(spool))) == 200
    assert spool.slots["window"] == b"199"
    assert [field(event, "data") for event in records(spool, "event")] == [{"storage": "disk"}, {"storage": "memory"}]


def test_what_is_receipted_in_memory_is_not_written_again(opened: Opened, key: GatewayKey, disk: Disk) -> None:
    """Only what nobody confirmed comes back to the disk."""
    spool, upkeep = opened()
    disk.fill(spool)
    for window in range(200):
        tell(spool, key, window)
    assert spool.storage == "memory"
    spool.receipt(spool.last_seq)
    tell(spool, key, 200)
    disk.is_full = False
    upkeep.tend()

    assert summaries(spool)[-1] == START_S + 200 * 900
    assert len(summaries(spool)) < 150


def test_a_disk_that_is_full_at_the_start_is_no_reason_to_stop(opened: Opened, key: GatewayKey, disk: Disk) -> None:
    """A first start without room: measuring goes on in memory, and on the disk as soon as that is possible."""
    disk.is_full = True
    spool, upkeep = opened()
    tell(spool, key, 0)
    assert (spool.storage, events(spool), summaries(spool)) == ("memory", ["storage"], [START_S])

    disk.is_full = False
    upkeep.tend()

    assert (spool.storage, summaries(spool), spool.loss) == ("disk", [START_S], None)


def test_notes_go_with_the_spool(opened: Opened, key: GatewayKey, disk: Disk) -> None:
    """A key that was trusted on the disk is trusted in memory, and one that was noted there on the disk."""
    spool, upkeep = opened()
    spool.keep_note("old", "1")
    disk.fill(spool)
    spool.keep_note("new", "x" * 100_000)
    in_memory = (spool.storage, spool.note("old"))
    disk.is_full = False
    upkeep.tend()

    assert in_memory == ("memory", "1")
    assert (spool.storage, spool.note("old"), len(spool.note("new") or "")) == ("disk", "1", 100_000)
