"""Which record goes out next, and which once more. Decides only; the publisher sends.

Alarms go first, then what the collector asked for again, then everything in order. A record that
the broker has taken is not forgotten: it is sent again after a new connection, when a receipt
names it as missing, and, a few at a time and ever more rarely, when receipts stay away.
"""

from collections import deque
from collections.abc import Sequence

from agent.deliver.spool import Spool
from agent.records import Envelope, Receipt

IN_FLIGHT = 16  # unacknowledged at a time: bounds what a lost connection repeats
_FETCH = 64  # records read from the spool at once; a new alarm waits for no more than these
_URGENT = ("alarm", "gap")  # behind a gap no receipt goes on without it
_GRACE_S = 1.0  # a record on its way is not missing: alarms overtake, and receipts lag behind
_REPEAT = 256  # records that a silence of the collector repeats: enough to learn whether it is back
_PATIENCE = 32  # the pauses between such repetitions double up to this multiple


class Outbox:
    """The order of sending for one spool. ``by_broker``: an acknowledgement of the broker counts as the receipt."""

    def __init__(self, spool: Spool, resend_after_s: float, *, by_broker: bool) -> None:
        self._spool = spool
        self._resend_after_s = resend_after_s
        self._by_broker = by_broker
        self._reached: set[int] = set()  # by broker only: acknowledged above the first that is not
        self._pause_s = resend_after_s
        self._silent_since_s = 0.0
        self._repeated = 0  # the last record of the last repetition, 0 where none is out
        self._missing: Sequence[tuple[int, int]] = ()
        self.rewind(0.0)

    def rewind(self, now_s: float) -> None:
        """Start over from the first unconfirmed record: a new connection knows nothing of the old."""
        self._in_flight: set[int] = set()
        self._queue: deque[Envelope] = deque()
        self._again: deque[tuple[int, int]] = deque()
        self._cursor = self._alarm_cursor = self._settled = self._spool.receipted
        self._marks: deque[tuple[float, int]] = deque()
        self._ahead: set[int] = set()  # alarms above the cursor that went first
        self._quiet_until_s = now_s + _GRACE_S

    @property
    def confirmed(self) -> bool:
        """Whether everything that was written is confirmed."""
        return self._spool.receipted == self._spool.last_seq

    def take(self, now_s: float) -> Envelope | None:
        """Give the next record to send; None where there is none, or enough are unacknowledged."""
        while len(self._in_flight) < IN_FLIGHT:
            if not self._queue:
                self._fetch(now_s)
            if not self._queue:
                return None
            envelope = self._queue.popleft()
            if envelope.seq > self._spool.receipted and envelope.seq not in self._in_flight:
                self._in_flight.add(envelope.seq)
                return envelope
        return None

    def acknowledged(self, seq: int, *, reached: bool) -> None:
        """Note the broker's answer; ``reached`` is false where it knows of no subscriber."""
        self._in_flight.discard(seq)
        if not (self._by_broker and reached):
            return
        self._reached.add(seq)
        through = self._spool.receipted
        while through + 1 in self._reached:
            through += 1
            self._reached.discard(through)
        self._spool.receipt(through)

    def receipted(self, receipt: Receipt, now_s: float) -> None:
        """Let the spool forget what the collector has, and note what it lacks."""
        self._missing = receipt.missing
        if receipt.through <= self._spool.receipted:
            return
        self._spool.receipt(receipt.through)
        self._pause_s, self._silent_since_s = self._resend_after_s, now_s
        goes_on = receipt.through == self._repeated and not receipt.missing
        self._repeated = 0
        if goes_on:  # it took the whole repetition and has nothing beyond: the next ones at once
            self._repeat()

    def send_again(self, first: int, last: int) -> None:
        """Queue records ``first..last`` once more: somebody asked for them."""
        self._again.append((first, last))

    def tick(self, now_s: float) -> None:
        """Repeat the oldest records where no receipt came for too long."""
        if self._spool.receipted >= self._cursor:
            self._silent_since_s, self._pause_s = now_s, self._resend_after_s
        elif now_s - self._silent_since_s >= self._pause_s:
            self._repeat()
            self._silent_since_s = now_s
            self._pause_s = min(self._pause_s * 2, self._resend_after_s * _PATIENCE)

    def _repeat(self) -> None:
        first, last = self._spool.receipted + 1, min(self._cursor, self._spool.receipted + _REPEAT)
        if first <= last:
            self._again.append((first, last))
            self._repeated = last

    def _fetch(self, now_s: float) -> None:
        if self._fetch_urgent():
            return
        self._grant_missing(now_s)
        if self._fetch_again(now_s):
            return
        self._fetch_in_order(now_s)

    def _fetch_urgent(self) -> bool:
        alarms = self._spool.pending(max(self._alarm_cursor, self._cursor), _FETCH, kinds=_URGENT)
        if not alarms:
            return False
        self._alarm_cursor = alarms[-1].seq
        self._ahead.update(alarm.seq for alarm in alarms)
        self._queue.extend(alarms)
        return True

    def _fetch_again(self, now_s: float) -> bool:
        while self._again:
            first, last = self._again.popleft()
            found = self._spool.pending(first - 1, _FETCH, through=last)
            self._queue.extend(found)
            if found and found[-1].seq < last:
                self._again.appendleft((found[-1].seq + 1, last))
            self._quiet_until_s = now_s + _GRACE_S
            if found:
                return True
        return False

    def _fetch_in_order(self, now_s: float) -> None:
        found = self._spool.pending(self._cursor, _FETCH)
        if not found:
            return
        if self._cursor <= self._spool.receipted:  # nothing was outstanding: the silence begins only now
            self._silent_since_s = now_s
        self._cursor = found[-1].seq
        self._marks.append((now_s, self._cursor))
        self._queue.extend(envelope for envelope in found if envelope.seq not in self._ahead)
        self._ahead = {seq for seq in self._ahead if seq > self._cursor}

    def _grant_missing(self, now_s: float) -> None:
        """Queue what is missing at the collector, but for what is still on its way."""
        while self._marks and self._marks[0][0] <= now_s - _GRACE_S:
            self._settled = self._marks.popleft()[1]
        if not self._missing or self._again or now_s < self._quiet_until_s:
            return
        ranges = ((first, min(last, self._settled)) for first, last in self._missing)
        self._again.extend((first, last) for first, last in ranges if first <= last)
        self._missing = ()
