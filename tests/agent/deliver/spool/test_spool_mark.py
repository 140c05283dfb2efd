"""A spool that is shorter, older or another than what was written: no number is used twice."""

from pathlib import Path

import pytest

from agent.deliver.identity.keys import GatewayKey
from tests.agent.deliver.spool.windows import (
    START_S,
    Opened,
    events,
    field,
    records,
    summaries,
    tell,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The spool's file."""
    return tmp_path / "spool.db"


def test_a_spool_put_back_from_a_backup_forks_nothing(opened: Opened, key: GatewayKey, path: Path) -> None:
    """The mark beside it knows of a newer record: the old stream is left, and its numbers are never used again."""
    spool, _ = opened()
    tell(spool, key, 0)
    spool.close()
    backup = path.read_bytes()
    spool, _ = opened()
    tell(spool, key, 1)
    old = spool.stream
    spool.close()
    path.write_bytes(backup)

    spool, upkeep = opened()
    while upkeep.salvage():
        pass

    assert spool.stream != old
    assert field(records(spool, "event")[0], "data") == {"stream": old, "last_seq": 6, "receipted": 0}
    assert summaries(spool) == [START_S]


def test_a_log_that_was_cut_is_noticed(opened: Opened, key: GatewayKey, path: Path) -> None:
    """SQLite drops what follows a damaged frame of its log without a word; the mark does not."""
    spool, _ = opened()
    for window in range(4):
        tell(spool, key, window)
    old = spool.stream
    log = path.with_name("spool.db-wal")
    crashed, crashed_log = path.read_bytes(), bytearray(log.read_bytes())
    spool.close()
    crashed_log[-100] ^= 1
    path.write_bytes(crashed)
    log.write_bytes(crashed_log)

    spool, upkeep = opened()
    while upkeep.salvage():
        pass

    assert spool.stream != old
    assert field(records(spool, "event")[0], "data") == {"stream": old, "last_seq": 12, "receipted": 0}
    assert summaries(spool) == [START_S, START_S + 900, START_S + 1800]


def test_a_bit_at_the_start_of_a_log_costs_little(opened: Opened, key: GatewayKey, path: Path) -> None:
    """Days lie behind it, which SQLite does not read any more; what fits its checksum and the chain is told again."""
    spool, _ = opened()
    for window in range(40):
        tell(spool, key, window)
    old = spool.stream
    log = path.with_name("spool.db-wal")
    crashed, crashed_log = path.read_bytes(), bytearray(log.read_bytes())
    spool.close()
    crashed_log[32 + 24 + 100] ^= 1
    path.write_bytes(crashed)
    log.write_bytes(crashed_log)

    spool, upkeep = opened()
    while upkeep.salvage():
        pass

    assert field(records(spool, "event")[0], "data") == {"stream": old, "last_seq": 120, "receipted": 0}
    assert summaries(spool) == [START_S + 900 * window for window in range(40)]
    assert spool.slots["window"] == b"39"
    assert not path.with_name("spool.db-log").exists()


def test_a_sound_log_is_left_alone(opened: Opened, key: GatewayKey, path: Path) -> None:
    """After kill -9 the file is read as ever, and nothing lies beside it that was not there."""
    spool, _ = opened()
    tell(spool, key, 0)
    log = path.with_name("spool.db-wal")
    crashed, crashed_log = path.read_bytes(), log.read_bytes()
    spool.close()
    path.write_bytes(crashed)
    log.write_bytes(crashed_log)

    again, _ = opened()

    assert (again.stream, again.last_seq) == (spool.stream, 3)
    assert not path.with_name("spool.db-log").exists()


def test_a_spool_that_is_gone_is_declared(opened: Opened, key: GatewayKey, path: Path) -> None:
    """The mark alone says how much there was."""
    spool, _ = opened()
    tell(spool, key, 0)
    old = spool.stream
    spool.close()
    path.unlink()

    spool, _ = opened()

    assert field(records(spool, "event")[0], "data") == {"stream": old, "last_seq": 3, "receipted": None}


def test_a_stream_that_the_collector_knows_better_is_left(opened: Opened, key: GatewayKey) -> None:
    """File and mark are of the same backup; a receipt told that more had been written."""
    spool, upkeep = opened()
    tell(spool, key, 0)
    old = spool.stream

    spool.begin_anew("a receipt covers record 9, and it ends at 3")
    while upkeep.salvage():
        pass

    assert spool.stream != old
    assert events(spool) == ["spool_corrupt", "spool_salvaged"]
    assert summaries(spool) == [START_S]
