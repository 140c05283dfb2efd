import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.deliver import chain, spool_damage, spool_file, wire
from agent.deliver.keys import GatewayKey
from agent.deliver.spool import Spool
from agent.deliver.upkeep import Upkeep
from agent.records import ClockReading
from tests.agent.deliver.centre import GATEWAY
from tests.agent.deliver.windows import LOOSE, START_S, alarm, events, field, key_in, records, tell

NOW = ClockReading(utc_s=START_S, boot_s=1.0, boot_id="b", trust="S", error_s=0.0)


@pytest.fixture
def key(tmp_path: Path) -> GatewayKey:
    """The gateway's key."""
    return key_in(tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The spool's file."""
    return tmp_path / "spool.db"


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


@pytest.fixture
def opened(path: Path, key: GatewayKey) -> Iterator[Callable[[], tuple[Spool, Upkeep]]]:
    """Opens the spool as the daemon does; what is open is closed at the end."""
    spools: list[Spool] = []

    def open_() -> tuple[Spool, Upkeep]:
        spools.append(Spool(path, GATEWAY))
        return spools[-1], Upkeep(spools[-1], key, LOOSE, lambda: NOW)

    yield open_
    for spool in spools:
        spool.close()


Opened = Callable[[], tuple[Spool, Upkeep]]


def summaries(spool: Spool) -> list[object]:
    """Give the windows of meter m0 that wait."""
    return [field(summary, "start_s") for summary in records(spool, "summary") if field(summary, "meter") == "m0"]


def damaged(path: Path, text: bytes) -> None:
    """Flip a bit behind the last place where a text stands in a file."""
    data = bytearray(path.read_bytes())
    data[data.rindex(text) + len(text)] ^= 1
    path.write_bytes(data)


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
        ("spool_salvaged", {"stream": old, "last_seq": 16, "receipted": 0, "salvaged": 10}),
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
