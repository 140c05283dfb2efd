"""A damaged spool: how it is told from a sound one, how it is put aside, and what can be read of it.

At its start a spool is sound when SQLite says so (a small file whole, a large one in the pages that
are touched), its notes are complete, the newest payloads fit the hash chain, and no newer record was
ever written than it holds. Every other payload is checked when it is read to be sent, so a restart
need not read a quarter of a gigabyte, and no altered byte leaves unnoticed.

A damaged one is kept, whole, for whoever wants to look. Its readable records are taken over from
there; the caller's slots go over at once, where they can be read at all.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from agent.deliver import chain
from agent.deliver.durable import sync_folder
from agent.deliver.spool.file import META, VERSION, Row, read_slots
from agent.deliver.spool.log import merge_log
from agent.deliver.spool.mark import Mark
from agent.errors import EvidenceError, FlatwattError

LOSS = "loss"  # the slot that keeps a Loss until everything is taken over
KEPT_FILES = 3  # put aside: of more, somebody would have looked long ago

_SMALL_BYTES = 8 * 2**20  # a file that is checked whole at its start: 0.1 s on a PC, a second on a Pi
_TAIL = 500  # records of a larger one whose chain is walked at its start: what a crash may have touched


@dataclass(frozen=True, slots=True)
class Loss:
    """A spool that was put aside. What could no longer be read is None."""

    file: Path | None  # None: it was gone
    why: str
    stream: str | None
    last_seq: int | None
    floor: int | None  # records up to this one need nobody to care: they were receipted, or dropped and declared

    def encode(self) -> bytes:
        """Give it as a slot keeps it."""
        return json.dumps(asdict(replace(self, file=None)) | {"file": self.file and self.file.name}).encode()

    @classmethod
    def decode(cls, value: bytes, folder: Path) -> "Loss | None":
        """Read it from a slot."""
        if not value:
            return None
        fields = json.loads(value)
        return cls(**{**fields, "file": folder / fields["file"] if fields["file"] else None})


def check(db: sqlite3.Connection, gateway: str, mark: Mark | None, file_bytes: int) -> None:
    """Raise unless the file is sound, the stream is ours, and its end is the newest that was ever written."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise EvidenceError(f"a newer flatwatt wrote it: tables of version {version}, this one knows {VERSION}")
    if version != VERSION:
        raise EvidenceError(f"tables of version {version}, not {VERSION}")
    if file_bytes <= _SMALL_BYTES:
        ((verdict,),) = db.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise EvidenceError(str(verdict))
    meta = dict(db.execute("SELECT key, value FROM meta"))
    if not all(isinstance(meta.get(key), type_) for key, type_ in META.items()):
        raise EvidenceError("its own notes are incomplete")
    if meta["gateway"] != gateway:
        raise FlatwattError(f"the spool belongs to gateway {meta['gateway']!r}, not {gateway!r}: give each its own")
    _check_end(meta["stream"], meta["seq"], meta["head"], mark)
    floor, head = meta["floor"], meta["floor_head"]
    if not meta["receipted"] <= floor <= meta["seq"]:
        raise EvidenceError("its own notes contradict each other")
    if file_bytes > _SMALL_BYTES and meta["seq"] - floor > _TAIL:
        floor = meta["seq"] - _TAIL
        row = db.execute("SELECT head FROM record WHERE seq = ?", (floor,)).fetchone()
        head = row[0] if row else b""
    select = "SELECT seq, kind, topic, payload, head FROM record WHERE seq > ? ORDER BY seq"
    with contextlib.closing(db.execute(select, (floor,))) as rows:  # else the file stays locked behind the error
        _walk(rows, (floor, head), (meta["seq"], meta["head"]))


def fits(row: Row, before: bytes | None) -> bool:
    """Tell whether a record's payload and head follow the head before it."""
    if not isinstance(before, bytes) or not _is_row(row):  # one bit makes a text of a blob
        return False
    return chain.next_head(before, row[3]) == row[4]


def put_aside(path: Path, why: str, mark: Mark | None) -> tuple[Loss, dict[str, bytes]]:
    """Take a damaged file out of the way; give what is lost, and the slots that a new file starts with.

    Where the file is gone already, a crash may have come between this and the new file: then it is
    the newest that lies aside.
    """
    target = _quarantine(path)
    with contextlib.suppress(OSError):  # no room: it is read as far as SQLite reads it
        merge_log(target)
    loss, slots = newest_aside(path, why, mark)
    for old in files_aside(path)[:-KEPT_FILES]:
        delete_aside(old)
    return loss, slots


def newest_aside(path: Path, why: str, mark: Mark | None) -> tuple[Loss, dict[str, bytes]]:
    """Give what is lost with the file that was put aside last, and the slots that it held."""
    aside = files_aside(path)
    file = aside[-1] if aside else None
    meta, slots = read_notes(file) if file else ({}, {})
    return _loss(file, why, meta, mark), slots


def _loss(file: Path | None, why: str, meta: Mapping[str, object], mark: Mark | None) -> Loss:
    """Say what is lost: of the stream that was written last, which an old copy in its place need not be."""
    stream, seq, floor = meta.get("stream"), meta.get("seq"), meta.get("floor", meta.get("receipted"))
    if not isinstance(stream, str) or (mark is not None and stream != mark.stream):
        return Loss(file, why, mark.stream if mark else None, mark.seq if mark else None, None)
    seqs = [number for number in (seq, mark.seq if mark else None) if isinstance(number, int)]
    return Loss(file, why, stream, max(seqs, default=None), floor if isinstance(floor, int) else None)


