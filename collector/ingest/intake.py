"""The collector's main loop: gather, verify, commit, acknowledge, give receipts.

Messages that are there are committed together: one transaction and one receipt per stream,
however many there are. Nothing is acknowledged and no receipt is given before the commit.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence

from agent.deliver import wire
from agent.errors import EvidenceError
from collector.ingest import verify
from collector.ingest.receipts import Signer
from collector.ingest.subscriber import Delivery
from collector.store.database import StoreBusyError
from collector.store.ledger import Finding, Ledger, Stream

BATCH = 500  # messages of one commit at most, as many as the broker may have under way
QUIET_S = 0.005  # no message for so long: the burst is over, commit
WAIT_S = 0.05  # no message waits longer than this for others
BUSY_S = 2.0  # between attempts while the disk is full or locked

_log = logging.getLogger(__name__)

Publish = Callable[[str, bytes], None]


class Intake:
    """One thread that owns the database; what arrives waits in a queue until it is committed.

    ``committed`` is called after each commit, ``ended`` when the thread ends; ``failure`` then
    says why, where it was not asked to.
    """

    def __init__(
        self,
        ledger: Ledger,
        signer: Signer,
        *,
        now_s: Callable[[], float],
        committed: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._signer = signer
        self._committed = committed
        self._ended = ended
        self._now_s = now_s
        self._queue: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()  # None: a new connection
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    def received(self, delivery: Delivery) -> None:
        """Take one message."""
        self._queue.put(delivery)

    def connected(self) -> None:
        """Take note of a new connection: receipts of all streams are due, the last ones may not have got out."""
        self._queue.put(None)

    def start(self, publish: Publish) -> None:
        """Begin to work; receipts go out by ``publish``."""
        self._thread = threading.Thread(target=self._run, args=(publish,), name="intake", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the commit under way; what waits was not acknowledged and will be delivered again."""
        self._stopping.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(5.0)

    def _run(self, publish: Publish) -> None:
        try:
            while not self._stopping.is_set():
                self._serve(self._gather(), publish)
        except Exception as error:  # noqa: BLE001 - whoever waits for `ended` raises it in the main thread
            self.failure = error
        finally:
            self._ended()

    def _gather(self) -> list[Delivery | None]:
        """Wait for something, then take what comes with it."""
        gathered = [self._queue.get()]
        until = time.monotonic() + WAIT_S
        while len(gathered) < BATCH and time.monotonic() < until:
            try:
                gathered.append(self._queue.get(timeout=QUIET_S))
            except queue.Empty:
                break
        return gathered

    def _serve(self, gathered: Sequence[Delivery | None], publish: Publish) -> None:
        deliveries = [delivery for delivery in gathered if delivery is not None]
        receipts = self._commit_patiently(deliveries, every_stream=len(deliveries) < len(gathered))
        if receipts is None:
            return
        for delivery in deliveries:
            delivery.acknowledge()
        for message in receipts:
            publish(wire.topic(message.gateway, "receipt"), wire.encode(message))
        if deliveries:
            self._committed()

    def _commit_patiently(
        self, deliveries: Sequence[Delivery], *, every_stream: bool
    ) -> list[wire.ReceiptMessage] | None:
        """Commit, if need be again and again; None where the end came first."""
        reported = ""
        while True:
            try:
                return self.commit(deliveries, every_stream=every_stream)
            except StoreBusyError as error:
                if reported != (reported := str(error)):
                    _log.warning("cannot store, trying again every %g s; nothing is acknowledged: %s", BUSY_S, error)
            if self._stopping.wait(BUSY_S):
                return None

    def commit(self, deliveries: Sequence[Delivery], *, every_stream: bool = False) -> list[wire.ReceiptMessage]:
        """Store these messages in one transaction and give the receipts that are due after it."""
        now_s = int(self._now_s())
        with self._ledger.transaction():
            batch = _Batch(self._ledger, now_s)
            for delivery in deliveries:
                batch.add(delivery.topic, delivery.payload)
            touched = batch.finish()
            due = self._ledger.streams() if every_stream else touched
            wanted = [(stream, self._ledger.missing(stream)) for stream in due]
        return [self._signer.receipt(stream, missing, now_s) for stream, missing in wanted]


class _Batch:
    """The effect of some messages on the database, within one transaction."""

    def __init__(self, ledger: Ledger, now_s: int) -> None:
        self._ledger = ledger
        self._now_s = now_s
        self._streams: dict[tuple[str, str], Stream] = {}
        self._replaced: set[tuple[str, str]] = set()

    def add(self, topic: str, payload: bytes) -> None:
        """Store one message, or what is wrong with it."""
        if verify.is_withdrawal(topic, payload):
            _log.info("the retained state on %r was cleared at the broker; what is stored stays", topic)
            return
        try:
            gateway, message = verify.read(topic, payload)
        except EvidenceError as error:
            _log.warning("rejected a message on %r: %s", topic, error)
            self._ledger.add_rejected(topic, str(error), payload, self._now_s)
            return
        if isinstance(message, wire.Status):
            self._status(message, payload)
        else:
            self._record(gateway, message, payload)

    def finish(self) -> list[Stream]:
        """Join what arrived to the chains, check the checkpoints, and give the streams that were touched."""
        for name, stream in self._streams.items():
            if not stream.suspect or name in self._replaced:
                verify.extend(self._ledger, stream)
            if (key := self._ledger.public_key(stream.gateway)) is not None:
                verify.check(self._ledger, stream, key, self._now_s)
            self._ledger.save(stream)
        return list(self._streams.values())

    def _status(self, status: wire.Status, payload: bytes) -> None:
        pinned = self._ledger.public_key(status.gateway)
        if pinned is not None and pinned != status.public_key:
            self._report(verify.changed_key(status, pinned, payload, self._now_s))
            return
        self._ledger.put_status(status, payload, self._now_s)
        if pinned is None:  # checkpoints that came before the key can be checked now
            for stream in self._ledger.streams(status.gateway):
                self._streams.setdefault((stream.gateway, stream.stream), stream)

    def _record(self, gateway: str, record: wire.Record, payload: bytes) -> None:
        stream = self._stream(gateway, record.stream)
        stream.received_s = self._now_s
        stream.highest = max(stream.highest, record.seq)
        stored = self._ledger.payload(gateway, record.stream, record.seq)
        if stored is None:
            self._ledger.put(gateway, record, payload, self._now_s)
        elif stored != payload:
            self._fork(stream, record, stored, payload)

    def _fork(self, stream: Stream, record: wire.Record, stored: bytes, payload: bytes) -> None:
        """Keep the first bytes, unless a signed head says that the range was altered: then try the others."""
        suspect = stream.through < record.seq <= stream.suspect
        kept, other = (payload, stored) if suspect else (stored, payload)
        self._report(verify.fork(stream.gateway, record, kept, other, self._now_s))
        if suspect:
            self._ledger.replace(stream.gateway, verify.stored_record(stored), record, payload)
            self._replaced.add((stream.gateway, stream.stream))

    def _report(self, finding: Finding) -> None:
        if self._ledger.add_finding(finding):
            _log.warning("gateway %s: %s", finding.gateway, finding.text)

    def _stream(self, gateway: str, name: str) -> Stream:
        if (gateway, name) not in self._streams:
            self._streams[gateway, name] = self._ledger.stream(gateway, name, self._now_s)
        return self._streams[gateway, name]
