"""Read a gateway's spool as it lies on a disk: its records with the chain heads that it noted, nothing else."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.errors import EvidenceError, FlatwattError

_BUSY_S = 1.0  # an agent that runs never lets go of its spool


@dataclass(frozen=True, slots=True)
class SpoolReader:
    """The lower end of a spool, and its records."""

    db: sqlite3.Connection
    gateway: str
    stream: str
    below: int  # the record before the first one that it keeps
    head: bytes  # the chain head there
    last_seq: int

    def lines(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Give payload and noted head of each record, in the order of its number."""
        rows = self.db.execute("SELECT payload, head FROM record WHERE seq > ? ORDER BY seq", (self.below,))
        for payload, head in rows:
            yield bytes(payload), bytes(head)


def is_spool(path: Path) -> bool:
    """Tell a gateway's spool from a collector's database."""
    with _reading(path) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return {"record", "meta"} <= tables and "stream" not in tables


@contextmanager
def reading_spool(path: Path) -> Iterator[SpoolReader]:
    """Open a spool; :class:`FlatwattError` where an agent has it open, :class:`EvidenceError` where it is damaged."""
    with _reading(path) as db:
        meta = dict(db.execute("SELECT key, value FROM meta"))
        below = meta.get("floor", meta["receipted"])
        head = meta.get("floor_head", meta["receipted_head"])
        yield SpoolReader(db, meta["gateway"], meta["stream"], below, bytes(head), meta["seq"])


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)) as db:
            yield db
    except sqlite3.OperationalError as error:
        raise FlatwattError(
            f"{path}: {error}: where an agent has it open, stop it, or copy the file together with its -wal file"
        ) from None
    except (sqlite3.DatabaseError, KeyError) as error:
        raise EvidenceError(f"{path}: damaged, or no database of flatwatt: {error}") from None
