"""Which record goes out next, and which once more. Decides only; the publisher sends.

Alarms go first, then live records, then everything else in order of its number, at a bounded rate.
So the collector has holes while a backlog drains, and its receipts name them; of these only what
went out and got lost is sent again. What the broker has taken is neither forgotten nor repeated
until the collector says that it lacks it. Where the collector says nothing, one record goes again
every now and then: its answer tells what else is wanted.
"""

from collections import deque
from collections.abc import Iterator
from random import Random

from agent.deliver.link.pace import Bucket, Patience
from agent.deliver.link.ranges import Ranges
from agent.deliver.spool.spool import Spool
from agent.records import Envelope, Receipt

IN_FLIGHT = 16  # unacknowledged at a time: bounds what a lost connection repeats
_BACKLOG_IN_FLIGHT = 12  # of these; the rest is kept free for alarms and live records
_UNANSWERED = 512  # of a backlog, taken since the last receipt: mosquitto keeps 1,000 for a collector that is away
_BURST_S = 0.1  # of a backlog's rate at once: it leaves in steps of half that time
_FETCH = 64  # records read from the spool at once
_URGENT = ("alarm", "gap", "reply")  # behind a gap no receipt goes on without it; for a reply somebody waits
_LIVE_S = 60.0  # windows that wait for longer are history, and the newest one goes before them
_GRACE_S = 3.0  # what the broker took so recently is not lost: receipts come once a second, and take their way
_PROBE_S = 5.0  # without a receipt for so long, ask by sending one record again
_AWAY_S = 60.0  # a collector that speaks after so long was away, and may have lost something
_ASIDE_S = 3600.0  # what the broker would not take is tried again, should its rules have changed
_ASKED = 32  # the pauses between such questions double up to this multiple of resend_after_s
_RETRY_S = 1.0  # first pause after a broker knew of no subscriber, or would not take a record
_TRIES = 3  # a record that was under way when so many connections broke may be the reason
_SUSPICION_S = (5.0, 3600.0)  # it is tried alone after the first pause, and if it was, ever more rarely


