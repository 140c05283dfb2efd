import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.deliver import chain
from agent.deliver.spool import damage as spool_damage
from agent.deliver.spool.spool import Spool
from agent.errors import FlatwattError
from tests.agent.deliver.centre import GATEWAY, fill

WRITER = """
import sys
from pathlib import Path
from agent.deliver.spool.spool import Spool

spool = Spool(Path(sys.argv[1]), "campus-01")
assert spool.loss is None, spool.loss
while True:
    with spool.batch() as batch:
        for _ in range(5):
            batch.add("event", "t", f"{batch.stream} {batch.next_seq} {'x' * 300}".encode())
        batch.slots["state"] = str(batch.next_seq - 1).encode()
    print(spool.last_seq, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file is made at first use, with its folder."""
    return tmp_path / "state" / "spool.db"


def contiguous(spool: Spool) -> bool:
    """Walk every record that is kept and compare it with the chain."""
    head = spool.head_at(spool.receipted)
    assert head is not None
    for expected, envelope in enumerate(spool.pending(0, 1_000_000), start=spool.receipted + 1):
        head = chain.next_head(head, envelope.payload)
        if envelope.seq != expected or spool.head_at(envelope.seq) != head:
            return False
    return head == spool.head


def test_records_are_numbered_from_one_and_chained(path: Path) -> None:
    """A new stream begins at 1 with the head of its own name, and each record moves the head."""
    spool = Spool(path, GATEWAY)

    fill(spool, 3)

    assert [envelope.seq for envelope in spool.pending(0, 10)] == [1, 2, 3]
    assert spool.head_at(0) == chain.first_head(GATEWAY, spool.stream)
    assert contiguous(spool)


def test_a_batch_that_fails_leaves_no_trace(path: Path) -> None:
    """Records and state are kept together or not at all."""
    spool = Spool(path, GATEWAY)
    fill(spool, 1)

    with contextlib.suppress(ZeroDivisionError), spool.batch() as batch:
        batch.add("event", "t", b"half a window")
        batch.slots["state"] = b"wrong"
        _ = 1 / 0

    assert (spool.last_seq, spool.slots, len(spool.pending(0, 10))) == (1, {}, 1)


def test_everything_is_there_again_after_a_restart(path: Path) -> None:
    """Stream, numbers, head, state, receipt and notes outlive the process."""
    first = Spool(path, GATEWAY)
    fill(first, 5)
    with first.batch() as batch:
        batch.slots["state"] = b"alarms"
    first.receipt(2)
    first.keep_note("collector", "key")
    first.close()

    second = Spool(path, GATEWAY)

    assert (second.stream, second.last_seq, second.head) == (first.stream, 5, first.head)
    assert (second.slots["state"], second.receipted, second.note("collector")) == (b"alarms", 2, "key")
    assert contiguous(second)


def test_pending_gives_what_is_asked_for(path: Path) -> None:
    """Above a number, up to another, of one kind, no more than the limit."""
    spool = Spool(path, GATEWAY)
    fill(spool, 10, kinds=("event", "alarm"))
    spool.receipt(1)

    assert [e.seq for e in spool.pending(0, 3)] == [2, 3, 4]
    assert [e.seq for e in spool.pending(6, 100, through=8)] == [7, 8]
    assert [e.seq for e in spool.pending(3, 2, kinds=("alarm",))] == [4, 6]


def test_a_receipt_forgets_what_it_covers_and_nothing_else(path: Path) -> None:
    """The head at the receipt stays, so the next one can be compared; old and impossible ones change nothing."""
    spool = Spool(path, GATEWAY)
    fill(spool, 5)
    head = spool.head_at(3)

    spool.receipt(3)
    spool.receipt(2)
    spool.receipt(99)

    assert [envelope.seq for envelope in spool.pending(0, 10)] == [4, 5]
    assert (spool.receipted, spool.head_at(3), spool.head_at(2)) == (3, head, None)


