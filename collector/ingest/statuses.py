"""What a gateway says of itself: is it the one that we know, is it news, and does it run once.

A status is not chained. Its key must be the pinned one, or one that was enrolled; the boot-time clock
tells news from a replay; two boots that speak in turn are two machines.
"""

import logging

from agent.deliver import chain, wire
from agent.errors import EvidenceError
from collector.ingest.enrolled import Enrolled
from collector.ingest.reading import stored_record
from collector.ingest.verify import report
from collector.store.findings import Finding
from collector.store.gateways import Heard
from collector.store.ledger import Ledger

ALONE_S = 86_400  # a clone that was not heard for a day is gone
RUNG_S = 86_400  # a gateway that was set back begins a new stream at once: for a day somebody may want to know

_log = logging.getLogger(__name__)


class Statuses:
    """Takes the statuses of one transaction."""

    def __init__(self, ledger: Ledger, enrolled: Enrolled, now_s: int) -> None:
        self._ledger = ledger
        self._gateways = ledger.gateways
        self._enrolled = enrolled
        self._now_s = now_s

    def take(self, status: wire.Status, payload: bytes) -> bool:
        """Take one; True where its key was pinned with it: what waits for a key can be checked now."""
        pinned = self._gateways.public_key(status.gateway)
        how = self._admitted(status, pinned)
        if how is None:
            self._refuse(status, pinned, payload)
            return False
        last = next(iter(self._gateways.heard(status.gateway)), None)
        if last is not None and (self._is_old(status, last) or payload == self._gateways.status(status.gateway)):
            return False  # the broker keeps the last one, and hands it out at each of our connections
        if status.state == "online":
            self._ledger.findings.resolve(status.gateway, "silence", self._now_s)
        if last is not None and status.state == "online":
            self._look_for_clone(status, last, payload)
            self._look_for_rollback(status, payload)
            self._ledger.findings.resolve(status.gateway, "rollback", self._now_s, found_before_s=self._now_s - RUNG_S)
        goodbye = status.state == "offline" and last is not None and status.boot_s > last.boot_s
        self._gateways.put_status(status, payload, self._now_s, goodbye=goodbye)
        if how:
            self._gateways.pin(status.gateway, status.public_key, how, self._now_s)
            self._ledger.findings.resolve(status.gateway, "key", self._now_s)
            _log.info("gateway %s: pinned key %s (%s)", status.gateway, _key_id(status.public_key), how)
        return bool(how)

    def _admitted(self, status: wire.Status, pinned: str | None) -> str | None:
        """Give how a key that is not pinned comes to be, "" for the pinned one, None for one that is refused."""
        key = status.public_key
        if key == pinned:
            return ""
        if _key_id(key) == _UNREADABLE:
            return None
        if self._enrolled.public_key(status.gateway) == key:
            return "enrolled"
        if pinned is None and self._enrolled.admits(status.gateway, key):
            return "first use"
        if status.state == "offline" and key in self._gateways.keys(status.gateway):
            return ""  # the will of a connection that was made before the next key
        return None

    def _refuse(self, status: wire.Status, pinned: str | None, payload: bytes) -> None:
        what = f"pinned is {_key_id(pinned)}" if pinned else "no key is enrolled for it"
        why = f"a status came with key {_key_id(status.public_key)}; {what}: refused"
        report(self._ledger, self._finding("key", status, "", why, payload))

    def _is_old(self, status: wire.Status, last: Heard) -> bool:
        """Tell a replay: the boot-time clock of a boot only goes forward."""
        if status.boot_id == last.boot_id:
            return status.state == "online" and status.boot_s < last.boot_s
        before_s = self._gateways.boot_s(status.gateway, status.boot_id)
        return before_s is not None and (status.boot_s <= before_s or status.state == "offline")

    def _look_for_clone(self, status: wire.Status, last: Heard, payload: bytes) -> None:
        """Say that a boot goes on though another one spoke since; settle it when one of them was silent for a day."""
        if status.boot_id != last.boot_id and self._gateways.boot_s(status.gateway, status.boot_id) is not None:
            both = " and ".join(sorted((status.boot_id, last.boot_id)))
            why = f"boots {both} speak as this gateway in turn: it runs twice"
            report(self._ledger, self._finding("clone", status, status.stream, why, payload))
        elif len(self._gateways.boots_heard(status.gateway, self._now_s - ALONE_S)) <= 1:
            self._ledger.findings.resolve(status.gateway, "clone", self._now_s)

    def _look_for_rollback(self, status: wire.Status, payload: bytes) -> None:
        """Say that records are here that the gateway knows nothing of, though they were made before this status."""
        if not status.boot_s:
            return
        for stored in self._ledger.checkpoints_above(status.gateway, status.stream, status.last_seq):
            checkpoint = stored_record(stored)
            assert isinstance(checkpoint, wire.Checkpoint)
            earlier = checkpoint.boot_id != status.boot_id or checkpoint.boot_s <= status.boot_s
            if checkpoint.boot_id and earlier:
                why = (
                    f"it came back with {status.last_seq} records of stream {status.stream}, of which record "
                    f"{checkpoint.seq} is here: a restored disk, or a clone"
                )
                report(self._ledger, self._finding("rollback", status, status.stream, why, payload))
                return

    def _finding(self, kind: str, status: wire.Status, stream: str, text: str, payload: bytes) -> Finding:
        seq = status.last_seq if kind == "rollback" else 0
        return Finding(
            gateway=status.gateway, stream=stream, seq=seq, to_seq=seq, kind=kind, text=text, evidence=payload,
            time_s=self._now_s,
        )  # fmt: skip


_UNREADABLE = "(unreadable)"


def _key_id(public_key: str) -> str:
    try:
        chain.load_public(public_key)
    except EvidenceError:
        return _UNREADABLE
    return chain.key_id(public_key)