class Outbox:
    """The order of sending for one spool.

    ``by_broker``: an acknowledgement of the broker counts as the receipt. ``in_flight`` may be set to
    less where the broker wants less.
    """

    def __init__(
        self, spool: Spool, resend_after_s: float, drain_per_s: float, *, by_broker: bool, chance: Random
    ) -> None:
        self._spool = spool
        self._by_broker = by_broker
        self.in_flight = IN_FLIGHT
        self.throttled = False  # something waits for its turn or its rate: look again soon
        self._bucket = Bucket(drain_per_s, max(IN_FLIGHT, drain_per_s * _BURST_S), chance)
        self._question = Patience(min(_PROBE_S, resend_after_s), resend_after_s * _ASKED)
        self._repetition = Patience(_GRACE_S, max(_GRACE_S, resend_after_s))
        self._hold = Patience(_RETRY_S, max(_RETRY_S, resend_after_s))
        self._suspicion = Patience(*_SUSPICION_S)
        self.sent = self.sent_again = 0  # the latter: records, for the second time or more
        self._begin()

    def _begin(self) -> None:
        """Take up a stream: all of it is backlog."""
        spool = self._spool
        self._stream = spool.stream
        self._seen = spool.last_seq
        self._waiting = Ranges([(spool.receipted + 1, spool.last_seq)])  # to be sent, or to be sent again
        self._flying: set[int] = set()  # sent, and not acknowledged
        self._fresh: dict[int, float] = {}  # acknowledged, and when; the last seconds only
        self._reached = Ranges()  # by broker only: acknowledged above the first that is not
        self._sent_once = Ranges()
        self._tries: dict[int, int] = {}  # how many connections broke while it was under way
        self._suspects = Ranges()  # broke some, perhaps: they go alone, after all others
        self._suspects_from_s = 0.0
        self._aside = Ranges()  # cannot be sent on this connection
        self._live_from, self._live_since_s = spool.last_seq + 1, 0.0
        self._alarms: deque[Envelope] = deque()
        self._alarms_seen = spool.receipted
        self._read: dict[int, Envelope] = {}  # records read ahead
        self._unanswered = 0
        self._aside_since_s = self._heard_s = 0.0
        self._missing: tuple[tuple[int, int], ...] = ()
        self._quiet_until_s = self._held_until_s = self._silent_since_s = 0.0
        self._held = False

    def rewind(self, now_s: float) -> None:
        """Begin on a new connection: what was under way may be lost; what was taken is not, until somebody says so."""
        for seq in self._flying:
            tries = self._tries[seq] = self._tries.get(seq, 0) + 1
            (self._suspects if tries >= _TRIES else self._waiting).add(seq)
            if tries > _TRIES:
                self._suspects_from_s = now_s + self._suspicion.use()
        self._flying.clear()
        self._try_aside(now_s)
        self.in_flight = IN_FLIGHT
        self._release()
        self._question.reset()
        self._silent_since_s = now_s

    @property
    def confirmed(self) -> bool:
        """Whether everything that was written is confirmed."""
        return self._spool.receipted == self._spool.last_seq

    @property
    def set_aside_count(self) -> int:
        """How many records the broker does not take."""
        return len(self._aside)

    def look(self, now_s: float) -> None:
        """Notice what was written: it is live, together with what was live a moment ago and is not out yet."""
        spool = self._spool
        if spool.stream != self._stream:
            self._begin()
        if spool.last_seq == self._seen:
            return
        is_out = self._waiting.first_from(self._live_from) is None
        if is_out or now_s - self._live_since_s > _LIVE_S:
            self._live_from, self._live_since_s = self._seen + 1, now_s
        self._waiting.add(self._seen + 1, spool.last_seq)
        self._seen = spool.last_seq

    def take(self, now_s: float) -> Envelope | None:
        """Give the next record to send; None where there is none, or none may go yet."""
        self.look(now_s)
        self.throttled = len(self._flying) >= self.in_flight
        if self.throttled:
            return None
        envelope = self._next_alarm()
        if envelope is None and not (self._held and (now_s < self._held_until_s or self._flying)):
            envelope = self._next_live() or self._next_of_backlog(now_s) or self._next_suspect(now_s)
        if envelope is not None:
            self._take_out(envelope.seq)
        return envelope

    def _take_out(self, seq: int) -> None:
        self._waiting.remove(seq)
        self._suspects.remove(seq)
        self._flying.add(seq)
        self.sent += 1
        self.sent_again += seq in self._sent_once
        self._sent_once.add(seq)

    def _next_alarm(self) -> Envelope | None:
        while self._alarms_seen < self._seen and not self._alarms:
            found = self._spool.pending(self._alarms_seen, _FETCH, kinds=_URGENT, through=self._seen)
            self._alarms_seen = found[-1].seq if len(found) == _FETCH else self._seen
            self._alarms.extend(found)
        while self._alarms:
            if (alarm := self._alarms.popleft()).seq in self._waiting:
                return alarm
        return None

    def _next_live(self) -> Envelope | None:
        return self._first_waiting(self._live_from)

    def _next_of_backlog(self, now_s: float) -> Envelope | None:
        if not self._waiting or self._unanswered >= _UNANSWERED:
            return None
        if len(self._flying) >= _BACKLOG_IN_FLIGHT:
            self.throttled = True
            return None
        envelope = self._first_waiting(0)
        if envelope is not None and not self._bucket.take(now_s):
            self._read[envelope.seq] = envelope
            self.throttled = True
            return None
        return envelope

    def _next_suspect(self, now_s: float) -> Envelope | None:
        """Give the least suspect one, alone."""
        if self._flying or self.throttled or now_s < self._suspects_from_s:
            return None
        for seq in sorted(self._tries, key=lambda seq: (self._tries[seq], seq)) if self._suspects else ():
            if seq in self._suspects and (found := self._spool.pending(seq - 1, 1, through=seq)):
                return found[0]
            self._suspects.remove(seq)
        return None

    def _first_waiting(self, from_seq: int) -> Envelope | None:
        """Read the first record that waits; what the spool does not have any more waits no longer."""
        while (seq := self._waiting.first_from(from_seq)) is not None:
            if seq not in self._read:
                self._read = {envelope.seq: envelope for envelope in self._spool.pending(seq - 1, _FETCH)}
            if seq in self._read:
                return self._read.pop(seq)
            self._waiting.remove(seq, min(self._read, default=self._seen + 1) - 1)
        return None

    def acknowledged(self, seq: int, now_s: float) -> None:
        """Note that the broker has taken a record, for somebody."""
        self._flying.discard(seq)
        if self._tries.pop(seq, 0) >= _TRIES:
            self._suspicion.reset()
        if self._held:
            self._release()
        if not self._by_broker:
            self._fresh.pop(seq, None)  # in the order of time
            self._fresh[seq] = now_s
            self._unanswered += 1
            return
        self._reached.add(seq)
        first, last = next(iter(self._reached))
        if first <= self._spool.floor + 1:
            self._reached.remove(first, last)
            self._spool.receipt(last)

    def returned(self, seq: int, now_s: float, *, refused: bool) -> None:
        """Note that the broker would not take a record, or knew of no subscriber: later one goes alone first."""
        self._flying.discard(seq)
        (self._aside if refused else self._waiting).add(seq)
        if not self._held or now_s >= self._held_until_s:
            self._held, self._held_until_s = True, now_s + self._hold.use()

    def set_aside(self, seq: int) -> None:
        """Leave out a record that this connection cannot carry."""
        self._flying.discard(seq)
        self._aside.add(seq)

    def _try_aside(self, now_s: float) -> None:
        for first, last in self._aside:
            self._waiting.add(first, last)
        self._aside, self._aside_since_s = Ranges(), now_s

    def _release(self) -> None:
        """Send freely again; alarms that found nobody go first."""
        self._held = False
        self._hold.reset()
        self._alarms_seen = self._spool.receipted
        self._alarms.clear()

    def receipted(self, receipt: Receipt, now_s: float) -> None:
        """Let the spool forget what the collector has, and note what it lacks."""
        goes_on = receipt.through > self._spool.receipted
        if goes_on or now_s - self._heard_s > _AWAY_S:
            self._question.reset()
        self._missing = receipt.missing
        self._unanswered = 0
        self._silent_since_s = self._heard_s = now_s
        if self._held:
            self._release()
        if not goes_on:
            return
        self._spool.receipt(receipt.through)
        self._repetition.reset()
        for gone in (self._waiting, self._suspects, self._aside, self._sent_once):
            gone.remove(0, receipt.through)
        self._tries = {seq: tries for seq, tries in self._tries.items() if seq > receipt.through}

    def send_again(self, first: int, last: int) -> None:
        """Queue records ``first..last`` once more: somebody asked for them."""
        self._waiting.add(max(first, self._spool.receipted + 1), min(last, self._seen))

    def tick(self, now_s: float) -> None:
        """Send again what is missing, and ask where nothing was heard for too long."""
        self.look(now_s)
        while self._fresh and now_s - next(iter(self._fresh.values())) >= _GRACE_S:
            del self._fresh[next(iter(self._fresh))]
        if self._aside and now_s - self._aside_since_s > _ASIDE_S:
            self._try_aside(now_s)
        if self._by_broker:
            return
        self._repeat_missing(now_s)
        newest = self._newest_unanswered()
        if newest is None:
            self._silent_since_s = now_s
            self._question.reset()
        elif now_s - self._silent_since_s >= self._question.pause_s:
            self._question.use()
            self._silent_since_s = now_s
            self._waiting.add(newest)
            self._unanswered = min(self._unanswered, _UNANSWERED - 1)

    def _repeat_missing(self, now_s: float) -> None:
        """Queue what the collector lacks, but for what was never sent, and what is still on its way."""
        if not self._missing or now_s < self._quiet_until_s:
            return
        lost = Ranges(self._missing)
        on_the_way = [seq for seq in (*self._flying, *self._fresh) if seq in lost]
        self._missing = tuple((seq, seq) for seq in on_the_way)  # looked at again in a moment
        for first, last in (*self._not_sent(), *self._missing, (0, self._spool.receipted)):
            lost.remove(first, last)
        for first, last in lost:
            self._waiting.add(first, last)
            self._alarms_seen = min(self._alarms_seen, first - 1)  # they go first again
        if lost:
            self._quiet_until_s = now_s + self._repetition.use()

    def _not_sent(self) -> Iterator[tuple[int, int]]:
        for some in (self._waiting, self._suspects, self._aside):
            yield from some

    def _newest_unanswered(self) -> int | None:
        """Give the newest record that the broker has and no receipt covers."""
        seq, before = self._seen, -1
        while seq != before and seq > self._spool.receipted:
            before = seq
            for some in (self._waiting, self._suspects, self._aside):
                seq = some.last_outside(seq)
            while seq in self._flying:
                seq -= 1
        return seq if seq > self._spool.receipted else None
