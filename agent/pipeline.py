"""What the product does, as a sentence: poll, collect into windows, inspect, analyse, tell.

Read :meth:`Pipeline.run`. Everything it uses is handed in; ``agent/gateway.py`` composes it.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import msgspec

from agent.acquire.poll.poller import Poller
from agent.analyse import site_report, summary
from agent.analyse.analyst import Analyst, Findings
from agent.analyse.quality.inspector import Inspector
from agent.analyse.site_day import SiteBook
from agent.analyse.window import WindowBuilder
from agent.clock import Clock
from agent.deliver import wire
from agent.deliver.identity.keys import GatewayKey
from agent.deliver.spool.spool import Batch, Spool
from agent.deliver.time.clock_watch import ClockWatch, WatchState
from agent.deliver.time.parts import Parts, PartsState
from agent.emission_factors import EmissionFactor
from agent.records import ClockReading, Notice, Receipt, Sample, Trust, Window

logger = logging.getLogger(__name__)

_POLL_SHARE = 0.95  # of the period: a bus that needs longer hands its samples in with the next tick
_MACHINES_S = 3600  # what a crash costs of the evidence of machines, which is as large as a day's records
_ROUNDING = 1e-4  # of a period: ticks of 0.1 s, as seconds since 1970, are off by up to 2e-7 s
_WAIT_S = 86_400  # a day: where a clock is set back by more, it is what was judged before that was wrong


class Outlet(Protocol):
    """What is told that new records are waiting."""

    def notify(self) -> None:
        """Take notice; returns at once."""


class Memory(msgspec.Struct):
    """The pipeline's own part of the state that is committed with the records; the spool keeps each in a slot."""

    told_until_s: int = 0  # end of the last window that was judged
    stored_wh: dict[str, float] = {}  # what the site's batteries hold, by source
    clock: WatchState = msgspec.field(default_factory=WatchState)
    parts: PartsState = msgspec.field(default_factory=PartsState)


def remembered(spool: Spool) -> Memory:
    """Give what the spool kept for the pipeline; a fresh memory where there is none, or none of this version."""
    kept = spool.slots.get("memory", b"")
    try:
        return msgspec.msgpack.decode(kept, type=Memory) if kept else Memory()
    except msgspec.DecodeError as error:
        logger.warning("the state of an earlier version is not understood (%s); the history is judged anew", error)
        return Memory()


