"""What the product does, as a sentence: poll, collect into windows, inspect, analyse, tell.

Read :meth:`Pipeline.run`. Everything it uses is handed in; ``agent/daemon.py`` composes it.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from agent.deliver.keys import GatewayKey
from agent.deliver.spool import Batch, Spool
from agent.emission_factors import EmissionFactor
from agent.records import Notice, Sample

logger = logging.getLogger(__name__)

_POLL_SHARE = 0.95  # of the period: a bus that needs longer hands its samples in with the next tick
_SET_BACK_TICKS = 2  # less is the corrections of a time server, or a poll that began early
_MACHINES_S = 3600  # what a crash costs of the evidence of machines, which is as large as a day's records
_WAIT_S = 86_400  # a day: a clock set back by more was wrong before, not now


class Outlet(Protocol):
    """What is told that new records are waiting."""

    def notify(self) -> None:
        """Take notice; returns at once."""


class Memory(msgspec.Struct):
    """The pipeline's own part of the state that is committed with the records; the spool keeps each in a slot."""

    told_until_s: int = 0  # end of the last window that was told; an earlier one is never told again
    stored_wh: dict[str, float] = {}  # what the site's batteries hold, by source


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

    async def run(self, until_s: float = float("inf")) -> None:
        """Poll on every tick; each window that is over is analysed and told."""
        self.end_at(until_s)
        tick_s = self._next_tick(self._clock.now_s() - self._period_s)
        while tick_s < self._until_s:
            await self._clock.sleep_until(tick_s)
            samples = await self._poller.poll(tick_s, self._patience(tick_s))
            self._collect(samples, tick_s)
            self._on_samples(samples, tick_s)
            tick_s = self._tick_after(tick_s)
        self._close_window(tick_s)

    def end_at(self, time_s: float) -> None:
        """Have :meth:`run` end at ``time_s``, if it does not end before."""
        self._until_s = min(self._until_s, time_s)

    def tell(self, events: Sequence[wire.Event]) -> None:
        """Record events outside a window: a start, a refused receipt."""
        with self._spool.batch() as batch:
            for event in events:
                self._add(batch, event)
        self._outlet.notify()

    def reply(self, replies: Sequence[wire.Reply], time_s: int) -> None:
        """Record what became of a command, and sign it at once: who ordered it waits."""
        with self._spool.batch() as batch:
            for reply in replies:
                self._add(batch, reply)
            self._check_in(batch, time_s)
        self._outlet.notify()

    def keep(self) -> None:
        """Keep what is not kept with each window: measuring ends."""
        with self._spool.batch() as batch:
            batch.slots["machines"] = self._analyst.machines

    def _next_tick(self, after_s: float) -> float:
        """Give the first multiple of the period after ``after_s``: all gateways tick on the same grid."""
        return (after_s // self._period_s + 1) * self._period_s

    def _tick_after(self, tick_s: float) -> float:
        """Give the next tick. Where the clock was set forward, that of now; where it was set back, too, and say so."""
        now_s = self._clock.now_s()
        if now_s >= tick_s - _SET_BACK_TICKS * self._period_s:
            return self._next_tick(max(tick_s, now_s - self._period_s))
        text = f"the clock was set back by {tick_s - now_s:.0f} s"
        logger.warning("%s", text)
        self.tell([event("clock", int(now_s), text, {"before": int(tick_s), "now": int(now_s)})])
        self._windows.set_back(now_s)
        return self._next_tick(now_s)

    def _patience(self, tick_s: float) -> float | None:
        patience_s = self._clock.patience_s(tick_s + _POLL_SHARE * self._period_s)
        return None if patience_s is None else min(patience_s, self._period_s)  # the clock may have been set back

    def _collect(self, samples: Iterable[Sample], tick_s: float) -> None:
        """Give late samples to the open window, close it if it is over, and go on with those of this tick."""
        now: list[Sample] = []
        late: list[Sample] = []
        for sample in samples:
            (now if sample.time_s >= tick_s else late).append(sample)
        self._windows.add(late)
        self._close_window(tick_s)
        self._windows.add(now)

    def _close_window(self, now_s: float) -> None:
        """Analyse and tell the open window if it is over.

        Where the clock was set back, what was told already is not told again. A day further back it is
        the time told before that was wrong, and waiting for it could take years: telling begins anew.
        """
        window = self._windows.close(now_s)
        if window is None:
            return
        if 0 < self._memory.told_until_s - window.start_s <= _WAIT_S:
            logger.warning("the clock went back: the window at %d was told before and is dropped", window.start_s)
            return
        inspected = self._inspector.take(window)
        self._tell_findings(inspected.notices, self._analyst.take(inspected.window))

    def _tell_findings(self, notices: Iterable[Notice], findings: Findings) -> None:
        """Record a window in one transaction: events, summaries, alarms, checkpoint, and the state behind them."""
        window = findings.window
        with self._spool.batch() as batch:
            for notice in notices:
                self._add(batch, event(notice.event, window.end_s, notice.text, {**notice.data}, notice.meter))
                logger.warning("%s", notice.text)
            for message in summary.summaries(findings, self._analyst.provisional(findings)):
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
            self._check_in(batch, window.end_s)
            self._memory.told_until_s = window.end_s
            self._memory.stored_wh = self._site_book.stored_wh
            batch.slots |= {
                "memory": msgspec.msgpack.encode(self._memory),
                "inspector": self._inspector.state,
                "analyst": self._analyst.state,
            }
            if window.end_s % _MACHINES_S == 0:
                batch.slots["machines"] = self._analyst.machines
        self._after_window()
        self._outlet.notify()

    def _add(self, batch: Batch, message: wire.Summary | wire.Alarm | wire.Event | wire.Reply) -> None:
        numbered = msgspec.structs.replace(message, stream=batch.stream, seq=batch.next_seq)
        topic = wire.topic(self._gateway, message.kind, None if isinstance(message, wire.Reply) else message.meter)
        batch.add(message.kind, topic, wire.encode(numbered))

    def _check_in(self, batch: Batch, time_s: int) -> None:
        checkpoint = self._key.checkpoint(self._gateway, batch.stream, batch.next_seq, batch.head, time_s)
        batch.add("checkpoint", wire.topic(self._gateway, "checkpoint"), wire.encode(checkpoint))


def event(
    name: str, time_s: int, text: str, data: dict[str, float | int | str | None], meter: str | None = None
) -> wire.Event:
    """Make an event; the pipeline numbers it."""
    return wire.Event(
        v=wire.VERSION, kind="event", stream="", seq=0, meter=meter, event=name, time_s=time_s, text=text, data=data
    )