def test_kill_9_loses_nothing_that_was_committed(path: Path) -> None:
    """Twenty crashes in the middle of writing: whole batches, the state of the last one, one unbroken chain."""
    chance = random.Random(20)  # the moments differ all the same: the machine's load decides
    for _ in range(20):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        acknowledged = int(writer.stdout.readline())
        time.sleep(chance.uniform(0, 0.1))
        writer.kill()
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().splitlines())])
        writer.wait()
        writer.stdout.close()

        spool = Spool(path, GATEWAY)
        assert spool.loss is None
        assert spool.last_seq >= acknowledged
        assert spool.last_seq % 5 == 0
        assert spool.slots["state"] == str(spool.last_seq).encode()
        assert contiguous(spool)
        spool.close()


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty", "header", "one bit of a payload", "wrong version"])
def test_a_damaged_file_is_put_aside_and_a_new_stream_begins(path: Path, damage: str) -> None:
    """Nothing is deleted, nothing raised; the loss names the file, and where it can be read, the last record."""
    old = Spool(path, GATEWAY)
    fill(old, 200)
    old.close()
    data = bytearray(path.read_bytes())
    if damage == "garbage":
        data[:] = os.urandom(len(data))
    elif damage == "truncated":
        del data[5000:]
    elif damage == "empty":
        data.clear()
    elif damage == "header":
        data[:16] = bytes(16)
    elif damage == "one bit of a payload":
        data[data.index(b'"n":150}')] ^= 1
    else:
        data[60:64] = (99).to_bytes(4, "big")
    path.write_bytes(data)

    new = Spool(path, GATEWAY)

    assert new.loss is not None
    assert new.loss.file is not None
    assert new.loss.file.read_bytes() == data
    assert new.stream != old.stream
    fill(new, 1)
    assert [envelope.seq for envelope in new.pending(0, 10)] == [1]
    if damage == "one bit of a payload":
        assert (new.loss.stream, new.loss.last_seq) == (old.stream, 200)
    with new.batch() as batch:
        batch.slots["loss"] = b""
    new.close()
    assert Spool(path, GATEWAY).loss is None


def test_the_log_of_an_emptied_file_is_put_aside_with_it(path: Path) -> None:
    """SQLite deletes the log of an empty file; it may hold records that nobody else has."""
    old = Spool(path, GATEWAY)
    fill(old, 20)
    log = path.with_name("spool.db-wal").read_bytes()
    old.close()
    path.write_bytes(b"")
    path.with_name("spool.db-wal").write_bytes(log)

    new = Spool(path, GATEWAY)

    assert new.loss is not None
    assert path.with_name("spool.db.corrupt-1-log").read_bytes() == log
    assert len(spool_damage.readable(path.with_name("spool.db.corrupt-1"), 0, 0, 100)[0]) == 20


def test_notes_of_a_wrong_type_are_damage(path: Path) -> None:
    """A number that became a text is put aside, as any other damage."""
    old = Spool(path, GATEWAY)
    fill(old, 20)
    old.close()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = 'seven' WHERE key = 'floor'")

    new = Spool(path, GATEWAY)

    assert new.loss is not None
    assert (new.loss.last_seq, new.loss.floor) == (20, None)


def test_what_can_be_read_of_a_damaged_file_outlives_it(path: Path) -> None:
    """The caller's state and the trusted collector's key go over into the new stream."""
    old = Spool(path, GATEWAY)
    fill(old, 200)
    with old.batch() as batch:
        batch.slots["state"] = b"alarms"
    old.keep_note("collector", "key")
    old.close()
    data = bytearray(path.read_bytes())
    data[data.index(b'"n":150}')] ^= 1
    path.write_bytes(data)

    new = Spool(path, GATEWAY)

    assert new.loss is not None
    assert (new.slots["state"], new.note("collector")) == (b"alarms", "key")


def test_random_damage_never_stops_the_agent(tmp_path: Path) -> None:
    """Whatever happens to the files, the spool opens and takes records."""
    chance = random.Random(20)  # the moments differ all the same: the machine's load decides
    spool = Spool(tmp_path / "sound" / "spool.db", GATEWAY)
    fill(spool, 100)
    shutil.copytree(tmp_path / "sound", tmp_path / "crashed")  # with the log not yet merged
    spool.close()
    for round_ in range(40):
        folder = tmp_path / str(round_)
        shutil.copytree(tmp_path / chance.choice(("sound", "crashed")), folder)
        victim = chance.choice(sorted(file for file in folder.iterdir() if file.stat().st_size))
        data = bytearray(victim.read_bytes())
        place = chance.randrange(chance.choice((100, len(data))))
        data[place : place + chance.choice((1, 4096))] = os.urandom(chance.choice((0, 1, 4096)))
        victim.write_bytes(data)

        opened = Spool(folder / "spool.db", GATEWAY)
        fill(opened, 1)

        assert contiguous(opened)
        opened.close()


def test_a_second_process_is_told_that_the_spool_is_in_use(path: Path) -> None:
    """A file that another process holds is not damaged, and is left where it is."""
    holder = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with pytest.raises(FlatwattError, match="another process has it open"):
            Spool(path, GATEWAY)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()

    assert not list(path.parent.glob("*corrupt*"))


def test_the_spool_of_another_gateway_is_not_touched(path: Path) -> None:
    """A wrong state folder is a mistake of the operator, not damage."""
    Spool(path, GATEWAY).close()

    with pytest.raises(FlatwattError, match="belongs to gateway 'campus-01'"):
        Spool(path, "campus-02")

    assert not list(path.parent.glob("*corrupt*"))


def test_an_impossible_folder_is_said_in_one_line(tmp_path: Path) -> None:
    """The folder cannot be made: one error of ours, with the path."""
    (tmp_path / "file").write_text("")

    with pytest.raises(FlatwattError, match="the spool cannot be used"):
        Spool(tmp_path / "file" / "spool.db", GATEWAY)