class Pipeline:
    """One gateway at work."""

    def __init__(
        self,
        *,
        gateway: str,
        clock: Clock,
        poller: Poller,
        windows: WindowBuilder,
        inspector: Inspector,
        analyst: Analyst,
        site_book: SiteBook,
        factors: Mapping[str, EmissionFactor],
        spool: Spool,
        memory: Memory,
        key: GatewayKey,
        outlet: Outlet,
        period_s: float,
        on_samples: Callable[[Sequence[Sample], float], None] = lambda _samples, _tick_s: None,
        after_window: Callable[[], None] = lambda: None,
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._poller = poller
        self._windows = windows
        self._inspector = inspector
        self._analyst = analyst
        self._site_book = site_book
        self._factors = factors
        self._spool = spool
        self._memory = memory
        self._key = key
        self._outlet = outlet
        self._period_s = period_s
        self._on_samples = on_samples
        self._after_window = after_window
        self._until_s = math.inf
        self._watch = ClockWatch(memory.clock, period_s)
        self._parts = Parts(memory.parts)
        self._parts.begin()
        self._reading = clock.read()
        self._from_s = self._reading.utc_s  # since the clock was stepped last
        self._is_stepped = False  # since the last tick, whoever saw it: what is told in between looks as well

    @property
    def trust(self) -> Trust:
        """How far the clock is to be trusted now, by what the system and the collector say."""
        return self._watch.trust

    async def run(self, until_s: float = float("inf")) -> None:
        """Poll on every tick; each window that is over is analysed and told."""
        self.end_at(until_s)
        tick_s = self._tick_after(-math.inf)
        while self._clock.true_s(tick_s) < self._until_s:
            is_there = await self._wait_for(tick_s)
            if is_there:
                samples = await self._poller.poll(tick_s, self._patience(tick_s))
                self._collect(samples, tick_s)
                self._on_samples(samples, tick_s)
                await self._judge_again(tick_s)
            tick_s = self._tick_after(tick_s if is_there else -math.inf)
        self._close_window(tick_s)

    def end_at(self, time_s: float) -> None:
        """Have :meth:`run` end at ``time_s``, if it does not end before."""
        self._until_s = min(self._until_s, time_s)

    def tell(self, events: Sequence[wire.Event]) -> None:
        """Record events outside a window: a start, a refused receipt."""
        self._look()
        self._record(events, {})

    def reply(self, replies: Sequence[wire.Reply], slots: Mapping[str, bytes]) -> None:
        """Record what became of a command with the state behind it, and sign it at once: who ordered it waits."""
        self._record(replies, slots, signed=True)

    def sign_off(self, last: wire.Event) -> None:
        """Record the last event that the present key signs, and sign it at once."""
        self._record([last], {}, signed=True)

    def on_receipt(self, receipt: Receipt) -> None:
        """Hold the collector's signed time against the clock."""
        if self._clock.is_shared:
            self._watch.on_receipt(receipt, self._clock.now_s())

    def keep(self) -> None:
        """Keep what is not kept with each window: measuring ends."""
        with self._spool.batch() as batch:
            batch.slots["machines"] = self._analyst.machines

    def _tick_after(self, tick_s: float) -> float:
        """Give the next tick, on the grid that all gateways have: after ``tick_s``, and not long before now."""
        after_s = max(tick_s, self._clock.now_s() - self._period_s)
        return (math.floor(after_s / self._period_s + _ROUNDING) + 1) * self._period_s

    async def _wait_for(self, tick_s: float) -> bool:
        """Wait for a tick; False where it will not come, or is long over: the clock was stepped, the machine slept."""
        while True:
            self._look()
            if self._is_stepped:
                self._is_stepped = False
                return False
            now_s = self._clock.now_s()
            if now_s >= tick_s:
                return now_s < tick_s + self._period_s
            await self._clock.sleep_until(tick_s)

    def _look(self) -> None:
        """Look at the clock, and tell what became of it. Where it was stepped, the open window ends."""
        reading = self._clock.read()
        step_s = self._watch.step_s(reading)
        if step_s:
            self._reading = replace(reading, utc_s=reading.utc_s - step_s)
            self._end_reckoning(reading.utc_s)
        events = self._watch.take(reading, self._spool.stream, self._spool.last_seq + 1)
        self._reading = reading
        for event in events:
            logger.warning("%s", event.text)
        if events:
            self._record(events, {})

    def _end_reckoning(self, now_s: float) -> None:
        """Tell the open window as far as it has come; what comes next is another part of time."""
        if window := self._windows.cut(now_s):
            self._tell_window(window)
        self._parts.step()
        self._inspector.interrupt()
        self._from_s, self._is_stepped = now_s, True

    async def _judge_again(self, tick_s: float) -> None:
        """Use the time until the next tick for days that are to be judged again, for one at least."""
        while self._analyst.is_behind:
            self._analyst.judge_again()
            await self._clock.sleep_until(tick_s)  # over already: only the link has its turn
            if self._clock.patience_s(tick_s + self._period_s) == 0.0:
                return

    def _patience(self, tick_s: float) -> float | None:
        patience_s = self._clock.patience_s(tick_s + _POLL_SHARE * self._period_s)
        return None if patience_s is None else min(patience_s, self._period_s)  # the clock may have been set back

    def _collect(self, samples: Iterable[Sample], tick_s: float) -> None:
        """Give late samples to the open window, close it if it is over, and go on with those of this tick.

        Samples of ticks before the clock was stepped are of no window any more.
        """
        now = [sample for sample in samples if sample.time_s == tick_s]
        self._windows.add(sample for sample in samples if self._from_s - self._period_s < sample.time_s < tick_s)
        self._close_window(tick_s)
        self._windows.add(now)

    def _close_window(self, now_s: float) -> None:
        """Analyse and tell the open window if it is over."""
        if window := self._windows.close(now_s):
            self._tell_window(window)

    def _tell_window(self, window: Window) -> None:
        """Analyse and tell a window.

        Where the clock was set back, a time that was judged already is told again, as another part, and
        changes no judgement. A day further back it is what was judged that was wrong: judging begins anew.
        """
        inspected = self._inspector.take(window)
        if 0 < self._memory.told_until_s - window.start_s <= _WAIT_S:
            findings = self._analyst.carry(inspected.window)
        else:
            findings = self._analyst.take(inspected.window)
            self._memory.told_until_s = window.end_s
        self._tell_findings(inspected.notices, findings)

    def _record(
        self, messages: Sequence[wire.Event | wire.Reply], slots: Mapping[str, bytes], *, signed: bool = False
    ) -> None:
        """Record what happened outside a window, in one transaction."""
        with self._spool.batch() as batch:
            for message in messages:
                self._add(batch, message)
            if signed:
                self._check_in(batch, self._clock.read())
            batch.slots |= {**slots, "memory": self._remember()}
        self._outlet.notify()

    def _remember(self) -> bytes:
        self._memory.clock, self._memory.parts = self._watch.state, self._parts.state
        return msgspec.msgpack.encode(self._memory)

    def _tell_findings(self, notices: Iterable[Notice], findings: Findings) -> None:
        """Record a window in one transaction: events, summaries, alarms, checkpoint, and the state behind them."""
        window = findings.window
        part = self._parts.number(window.start_s)
        self._parts.tell(window.start_s, window.end_s)
        with self._spool.batch() as batch:
            for notice in notices:
                self._add(batch, event(notice.event, window.end_s, notice.text, {**notice.data}, notice.meter))
                logger.warning("%s", notice.text)
            for message in summary.summaries(findings, self._analyst.provisional(findings), part):
                self._add(batch, message)
            for alarm in summary.alarms(findings):
                self._add(batch, alarm)
                logger.warning("%s", summary.sentence(alarm))
            for day in findings.days:
                for notice in day.notices:
                    self._add(batch, event(notice.event, day.end_s, notice.text, {**notice.data}, notice.meter or None))
                    logger.warning("%s", notice.text)
                energy = self._site_book.day(day)
                data = site_report.event_data(energy, self._factors)
                self._add(batch, event("site_day", day.end_s, site_report.sentence(energy), data))
            self._check_in(batch, self._reading)
            self._memory.stored_wh = self._site_book.stored_wh
            batch.slots |= {
                "memory": self._remember(),
                "inspector": self._inspector.state,
                "analyst": self._analyst.state,
            }
            if window.end_s % _MACHINES_S == 0:
                batch.slots["machines"] = self._analyst.machines
        self._after_window()
        self._outlet.notify()

    def _add(self, batch: Batch, message: wire.Summary | wire.Alarm | wire.Event | wire.Reply) -> None:
        numbered = msgspec.structs.replace(message, stream=batch.stream, seq=batch.next_seq, clock=self._watch.trust)
        topic = wire.topic(self._gateway, message.kind, None if isinstance(message, wire.Reply) else message.meter)
        batch.add(message.kind, topic, wire.encode(numbered))

    def _check_in(self, batch: Batch, reading: ClockReading) -> None:
        time_s = int(reading.utc_s)
        checkpoint = self._key.checkpoint(self._gateway, batch.stream, batch.next_seq, batch.head, time_s)
        checkpoint.boot_id, checkpoint.clock = reading.boot_id, self._watch.trust
        checkpoint.boot_s = round(time_s - reading.offset_s, 3)
        self._watch.signed(checkpoint.seq, time_s)
        batch.add("checkpoint", wire.topic(self._gateway, "checkpoint"), wire.encode(checkpoint))


def event(
    name: str, time_s: int, text: str, data: dict[str, float | int | str | None], meter: str | None = None
) -> wire.Event:
    """Make an event; the pipeline numbers it."""
    return wire.Event(
        v=wire.VERSION, kind="event", stream="", seq=0, meter=meter, event=name, time_s=time_s, text=text, data=data
    )
