"""What does not fit: contradictions and silences that somebody must see, and messages that could not be read."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

FINDINGS_PER_KIND = 1000  # kept per gateway and kind: the open ones that came first, they name the first contradiction
REJECTED_ROWS = 1000  # kept of what was refused: enough to see a pattern, bounded against a flood
REJECTED_BYTES = 1024  # kept of each refused payload

KINDS = {
    "key": "a status carries a key that is neither pinned nor enrolled",
    "signature": "a checkpoint or gap is not signed by the gateway's key",
    "chain": "a signed chain head contradicts what arrived: a record was altered on its way",
    "fork": "one number was used for two different records: a clone, a restored disk, an alteration",
    "rollback": "a gateway came back with fewer records than it had sent: a restored disk",
    "clone": "two boots speak as one gateway in turn: it runs twice",
    "lost": "records that this collector had receipted are not here any more: its database was lost or set back",
    "silence": "a gateway is not heard",
    "clock": "a gateway's time disagrees with the centre's",
    "gap": "a gateway had to drop records before they arrived, and says so",
}
INFORMATION = frozenset({"gap"})  # said openly and signed: shown, but it rings no bell


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that an auditor must see. ``evidence`` are the bytes that contradict, empty where none do."""

    gateway: str
    stream: str
    seq: int
    to_seq: int
    kind: str
    text: str
    evidence: bytes
    time_s: int


class Findings:
    """The tables `finding` and `rejected`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, finding: Finding) -> bool:
        """Note a finding once; False where it is known already, or the table holds enough open ones of its kind."""
        if not self._make_room(finding):
            return False
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO finding (gateway, stream, seq, to_seq, kind, text, evidence, time_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                finding.gateway, finding.stream, finding.seq, finding.to_seq, finding.kind, finding.text,
                finding.evidence, finding.time_s,
            ),
        )  # fmt: skip
        return cursor.rowcount == 1

    def _make_room(self, finding: Finding) -> bool:
        """Forget the oldest settled finding of a kind that is full; False where all of them are open."""
        which = (finding.gateway, finding.kind)
        (kept,) = self._db.execute("SELECT count(*) FROM finding WHERE gateway = ? AND kind = ?", which).fetchone()
        if kept < FINDINGS_PER_KIND:
            return True
        gone = self._db.execute(
            "DELETE FROM finding WHERE id = (SELECT min(id) FROM finding WHERE gateway = ? AND kind = ?"
            " AND resolved_s IS NOT NULL)",
            which,
        )
        return gone.rowcount == 1

    def restore(self, rows: Iterable[tuple[str | int | bytes | None, ...]]) -> None:
        """Put findings back that another database held."""
        self._db.executemany(
            "INSERT OR IGNORE INTO finding (gateway, stream, seq, to_seq, kind, text, evidence, time_s, resolved_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def resolve(self, gateway: str, kind: str, now_s: int, *, found_before_s: int | None = None) -> None:
        """Note that the cause of a gateway's findings of this kind has ended; of all, or of the older ones."""
        before_s = now_s + 1 if found_before_s is None else found_before_s
        self._db.execute(
            "UPDATE finding SET resolved_s = ? WHERE gateway = ? AND kind = ? AND time_s < ? AND resolved_s IS NULL",
            (now_s, gateway, kind, before_s),
        )

    def resolve_range(self, gateway: str, stream: str, kind: str, first: int, last: int, now_s: int) -> None:
        """Note that the findings of this kind within ``first..last`` are settled: the true bytes came."""
        self._db.execute(
            "UPDATE finding SET resolved_s = ? WHERE gateway = ? AND stream = ? AND kind = ? AND seq >= ?"
            " AND to_seq <= ? AND resolved_s IS NULL",
            (now_s, gateway, stream, kind, first, last),
        )

    def reject(self, topic: str, why: str, payload: bytes, now_s: int) -> None:
        """Keep what was refused, the newest thousand."""
        self._db.execute(
            "INSERT INTO rejected (topic, why, bytes, payload, time_s) VALUES (?, ?, ?, ?, ?)",
            (topic, why, len(payload), payload[:REJECTED_BYTES], now_s),
        )
        self._db.execute("DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?", (REJECTED_ROWS,))
