"""Watches the clock: whether it is stepped, who vouches for it, and whether the collector's time contradicts it.

Boot time only goes forward and nobody sets it. Where UTC less boot time changes, the clock was
stepped, and a new *stretch* of records begins: within a stretch all times are wrong by the same. As
soon as somebody vouches for the clock, the stretches that nobody vouched for are corrected by
reference: an event says by how much they were wrong. Records themselves are never edited.

The kernel vouches where a time server has set it; a time server on the LAN may lie. The collector
vouches by the time that it signs in receipts, which bounds ours from both sides: a receipt cannot
come before it was signed, nor cover a checkpoint that was signed after it.
"""

import logging
from collections.abc import Iterator

import msgspec

from agent.deliver.time.clock_events import anchored, corrected, doubted, paused, stepped
from agent.deliver.wire import Event
from agent.records import ClockReading, Receipt, Trust

logger = logging.getLogger(__name__)

_STEP_S = 0.5  # between two looks, 5 s apart at most; chrony slews by 8.3 %, 0.42 s in that time
_DOUBT_S = 5.0  # receipts take a second or two, and their times are whole seconds
_DISTRUST_S = 50.0  # so that no record is wrong by a minute and says synchronised: drifts are slower than 10 s a window
_FRESH_S = 60.0  # a receipt that comes later after what it covers leaves too much room to vouch for the clock
_PAUSE_S = 60.0  # without a look, beyond the polling period
_MOST_STRETCHES = 16  # a clock that is stepped more often before anybody vouches for it leaves the oldest uncorrected
_MOST_SIGNED = 256  # checkpoints that wait for their receipt; older ones vouch for nothing


class Stretch(msgspec.Struct):
    """Records of one reckoning of time."""

    from_seq: int
    offset_s: float  # UTC at boot time 0
    is_unset: bool  # the boot's clock was not set by anybody yet
    is_agreed: bool = False  # a receipt vouched for it
    is_doubted: bool = False  # a receipt contradicted it by more than a minute or so


class WatchState(msgspec.Struct):
    """What must survive a restart of the agent: within one boot the clock is followed across it."""

    boot_id: str = ""
    boot_s: float = 0.0
    utc_s: float = 0.0
    trust: Trust = "U"
    was_set: bool = False  # in this boot
    stream: str = ""
    stretches: list[Stretch] = []
    doubt: str = ""  # what was told of the receipts' time: "", doubt or distrust


