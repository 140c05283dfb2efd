"""Upgrade and downgrade with a full spool."""

import sqlite3
from pathlib import Path

import pytest

from agent.deliver import chain
from agent.deliver.identity.keys import GatewayKey
from tests.agent.deliver.centre import GATEWAY
from tests.agent.deliver.spool.windows import START_S, Opened, summaries, tell


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The spool's file."""
    return tmp_path / "spool.db"


def test_a_spool_of_the_version_before_is_taken_up(opened: Opened, path: Path) -> None:
    """An upgrade with a full spool loses no record, no trusted key, and goes on in the same stream."""
    a_spool_of_version_1(path)

    spool, _ = opened()

    assert (spool.stream, spool.floor, spool.last_seq, spool.loss) == ("old", 1, 3, None)
    assert [envelope.seq for envelope in spool.pending(0, 10)] == [2, 3]
    assert (spool.note("collector_key"), spool.slots["memory"]) == ("key", b"state")
    assert [envelope.payload for envelope in spool.pending(0, 10, kinds=("alarm",))] == [b"3"]


def a_spool_of_version_1(path: Path) -> None:
    """Write three records as the first version did; the first is receipted."""
    heads = [chain.first_head(GATEWAY, "old")]
    for number in (b"1", b"2", b"3"):
        heads.append(chain.next_head(heads[-1], number))
    meta = {
        "gateway": GATEWAY, "stream": "old", "seq": 3, "head": heads[3], "state": b"state", "receipted": 1,
        "receipted_head": heads[1], "note:collector_key": "key",
    }  # fmt: skip
    with sqlite3.connect(path) as db:
        db.executescript(
            "CREATE TABLE record (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, topic TEXT NOT NULL,"
            " payload BLOB NOT NULL, head BLOB NOT NULL) STRICT;"
            "CREATE INDEX record_kind ON record (kind, seq);"
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"
            "PRAGMA user_version = 1;"
        )
        db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        kinds = {2: "summary", 3: "alarm"}
        rows = [(seq, kind, "t", str(seq).encode(), heads[seq]) for seq, kind in kinds.items()]
        db.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)


def test_a_spool_of_a_newer_version_is_put_aside_and_read(opened: Opened, key: GatewayKey, path: Path) -> None:
    """After a downgrade: the file stays as it is, its records are told again, and the reason says what happened."""
    spool, _ = opened()
    tell(spool, key, 0)
    spool.close()
    data = bytearray(path.read_bytes())
    data[60:64] = (99).to_bytes(4, "big")
    path.write_bytes(data)

    spool, upkeep = opened()
    loss = spool.loss
    while upkeep.salvage():
        pass

    assert loss is not None
    assert loss.file is not None
    assert "a newer flatwatt wrote it: tables of version 99" in loss.why
    assert loss.file.read_bytes() == data
    assert summaries(spool) == [START_S]
