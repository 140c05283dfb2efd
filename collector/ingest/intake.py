"""The collector's main loop: gather, verify, commit, acknowledge, give receipts.

Messages that are there are committed together: one transaction and one receipt per stream,
however many there are. Nothing is acknowledged and no receipt is given before the commit.
"""

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from agent.deliver import wire
from collector.ingest import silence
from collector.ingest.batch import Batch
from collector.ingest.enrolled import Enrolled
from collector.ingest.pace import Pace
from collector.ingest.receipts import Signer
from collector.ingest.subscriber import Delivery
from collector.store.database import StoreBusyError
from collector.store.ledger import Ledger

BATCH = 500  # messages of one commit at most, as many as the broker may have under way
QUIET_S = 0.005  # no message for so long: the burst is over, commit
WAIT_S = 0.05  # no message waits longer than this for others
BUSY_S = 2.0  # between attempts while the disk is full or locked
LOOK_S = 10.0  # between looks for silent gateways: they are told of after minutes
COMMITS = 1000  # whose durations are kept for the metrics

_log = logging.getLogger(__name__)

Publish = Callable[[str, bytes], None]


class Intake:
    """One thread that owns the database; what arrives waits in a queue until it is committed.

    ``committed`` is called after each commit that a page would show, ``ended`` when the thread ends; ``failure`` then
    says why, where it was not asked to.
    """

    def __init__(
        self,
        ledger: Ledger,
        signer: Signer,
        *,
        enrolled: Enrolled,
        now_s: Callable[[], float],
        committed: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._signer = signer
        self._enrolled = enrolled
        self._listening_s: float | None = None  # since when the broker hands on what gateways say
        self._looked_s = 0.0
        self.commit_s: deque[float] = deque(maxlen=COMMITS)  # durations of the last commits, for the metrics
        self._committed = committed
        self._ended = ended
        self._now_s = now_s
        self._queue: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()  # None: a new connection
        self._pace = Pace()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    def received(self, delivery: Delivery) -> None:
        """Take one message."""
        self._queue.put(delivery)

    def connected(self) -> None:
        """Take note of a new connection: receipts of all streams are due, the last ones may not have got out."""
        self._listening_s = self._now_s()
        self._queue.put(None)

    def lost(self) -> None:
        """Take note that the connection broke: who is not heard now is not silent."""
        self._listening_s = None

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
                self._look_for_silence()
        except Exception as error:  # noqa: BLE001 - whoever waits for `ended` raises it in the main thread
            self.failure = error
        finally:
            self._ended()

    def _gather(self) -> list[Delivery | None]:
        """Wait for something, then take what comes with it; nothing where nothing came for a while."""
        try:
            gathered = [self._queue.get(timeout=self._pace.pause_s(time.monotonic(), LOOK_S))]
        except queue.Empty:
            return []
        until = time.monotonic() + WAIT_S
        while len(gathered) < BATCH and time.monotonic() < until:
            try:
                gathered.append(self._queue.get(timeout=QUIET_S))
            except queue.Empty:
                break
        return gathered

    def _look_for_silence(self) -> None:
        """Look now and then who is not heard; a disk that is full now will not be at one of the next looks."""
        listening_s = self._listening_s
        if listening_s is None or time.monotonic() - self._looked_s < LOOK_S:
            return
        self._looked_s = time.monotonic()
        is_any = False
        with contextlib.suppress(StoreBusyError), self._ledger.transaction():
            is_any = silence.look(self._ledger, listening_s, int(self._now_s()))
        if is_any:
            self._committed()

    def _serve(self, gathered: Sequence[Delivery | None], publish: Publish) -> None:
        if gathered:
            self._store(gathered)
        for message in self._pace.take(time.monotonic()):
            publish(wire.topic(message.gateway, "receipt"), wire.encode(message))

    def _store(self, gathered: Sequence[Delivery | None]) -> None:
        deliveries = [delivery for delivery in gathered if delivery is not None]
        receipts = self._commit_patiently(deliveries, every_stream=len(deliveries) < len(gathered))
        if receipts is None:
            return
        for delivery in deliveries:
            delivery.acknowledge()
        self._pace.put(receipts)
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
        now_s, begin_s = int(self._now_s()), time.monotonic()
        with self._ledger.transaction():
            batch = Batch(self._ledger, self._enrolled, now_s)
            for delivery in deliveries:
                batch.add(delivery.topic, delivery.payload)
            touched = batch.finish()
            due = self._ledger.streams() if every_stream else touched
            wanted = [(stream, self._ledger.missing(stream)) for stream in due]
        self.commit_s.append(time.monotonic() - begin_s)
        return [self._signer.receipt(stream, missing, now_s) for stream, missing in wanted]
