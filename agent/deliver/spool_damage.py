"""A damaged spool: how it is told from a sound one, and how it is put aside.

A file is sound when SQLite says so, its notes are complete, and every payload fits the hash chain.
One that is not is kept, whole, for whoever wants to look; what outlives it is the caller's state
and the notes, where they can be read at all.
"""

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from agent.deliver import chain
from agent.deliver.durable import sync_folder
from agent.errors import EvidenceError, FlatwattError

_ENVIRONMENT = frozenset(  # these say something about the machine, not about the file
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
_META = {  # the notes that every spool has
    "gateway": str,
    "stream": str,
    "seq": int,
    "head": bytes,
    "state": bytes,
    "receipted": int,
    "receipted_head": bytes,
}


@dataclass(frozen=True, slots=True)
class Loss:
    """A damaged spool that was put aside. What could no longer be read is None."""

    file: Path
    why: str
    stream: str | None
    last_seq: int | None
    receipted: int | None


def check(db: sqlite3.Connection, gateway: str, tables: int) -> None:
    """Raise unless the file is sound, the stream is ours, and every payload fits the chain.

    ``tables`` is the version that its tables must have.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != tables:
        raise EvidenceError(f"tables of version {version}, not {tables}")
    for (verdict,) in db.execute("PRAGMA quick_check(1)"):
        if verdict != "ok":
            raise EvidenceError(str(verdict))
    meta = dict(db.execute("SELECT key, value FROM meta"))
    if not all(isinstance(meta.get(key), type_) for key, type_ in _META.items()):
        raise EvidenceError("its own notes are incomplete")
    if meta["gateway"] != gateway:
        raise FlatwattError(f"the spool belongs to gateway {meta['gateway']!r}, not {gateway!r}: give each its own")
    seq, head = meta["receipted"], meta["receipted_head"]
    for row_seq, payload, row_head in db.execute("SELECT seq, payload, head FROM record ORDER BY seq"):
        head = chain.next_head(head, payload)
        seq += 1
        if row_seq != seq or row_head != head:
            raise EvidenceError(f"the hash chain breaks at record {seq}")
    if (seq, head) != (meta["seq"], meta["head"]):
        raise EvidenceError(f"the hash chain ends at record {seq}, not at {meta['seq']}")


def is_environment(error: sqlite3.Error, path: Path) -> bool:
    """Tell whether an error says something about the machine, not about the file."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return False
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    return code & 0xFF in _ENVIRONMENT


def put_aside(path: Path, why: str) -> tuple[Loss, dict[str, object]]:
    """Take a damaged file out of the way; give what is lost, and the notes that a new file starts with."""
    meta = _salvage_meta(path) if path.stat().st_size else {}
    file = _quarantine(path)
    stream, seq, receipted = (meta.get(key) for key in ("stream", "seq", "receipted"))
    loss = Loss(
        file,
        why,
        stream if isinstance(stream, str) else None,
        seq if isinstance(seq, int) else None,
        receipted if isinstance(receipted, int) else None,
    )
    return loss, {key: value for key, value in meta.items() if _outlives_damage(key, value)}


def _salvage_meta(path: Path) -> dict[str, object]:
    """Read what can be read of the notes of a damaged file."""
    meta: dict[str, object] = {}
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db,
    ):
        for key, value in db.execute("SELECT key, value FROM meta"):
            meta[str(key)] = value
    return meta


def _outlives_damage(key: str, value: object) -> bool:
    return (key == "state" and isinstance(value, bytes)) or (key.startswith("note:") and isinstance(value, str))


def _quarantine(path: Path) -> Path:
    """Rename the file and its log so that SQLite can still open the pair; give the new name."""
    number = 1
    while (target := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    path.rename(target)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(target.with_name(target.name + suffix))
    sync_folder(path.parent)
    return target