def files_aside(path: Path) -> list[Path]:
    """Give the spools that were put aside, the oldest first."""
    numbered = {file: file.name.removeprefix(f"{path.name}.corrupt-") for file in path.parent.glob(f"{path.name}.*")}
    ours = [file for file, number in numbered.items() if number.isascii() and number.isdecimal()]
    return sorted(ours, key=lambda file: int(numbered[file]))


def delete_aside(file: Path) -> None:
    """Delete a spool that was put aside, with its log. Raises OSError."""
    for suffix in ("-wal", "-shm", "-log", ""):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def readable(file: Path, after: int, floor: int, limit: int) -> tuple[list[Row], int | None]:
    """Give records above ``after`` whose payload fits the chain, and where to go on; None at the end.

    Of ``limit`` numbers at a time. Where a page cannot be read, each number is tried by itself.
    """
    with contextlib.closing(_open_read_only(file)) as db:
        try:
            rows, end = _slice(db, after - 1, limit), None
        except sqlite3.Error:
            rows, end = _one_by_one(db, after, limit), after + limit
        heads = {row[0]: row[4] for row in rows} | dict(_floor_head(db, floor))
        found = [row for row in rows if row[0] > after and fits(row, heads.get(row[0] - 1))]
    if end is None:
        end = rows[-1][0] if rows and rows[-1][0] > after else None
    return found, end


def _slice(db: sqlite3.Connection, after: int, limit: int) -> list[Row]:
    select = "SELECT seq, kind, topic, payload, head FROM record WHERE seq > ? ORDER BY seq LIMIT ?"
    return [row for row in db.execute(select, (after, limit)) if _is_row(row)]


def _one_by_one(db: sqlite3.Connection, after: int, limit: int) -> list[Row]:
    found = []
    for seq in range(after, after + limit + 1):
        with contextlib.suppress(sqlite3.Error):
            found += _slice(db, seq - 1, 1)
    return list({row[0]: row for row in found}.values())


def _is_row(row: tuple[object, ...]) -> bool:
    return [type(value) for value in row] == [int, str, str, bytes, bytes]


def _floor_head(db: sqlite3.Connection, floor: int) -> Iterator[tuple[int, bytes]]:
    with contextlib.suppress(sqlite3.Error):
        for (head,) in db.execute("SELECT value FROM meta WHERE key IN ('floor_head', 'receipted_head') LIMIT 1"):
            yield floor, head  # a file of version 1 had no floor above the receipt


def _walk(rows: Iterable[Row], start: tuple[int, bytes], end: tuple[int, bytes]) -> None:
    seq, head = start
    for row in rows:
        seq += 1
        if row[0] != seq or not fits(row, head):
            raise EvidenceError(f"the hash chain breaks at record {seq}")
        head = row[4]
    if (seq, head) != end:
        raise EvidenceError(f"the hash chain ends at record {seq}, not at {end[0]}")


def _check_end(stream: str, seq: int, head: bytes, mark: Mark | None) -> None:
    if mark is None:
        return
    if mark.stream != stream:
        raise EvidenceError(f"it holds stream {stream}, and {mark.stream} was written last: an old copy was put back")
    if mark.seq > seq:
        raise EvidenceError(
            f"it ends at record {seq}, and {mark.seq} was written: its log is damaged, or an old copy was put back"
        )
    if mark.seq == seq and mark.head != head:
        raise EvidenceError(f"its record {seq} is not the one that was written: an old copy was put back")


def _open_read_only(file: Path) -> sqlite3.Connection:
    """Leave the file as it is. To see what only its log holds, SQLite must be able to write to the folder."""
    has_log = file.with_name(f"{file.name}-wal").exists()
    mode = "mode=ro" if has_log and os.access(file.parent, os.W_OK) else "immutable=1"
    return sqlite3.connect(f"{file.absolute().as_uri()}?{mode}", timeout=0, isolation_level=None, uri=True)


def read_notes(file: Path) -> tuple[dict[str, object], dict[str, bytes]]:
    """Read what can be read of the notes and slots of a file that is damaged, or cannot be written."""
    meta: dict[str, object] = {}
    slots: dict[str, bytes] = {}
    if not file.is_file() or not file.stat().st_size:
        return meta, slots  # or SQLite would delete its log
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_open_read_only(file)) as db:
        with contextlib.suppress(sqlite3.Error):
            for key, value in db.execute("SELECT key, value FROM meta"):
                meta[str(key)] = value
        slots = read_slots(db)
    return meta, slots


def _quarantine(path: Path) -> Path:
    """Rename the file and its log so that SQLite can still open the pair; finish what a crash left half done."""
    aside = files_aside(path)
    if path.is_file() or not aside:
        number = int(aside[-1].name.rpartition("-")[2]) + 1 if aside else 1
        aside.append(path.with_name(f"{path.name}.corrupt-{number}"))
    target = aside[-1]
    for suffix in ("", "-wal", "-shm", "-log"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(target.with_name(target.name + suffix))
    sync_folder(path.parent)
    return target
