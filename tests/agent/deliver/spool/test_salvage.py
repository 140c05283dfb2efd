"""What can be read of a damaged spool."""

import os
import sqlite3
from pathlib import Path

import pytest

from agent.deliver import wire
from agent.deliver.identity.keys import GatewayKey
from agent.deliver.spool import damage as spool_damage
from agent.deliver.spool import file as spool_file
from agent.deliver.spool import spool as spool_module
from agent.deliver.spool.spool import Spool
from tests.agent.deliver.centre import GATEWAY
from tests.agent.deliver.spool.windows import (
    START_S,
    Opened,
    alarm,
    damaged,
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


def test_a_damaged_spool_is_read_as_far_as_its_chain_holds(opened: Opened, key: GatewayKey, path: Path) -> None:
    """One altered record is lost and all others are told again in the new stream, which begins by saying so."""
    spool, _ = opened()
    for window in range(5):
        tell(spool, key, window)
    with spool.batch() as batch:
        batch.add("alarm", "t", wire.encode(alarm("a", "raised", START_S)))
    old = spool.stream
    spool.close()
    damaged(path, f'"start_s":{START_S + 2 * 900}'.encode())

    spool, upkeep = opened()
    while upkeep.salvage():
        pass

    said = records(spool, "event")
    assert [(field(event, "event"), field(event, "data")) for event in said] == [
        ("spool_corrupt", {"stream": old, "last_seq": 16, "receipted": 0}),
        ("spool_salvaged", {"stream": old, "last_seq": 16, "salvaged": 10, "lost": 1}),
    ]
    assert (field(said[0], "seq"), spool.loss) == (1, None)
    assert (len(records(spool, "summary")), len(records(spool, "alarm"))) == (9, 1)


def test_a_crash_in_the_middle_of_a_salvage_repeats_nothing(opened: Opened, key: GatewayKey, path: Path) -> None:
    """How far it came is committed with the records that it took over."""
    spool, _ = opened()
    for window in range(400):
        tell(spool, key, window)
    spool.close()
    damaged(path, f'"start_s":{START_S + 399 * 900}'.encode())
    spool, upkeep = opened()
    assert upkeep.salvage()
    spool._file._db.close()  # as kill -9 does

    spool, upkeep = opened()
    while upkeep.salvage():
        pass

    assert events(spool) == ["spool_corrupt", "spool_salvaged"]
    assert len(summaries(spool)) == len(set(summaries(spool))) >= 399


def test_a_payload_that_changes_while_the_agent_runs_is_never_sent(opened: Opened, key: GatewayKey, path: Path) -> None:
    """Each record is held against the chain when it is read; what does not fit ends the stream."""
    spool, _ = opened()
    for window in range(3):
        tell(spool, key, window)
    old = spool.stream
    spool._file._db.execute("UPDATE record SET payload = CAST(replace(payload, '1000', '2000') AS BLOB) WHERE seq = 4")

    sent = spool.pending(0, 100)

    assert sent == []
    assert spool.stream != old
    assert events(spool) == ["spool_corrupt"]


@pytest.mark.parametrize("column", ["payload", "head"])
def test_a_bit_that_makes_a_text_of_a_blob_is_damage(opened: Opened, key: GatewayKey, column: str) -> None:
    """What a column holds is one bit of the file; it ends the stream like any other."""
    spool, _ = opened()
    tell(spool, key, 0)
    altered = {"payload": "CAST(payload AS TEXT)", "head": "hex(head)"}[column]
    db = spool._file._db
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'record'")
    db.execute("PRAGMA writable_schema = RESET")
    db.execute(f"UPDATE record SET {column} = {altered} WHERE seq = 2")

    assert (spool.head_at(2) is None) == (column == "head")
    assert spool.pending(0, 100) == [] or column == "head"
    assert events(spool) == ["spool_corrupt"]


def test_a_crash_before_the_new_file_forgets_nothing(
    opened: Opened, key: GatewayKey, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The damaged file lies aside and there is no other yet: the next start takes it up from there."""
    spool, _ = opened()
    for window in range(2):
        tell(spool, key, window)
    spool.keep_note("counter", "7")
    spool.close()
    damaged(path, f'"start_s":{START_S + 900}'.encode())
    with monkeypatch.context() as crash:
        crash.setattr(spool_module, "forget_mark", forgets_and_crashes)
        with pytest.raises(KeyboardInterrupt):
            opened()

    spool, upkeep = opened()
    while upkeep.salvage():
        pass

    assert spool.note("counter") == "7"
    assert events(spool) == ["spool_corrupt", "spool_salvaged"]
    assert summaries(spool) == [START_S]  # the other one was damaged


def forgets_and_crashes(path: Path) -> None:
    """End as kill -9 does, between the old mark and the new file."""
    path.with_name("spool.db-mark").unlink()
    raise KeyboardInterrupt


def test_a_damaged_spool_on_a_full_disk_is_told_when_there_is_room(
    opened: Opened, key: GatewayKey, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies aside, and its place stays empty for a while; what it knew is known in memory, too."""
    spool, _ = opened()
    tell(spool, key, 0)
    spool.keep_note("counter", "7")
    spool.close()
    damaged(path, f'"start_s":{START_S}'.encode())
    create = spool_file.create

    def no_room(db: sqlite3.Connection, gateway: str, slots: dict[str, bytes]) -> spool_file.SpoolFile:
        if db.execute("PRAGMA database_list").fetchone()[2]:
            db.executescript("PRAGMA max_page_count = 1")
        return create(db, gateway, slots)

    with monkeypatch.context() as full:
        full.setattr(spool_file, "create", no_room)
        spool, upkeep = opened()
    assert (spool.storage, spool.note("counter")) == ("memory", "7")
    upkeep.tend()
    while upkeep.salvage():
        pass

    assert (spool.storage, spool.note("counter")) == ("disk", "7")
    assert events(spool) == ["storage", "storage", "spool_corrupt", "spool_salvaged"]


def test_a_copy_that_somebody_made_is_no_trouble(opened: Opened, key: GatewayKey, path: Path) -> None:
    """Only names that we give are read as numbers."""
    spool_of_then, _ = opened()
    spool_of_then.close()
    path.with_name("spool.db.corrupt-of-2026").write_bytes(b"")
    path.write_bytes(os.urandom(5000))

    spool, _ = opened()

    assert [file.name for file in spool_damage.files_aside(path)] == ["spool.db.corrupt-1"]
    assert events(spool) == ["spool_corrupt"]


def test_few_damaged_spools_are_kept(opened: Opened, key: GatewayKey, path: Path) -> None:
    """A card that dies slowly does not fill itself up with wrecks."""
    for _ in range(spool_damage.KEPT_FILES + 3):
        spool, _ = opened()
        tell(spool, key, 0)
        spool.close()
        path.write_bytes(os.urandom(5000))
    opened()

    assert [file.name for file in spool_damage.files_aside(path)] == [f"spool.db.corrupt-{n}" for n in (4, 5, 6)]


def test_energy_of_a_gap_outlives_the_damage_of_its_stream(opened: Opened, key: GatewayKey, path: Path) -> None:
    """A gap names numbers of its own stream; elsewhere only what it knows of the energy can be told."""
    spool, upkeep = opened()
    for window in range(3):
        tell(spool, key, window)
    with spool.batch() as batch:
        batch.drop(6, spool.head_at(6) or b"")
        batch.add("gap", "t", wire.encode(a_gap(spool)))
    old = spool.stream

    spool.begin_anew("for a test")
    while upkeep.salvage():
        pass

    (gap,) = [event for event in records(spool, "event") if field(event, "event") == "earlier_gap"]
    data = field(gap, "data")
    assert isinstance(data, dict)
    assert (data["stream"], data["m0_load_wh"]) == (old, 500.0)


def a_gap(spool: Spool) -> wire.Gap:
    """Give a gap over the first two windows."""
    total = wire.MeterTotal(meter="m0", start_s=START_S, end_s=START_S + 1800, coverage=1.0, load_wh=500.0, mining_wh=0)
    return wire.Gap(
        v=1, kind="gap", stream=spool.stream, seq=10, gateway=GATEWAY, from_seq=1, through_seq=6, head="", cause="",
        time_s=START_S, records={}, totals=[total], key="", sig="",
    )  # fmt: skip


def test_a_slot_that_was_altered_is_forgotten(opened: Opened, path: Path) -> None:
    """No chain covers the state, and half a state is worse than none."""
    spool, _ = opened()
    spool.keep_note("sound", "good")
    spool.keep_note("altered", "a state of many words")
    spool.close()
    damaged(path, b"a state of many")

    spool, _ = opened()

    assert (spool.loss, spool.note("sound"), spool.note("altered")) == (None, "good", None)
