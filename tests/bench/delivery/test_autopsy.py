"""What the examination of a killed agent's spool finds, with the spool of the agent itself."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.deliver.spool.spool import Spool
from bench.delivery.autopsy import Autopsy
from bench.delivery.ledger import Life


@pytest.fixture
def autopsy(tmp_path: Path) -> Autopsy:
    """An agent died when three windows were committed, of which the collector has the first with its receipt."""
    spool = Spool(tmp_path / "state" / "spool.db", "demo")
    with closing(sqlite3.connect(tmp_path / "collector.db")) as db:
        db.execute("CREATE TABLE record (stream, seq)")
        db.execute("CREATE TABLE summary (gateway, meter, start_s)")
        db.execute("INSERT INTO record VALUES (?, 1)", (spool.stream,))
        db.execute("INSERT INTO summary VALUES ('demo', 'm1', 0)")
        db.commit()
    for start_s in (0, 60, 120):
        with spool.batch() as batch:
            batch.add("summary", "t", json.dumps({"kind": "summary", "meter": "m1", "start_s": start_s}).encode())
    spool.receipt(1)
    spool.close()
    return Autopsy(tmp_path / "state", tmp_path / "collector.db", ["m1"], period_s=10, window_s=60)


def test_what_is_in_the_spool_or_at_the_collector_is_not_missed(autopsy: Autopsy) -> None:
    """The first window has arrived, the next two wait, the fourth was open."""
    autopsy.examine(Life(0, 200))

    assert autopsy.found == []
    assert autopsy.records == 2


def test_a_closed_window_that_is_in_neither_is_found(autopsy: Autopsy) -> None:
    """The clock says that the agent closed a fourth window, and nobody has it."""
    autopsy.examine(Life(0, 250))

    assert autopsy.found == ["kill 1: the window at 180 of m1 is neither in the spool nor at the collector"]


def test_a_receipt_for_what_the_collector_lacks_is_found(autopsy: Autopsy, tmp_path: Path) -> None:
    """The spool forgot a record that the collector does not have."""
    with closing(sqlite3.connect(tmp_path / "collector.db")) as db:
        db.execute("DELETE FROM record")
        db.commit()

    autopsy.examine(Life(0, 200))

    assert autopsy.found == ["kill 1: 1 records are receipted, of which the collector has 0"]
