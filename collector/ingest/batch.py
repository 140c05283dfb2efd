"""What some messages do to the database, within one transaction."""

import logging
from collections.abc import Iterable

from agent.deliver import wire
from agent.errors import EvidenceError
from collector.ingest import reading, verify
from collector.ingest.enrolled import Enrolled
from collector.ingest.statuses import Statuses
from collector.store.ledger import Ledger, Stream

STREAMS_A_DAY = 50  # a gateway's new streams: one begins where a spool was lost, or a disk; more is a fault or a flood
STRANGERS_A_DAY = 500  # new gateways without a key: a whole fleet may begin on one day
STRANGER_RECORDS = 100_000  # of a gateway that never told its key: a birth comes before the first record
REJECTED_SHOWN = 20  # lines in the log for one commit: a flood must not fill another disk
WHY_SHOWN = 300  # letters of a reason: it may repeat what somebody made up

_DAY_S = 86_400

_log = logging.getLogger(__name__)


class Batch:
    """Takes messages one by one; :meth:`finish` joins and checks what they touched."""

    def __init__(self, ledger: Ledger, enrolled: Enrolled, now_s: int) -> None:
        self._ledger = ledger
        self._now_s = now_s
        self._statuses = Statuses(ledger, enrolled, now_s)
        self._heard: set[str] = set()
        self._rejected = 0
        self._streams: dict[tuple[str, str], Stream] = {}
        self._replaced: set[tuple[str, str]] = set()
        self._gaps: dict[tuple[str, str], dict[int, bytes]] = {}  # number and bytes of those that came with this batch
        self._pinned: set[str] = set()  # gateways whose key came with this batch
        self._confessed: set[tuple[str, str]] = set()  # streams in which a gateway doubts itself

    def add(self, topic: str, payload: bytes) -> None:
        """Store one message, or what is wrong with it."""
        if reading.is_withdrawal(topic, payload):
            _log.info("the retained state on %r was cleared at the broker; what is stored stays", topic)
            return
        try:
            gateway, message = reading.read(topic, payload)
            if isinstance(message, wire.Status):
                self._status(message, payload)
            else:
                self._record(gateway, message, payload)
        except EvidenceError as error:
            why = str(error)[:WHY_SHOWN]
            self._rejected += 1
            if self._rejected <= REJECTED_SHOWN:
                _log.warning("rejected a message on %r: %s", topic[:WHY_SHOWN], why)
            self._ledger.findings.reject(topic, why, payload, self._now_s)

    def finish(self) -> list[Stream]:
        """Join what arrived to the chains, check the checkpoints, and give the streams that were touched."""
        if self._rejected > REJECTED_SHOWN:
            _log.warning("rejected %d more messages at once", self._rejected - REJECTED_SHOWN)
        for name, stream in self._streams.items():
            key = self._ledger.gateways.public_key(stream.gateway)
            if key is not None:
                verify.declare_gaps(self._ledger, stream, self._waiting(stream), self._now_s)
            verify.extend(self._ledger, stream, healed=name in self._replaced)
            if key is not None:
                verify.check(self._ledger, stream, self._now_s)
            if key != self._ledger.gateways.public_key(stream.gateway):
                verify.declare_gaps(self._ledger, stream, self._undeclared(stream), self._now_s)
                verify.extend(self._ledger, stream, healed=False)
            if name in self._confessed:
                verify.check_clock(self._ledger, stream, self._now_s)
                verify.check_confession(self._ledger, stream, self._now_s)
            self._ledger.save(stream)
        self._ledger.gateways.hear(self._heard, self._now_s)
        for gateway in self._heard:
            self._ledger.findings.resolve(gateway, "silence", self._now_s)
        return list(self._streams.values())

    def _waiting(self, stream: Stream) -> Iterable[bytes]:
        """Give the gaps to look at: the new ones, and all where a new key may fit them; a flood is looked at once."""
        if stream.gateway in self._pinned:
            return self._undeclared(stream)
        return self._gaps.get((stream.gateway, stream.stream), {}).values()

    def _undeclared(self, stream: Stream) -> list[bytes]:
        return self._ledger.gaps.undeclared(stream.gateway, stream.stream)

    def _status(self, status: wire.Status, payload: bytes) -> None:
        if self._statuses.take(status, payload):
            self._pinned.add(status.gateway)
            for stream in self._ledger.streams(status.gateway):
                self._streams.setdefault((stream.gateway, stream.stream), stream)

    def _record(self, gateway: str, record: wire.Record, payload: bytes) -> None:
        stream = self._stream(gateway, record.stream)
        self._heard.add(gateway)
        stream.received_s = self._now_s
        stream.highest = max(stream.highest, record.seq)
        stored = self._ledger.payload(gateway, record.stream, record.seq)
        if stored is None:
            self._ledger.put(gateway, record, payload, self._now_s)
            self._note_gap(gateway, record, payload)
            if isinstance(record, wire.Event) and record.event in verify.CONFESSIONS:
                self._confessed.add((gateway, record.stream))
        elif stored != payload:
            self._fork(stream, record, stored, payload)

    def _note_gap(self, gateway: str, record: wire.Record, payload: bytes) -> None:
        if isinstance(record, wire.Gap):
            self._gaps.setdefault((gateway, record.stream), {})[record.seq] = payload

    def _fork(self, stream: Stream, record: wire.Record, stored: bytes, payload: bytes) -> None:
        """Keep the first bytes, unless a signature speaks against them: then try the others.

        That is the signed head of an altered range, or of a gap that the chain waits for: it would wait for ever.
        """
        suspect = stream.through < record.seq <= stream.suspect or (
            isinstance(record, wire.Gap)
            and record.seq > stream.through
            and not self._ledger.gaps.is_declared(record)
            and verify.is_signed(self._ledger, stream, record)
        )
        kept, other = (payload, stored) if suspect else (stored, payload)
        verify.report(self._ledger, verify.fork(stream.gateway, record, kept, other, self._now_s))
        if suspect:
            self._ledger.replace(stream.gateway, reading.stored_record(stored), record, payload)
            self._replaced.add((stream.gateway, stream.stream))
            self._note_gap(stream.gateway, record, payload)

    def _stream(self, gateway: str, name: str) -> Stream:
        if (gateway, name) not in self._streams:
            self._refuse_flood(gateway, name)
            self._streams[gateway, name] = self._ledger.stream(gateway, name, self._now_s)
        return self._streams[gateway, name]

    def _refuse_flood(self, gateway: str, name: str) -> None:
        """Keep one gateway, or somebody who makes up gateways, from filling the disk.

        What is refused gets no receipt, so a true gateway keeps it and sends it again.
        """
        ledger, since_s = self._ledger, self._now_s - _DAY_S
        begun = {stream for owner, stream in self._streams if owner == gateway}
        known = ledger.is_known(gateway, name)
        if not known and ledger.new_streams(gateway, since_s) + len(begun) >= STREAMS_A_DAY:
            raise EvidenceError(f"{gateway} began {STREAMS_A_DAY} streams within a day; no more are taken today")
        if ledger.gateways.public_key(gateway) is not None:
            return
        if not known and not begun and ledger.gateways.strangers(since_s) >= STRANGERS_A_DAY:
            raise EvidenceError(f"{STRANGERS_A_DAY} gateways without a status began to send within a day: refused")
        if ledger.gateways.sent(gateway, STRANGER_RECORDS) >= STRANGER_RECORDS:
            raise EvidenceError(f"{gateway} has sent {STRANGER_RECORDS} records and never a status: refused")
