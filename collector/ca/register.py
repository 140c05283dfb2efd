"""The authority's memory: tokens, certificates, enrolled keys, log. All calls belong inside ``transaction()``."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.errors import FlatwattError

_WAIT_S = 10.0  # for the command line while the service writes, and the other way round
_SCHEMA = Path(__file__).with_name("register.sql")


@dataclass(frozen=True, slots=True)
class Token:
    """A right to enrol one gateway once."""

    hash: str
    gateway: str
    expires_s: int
    replaces: bool
    used_by: str | None


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was signed."""

    serial: int
    name: str
    public_key: str
    not_after_s: int
    revoked_s: int | None


class Register:
    """One SQLite file, shared by the service and the command line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()  # the threads of the service share one connection
        with self._translated():
            self._db = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA.read_text())

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all or nothing; others wait."""
        with self._turn, self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise FlatwattError(f"{self._path}: {error}; nothing was signed") from None

    def add_token(self, token: Token) -> None:
        """Note a token that is given out; those of the same gateway that nobody used are void."""
        self._db.execute("DELETE FROM token WHERE gateway = ? AND used_by IS NULL", (token.gateway,))
        self._db.execute(
            "INSERT INTO token VALUES (?, ?, ?, ?, NULL)", (token.hash, token.gateway, token.expires_s, token.replaces)
        )

    def token(self, token_hash: str) -> Token | None:
        """Find a token by its hash."""
        row = self._db.execute("SELECT * FROM token WHERE hash = ?", (token_hash,)).fetchone()
        return None if row is None else Token(row[0], row[1], row[2], bool(row[3]), row[4])

    def burn(self, token_hash: str, public_key: str) -> None:
        """Note who used a token."""
        self._db.execute("UPDATE token SET used_by = ? WHERE hash = ?", (public_key, token_hash))

    def enrolled(self, gateway: str) -> str | None:
        """Give the key that a gateway was let in with."""
        row = self._db.execute("SELECT public_key FROM enrolled WHERE gateway = ?", (gateway,)).fetchone()
        return None if row is None else str(row[0])

    def all_enrolled(self) -> dict[str, str]:
        """Give the key of each gateway that is let in."""
        return dict(self._db.execute("SELECT gateway, public_key FROM enrolled ORDER BY gateway").fetchall())

    def enrol(self, gateway: str, public_key: str, now_s: int) -> None:
        """Let a gateway in with this key and no other."""
        self._db.execute("INSERT OR REPLACE INTO enrolled VALUES (?, ?, ?)", (gateway, public_key, now_s))

    def expel(self, name: str) -> None:
        """Let a gateway in no more, nor by a token that is out."""
        self._db.execute("DELETE FROM enrolled WHERE gateway = ?", (name,))
        self._db.execute("DELETE FROM token WHERE gateway = ?", (name,))

    def add_certificate(self, issued: Issued) -> None:
        """Note a certificate that was signed."""
        self._db.execute(
            "INSERT INTO certificate VALUES (?, ?, ?, ?, NULL)",
            (f"{issued.serial:x}", issued.name, issued.public_key, issued.not_after_s),
        )

    def revoke(self, name: str, now_s: int, except_key: str = "") -> int:
        """Revoke the certificates of a name that are still valid, but those of one key; give how many."""
        cursor = self._db.execute(
            "UPDATE certificate SET revoked_s = ?1 WHERE name = ?2 AND public_key <> ?3 AND revoked_s IS NULL"
            " AND not_after_s > ?1",
            (now_s, name, except_key),
        )
        return cursor.rowcount

    def revoked(self, now_s: int) -> list[tuple[int, int]]:
        """Give serial number and time of the revoked certificates that have not expired."""
        rows = self._db.execute(
            "SELECT serial, revoked_s FROM certificate WHERE revoked_s IS NOT NULL AND not_after_s > ?", (now_s,)
        )
        return [(int(serial, 16), revoked_s) for serial, revoked_s in rows]

    def newest(self) -> list[Issued]:
        """Give the certificate of each name that expires last."""
        rows = self._db.execute(
            "SELECT serial, name, public_key, max(not_after_s), revoked_s FROM certificate GROUP BY name ORDER BY name"
        )
        return [Issued(int(row[0], 16), *row[1:]) for row in rows]

    def log(self, time_s: int, what: str, name: str, sender: str, text: str) -> int:
        """Append a line; give its number."""
        cursor = self._db.execute(
            "INSERT INTO log (time_s, what, name, sender, text) VALUES (?, ?, ?, ?, ?)",
            (time_s, what, name, sender, text),
        )
        return cursor.lastrowid or 0

    def issues(self, name: str, since_s: int) -> int:
        """Give how many certificates a name got since then."""
        query = "SELECT count(*) FROM log WHERE name = ? AND time_s > ? AND what = 'issued'"
        (count,) = self._db.execute(query, (name, since_s)).fetchone()
        return int(count)

    def refusals(self, since_s: int) -> int:
        """Give how many refusals the log has since then."""
        query = "SELECT count(*) FROM log WHERE what = 'refused' AND time_s > ?"
        (count,) = self._db.execute(query, (since_s,)).fetchone()
        return int(count)

    def lines(self) -> list[tuple[int, str, str, str, str]]:
        """Give the log: time, what, name, sender, text."""
        return self._db.execute("SELECT time_s, what, name, sender, text FROM log ORDER BY id").fetchall()