class ClockWatch:
    """Follows one clock by its readings; ``state`` is what it knew before a restart."""

    def __init__(self, state: WatchState, period_s: float) -> None:
        self.state = state
        self._most_pause_s = period_s + _PAUSE_S
        self._has_looked = False
        self._signed: dict[int, int] = {}  # UTC of the checkpoints of this run, by seq
        self._error_s: float | None = None  # true time less ours, by the last receipt that said anything
        self._is_vouched = False  # by a receipt since the last look

    @property
    def trust(self) -> Trust:
        """How far the time of a record that is made now is to be trusted."""
        state = self.state
        if state.trust == "S":
            return "I" if state.doubt == "distrust" else "S"
        is_agreed = bool(state.stretches) and state.stretches[-1].is_agreed
        return "I" if state.was_set or is_agreed else state.trust

    def step_s(self, reading: ClockReading) -> float:
        """Give by how much the clock was set since the last look, 0 where it was not."""
        state = self.state
        if reading.boot_id != state.boot_id:
            return reading.utc_s - state.utc_s if self._has_looked else 0.0
        step_s = reading.offset_s - (state.utc_s - state.boot_s)
        return step_s if abs(step_s) > _STEP_S else 0.0

    def take(self, reading: ClockReading, stream: str, next_seq: int) -> list[Event]:
        """Take a reading before record ``next_seq`` is made; give what is to be told of the clock."""
        if reading.boot_id != self.state.boot_id:
            self._begin_boot(reading, next_seq)
        if stream != self.state.stream:
            self._begin_stream(stream, reading, next_seq)
        events = [*self._look_for_pause(reading), *self._look_for_step(reading, next_seq)]
        events += self._look_for_trust(reading, next_seq)
        events += self._look_at_receipts(reading, next_seq)
        self.state.boot_s, self.state.utc_s, self.state.trust = reading.boot_s, reading.utc_s, reading.trust
        self._has_looked = True
        return events

    def signed(self, seq: int, time_s: int) -> None:
        """Note when a checkpoint was signed."""
        self._signed[seq] = time_s
        if len(self._signed) > _MOST_SIGNED:
            del self._signed[next(iter(self._signed))]

    def on_receipt(self, receipt: Receipt, now_s: float) -> None:
        """Compare the collector's time with ours; what it says is told with the next look."""
        covered_s = max((time_s for seq, time_s in self._signed.items() if seq <= receipt.through), default=None)
        behind_s = receipt.time_s - now_s
        ahead_s = -1.0 if covered_s is None else covered_s - receipt.time_s - 1.0  # its seconds are cut off
        error_s = behind_s if behind_s >= ahead_s else -ahead_s
        if abs(error_s) > _DOUBT_S and max(behind_s, ahead_s) > 0:
            self._error_s = error_s
        elif covered_s is not None and abs(now_s - covered_s) <= _FRESH_S:
            self._error_s, self._is_vouched = 0.0, True

    def _begin_boot(self, reading: ClockReading, next_seq: int) -> None:
        """Begin anew: what an earlier boot's clock was off by is not known to this one."""
        is_unset = reading.trust != "S"
        self.state = WatchState(
            boot_id=reading.boot_id,
            boot_s=reading.boot_s,
            utc_s=reading.utc_s,
            trust=reading.trust,
            was_set=not is_unset,
            stream=self.state.stream,
            stretches=[Stretch(next_seq, reading.offset_s, is_unset)],
        )

    def _begin_stream(self, stream: str, reading: ClockReading, next_seq: int) -> None:
        """Begin anew in a new stream: the numbers of the old one name other records."""
        self.state.stream = stream
        self._signed.clear()
        self.state.stretches = [Stretch(next_seq, reading.offset_s, not self.state.was_set)]

    def _look_for_pause(self, reading: ClockReading) -> Iterator[Event]:
        pause_s = reading.boot_s - self.state.boot_s
        if self._has_looked and pause_s > self._most_pause_s:
            yield paused(reading, pause_s)

    def _look_for_step(self, reading: ClockReading, next_seq: int) -> Iterator[Event]:
        if step_s := self.step_s(reading):
            stretch = Stretch(next_seq, reading.offset_s, not self.state.was_set)
            self.state.stretches = [*self.state.stretches, stretch][-_MOST_STRETCHES:]
            self._error_s, self._is_vouched = None, False  # of the other reckoning, as what was signed in it
            self._signed.clear()
            yield stepped(reading, step_s)

    def _look_for_trust(self, reading: ClockReading, next_seq: int) -> Iterator[Event]:
        """Tell that a time server has set the clock, and correct what came before the first time."""
        if reading.trust != "S" or self.state.trust == "S":
            return
        yield anchored(reading)
        if not self.state.was_set:
            yield from self._correct(reading, next_seq, [part.is_unset for part in self.state.stretches])
            self.state.was_set = True
            self.state.stretches[-1].is_unset = False

    def _look_at_receipts(self, reading: ClockReading, next_seq: int) -> Iterator[Event]:
        error_s, now = self._error_s, self.state.stretches[-1]
        if error_s is None:
            return
        word = "distrust" if abs(error_s) > _DISTRUST_S else "doubt" if abs(error_s) > _DOUBT_S else ""
        now.is_doubted = now.is_doubted or word == "distrust"
        if self._is_vouched:
            parts = self.state.stretches  # one that was agreed once and then doubted drifted, and was not off by a step
            yield from self._correct(reading, next_seq, [part.is_doubted and not part.is_agreed for part in parts])
            self.state.stretches[-1].is_agreed, self._is_vouched = True, False
        is_unset = self.state.trust == "U" and not self.state.was_set  # and says so: no news that it is wrong
        if word != self.state.doubt and not is_unset and not (word == "doubt" and self.state.doubt == "distrust"):
            self.state.doubt = word
            yield doubted(reading, error_s, word)

    def _correct(self, reading: ClockReading, next_seq: int, wrong: list[bool]) -> Iterator[Event]:
        """Say of the stretches that were ``wrong`` by how much, and forget all but the present one."""
        parts = self.state.stretches
        ends = [part.from_seq for part in parts[1:]] + [next_seq]
        for part, end_seq, is_wrong in zip(parts, ends, wrong, strict=True):
            offset_s = reading.offset_s - part.offset_s
            if is_wrong and abs(offset_s) > _STEP_S and part.from_seq < end_seq:
                yield corrected(reading, part.from_seq, end_seq - 1, offset_s)
        self.state.stretches = parts[-1:]
