"""The gateways: their keys, what they last said of themselves, when they were last heard, and with which boots."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from agent.deliver import wire

BOOTS = 100  # kept per gateway, the newest: enough to see who speaks in turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """How a gateway was last heard."""

    gateway: str
    stream: str
    heard_s: int
    window_s: int
    goodbye: bool
    boot_id: str
    boot_s: float


class Gateways:
    """The tables `gateway`, `gateway_key` and `boot`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def strangers(self, since_s: int) -> int:
        """Give how many gateways without a key began to send since a time."""
        found = self._db.execute(
            "SELECT count(DISTINCT gateway) FROM stream WHERE since_s >= ?"
            " AND gateway NOT IN (SELECT gateway FROM gateway)",
            (since_s,),
        )
        return int(found.fetchone()[0])

    def sent(self, gateway: str, most: int) -> int:
        """Give how many records of a gateway are stored, counted to ``most``."""
        found = self._db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM record WHERE gateway = ? LIMIT ?)", (gateway, most)
        )
        return int(found.fetchone()[0])

    def public_key(self, gateway: str) -> str | None:
        """Give the pinned key of a gateway, None before its first status."""
        row = self._db.execute("SELECT public_key FROM gateway WHERE gateway = ?", (gateway,)).fetchone()
        return None if row is None else str(row[0])

    def pin(self, gateway: str, public_key: str, how: str, now_s: int) -> None:
        """Trust this key from now on."""
        self._db.execute("UPDATE gateway SET public_key = ? WHERE gateway = ?", (public_key, gateway))
        self._db.execute("INSERT OR IGNORE INTO gateway_key VALUES (?, ?, ?, ?)", (gateway, public_key, now_s, how))

    def keys(self, gateway: str) -> list[str]:
        """Give every key that was ever the gateway's, the first one first."""
        rows = self._db.execute(
            "SELECT public_key FROM gateway_key WHERE gateway = ? ORDER BY since_s, rowid", (gateway,)
        )
        return [str(key) for (key,) in rows]

    def put_status(self, status: wire.Status, payload: bytes, now_s: int, *, goodbye: bool) -> None:
        """Keep the last status, and how far its boot has come."""
        self._db.execute(
            "INSERT INTO gateway VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (gateway) DO UPDATE SET"
            " stream = excluded.stream, status = excluded.status, received_s = excluded.received_s,"
            " heard_s = excluded.heard_s, window_s = excluded.window_s, goodbye = excluded.goodbye,"
            " boot_s = CASE boot_id WHEN excluded.boot_id THEN max(boot_s, excluded.boot_s) ELSE excluded.boot_s END,"
            " boot_id = excluded.boot_id",
            (
                status.gateway, status.public_key, status.stream, payload, now_s, now_s, status.window_s, goodbye,
                status.boot_id, status.boot_s,
            ),
        )  # fmt: skip
        self.put_boot(status, now_s)

    def status(self, gateway: str) -> bytes | None:
        """Give the payload of the last accepted status."""
        row = self._db.execute("SELECT status FROM gateway WHERE gateway = ?", (gateway,)).fetchone()
        return None if row is None else bytes(row[0])

    def put_boot(self, status: wire.Status, now_s: int) -> None:
        """Note that this boot speaks."""
        self._db.execute(
            "INSERT INTO boot VALUES (?, ?, ?, ?) ON CONFLICT (gateway, boot_id) DO UPDATE SET"
            " boot_s = max(boot_s, excluded.boot_s), heard_s = excluded.heard_s",
            (status.gateway, status.boot_id, status.boot_s, now_s),
        )
        self._db.execute(
            "DELETE FROM boot WHERE gateway = ?1 AND boot_id NOT IN"
            " (SELECT boot_id FROM boot WHERE gateway = ?1 ORDER BY heard_s DESC, boot_id LIMIT ?2)",
            (status.gateway, BOOTS),
        )

    def boot_s(self, gateway: str, boot_id: str) -> float | None:
        """Give the largest boot-time that a status of this boot told; None for a boot that was never heard."""
        row = self._db.execute(
            "SELECT boot_s FROM boot WHERE gateway = ? AND boot_id = ?", (gateway, boot_id)
        ).fetchone()
        return None if row is None else float(row[0])

    def boots_heard(self, gateway: str, since_s: int) -> list[str]:
        """Give the boots that spoke since a time."""
        rows = self._db.execute(
            "SELECT boot_id FROM boot WHERE gateway = ? AND heard_s >= ? ORDER BY boot_id", (gateway, since_s)
        )
        return [str(boot_id) for (boot_id,) in rows]

    def hear(self, gateways: Iterable[str], now_s: int) -> None:
        """Note that something of these gateways arrived."""
        self._db.executemany("UPDATE gateway SET heard_s = ? WHERE gateway = ?", [(now_s, name) for name in gateways])

    def heard(self, gateway: str | None = None) -> list[Heard]:
        """Give how each gateway, or one, was last heard."""
        rows = self._db.execute(
            "SELECT gateway, stream, heard_s, window_s, goodbye, boot_id, boot_s FROM gateway"
            " WHERE gateway = coalesce(?, gateway) ORDER BY gateway",
            (gateway,),
        )
        return [
            Heard(
                gateway=name, stream=stream, heard_s=heard_s, window_s=window_s, goodbye=bool(goodbye),
                boot_id=boot_id, boot_s=boot_s,
            )
            for name, stream, heard_s, window_s, goodbye, boot_id, boot_s in rows
        ]  # fmt: skip
