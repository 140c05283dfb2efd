"""One gateway: its parts, made from its configuration, and their run.

The only place where the parts are made. Some call each other in circles: the publisher hands receipts to the
pipeline, which tells the publisher of new records. What is made first finds what is made later in the gateway.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from random import Random

from agent.acquire.learn.learned import Learned
from agent.acquire.poll.make_poller import make_poller
from agent.acquire.poll.poller import Poller
from agent.acquire.poll.status_file import STATUS_FILE
from agent.acquire.profiles.profile import find_profile
from agent.analyse.analyst import Analyst
from agent.analyse.detect.evidence import shipped_rules
from agent.analyse.quality.inspector import Inspector
from agent.analyse.site import Site
from agent.analyse.site_day import SiteBook
from agent.analyse.window import WindowBuilder
from agent.chores import in_background, keep_status, salvage
from agent.clock import Clock
from agent.config import GatewayConfig
from agent.deliver import wire
from agent.deliver.identity.keys import load_gateway_key, load_public_key
from agent.deliver.identity.renewal import Renewal
from agent.deliver.link.publisher import Publisher
from agent.deliver.link.restored_centre import declare_loss
from agent.deliver.spool.sacrifice import Bounds
from agent.deliver.spool.spool import Spool
from agent.deliver.spool.upkeep import Upkeep
from agent.emission_factors import factors
from agent.operate.birth import Birth
from agent.operate.interval import in_force
from agent.operate.operations import Operations
from agent.operate.rotate import rotation
from agent.pipeline import Pipeline, event, remembered
from agent.records import ClockReading

logger = logging.getLogger(__name__)

_LAST_WORDS_S = 1.0  # on a signal: what is under way may still be confirmed
_GOODBYE_S = 2.0  # for the publisher to take leave of the broker
_LAST_RECEIPTS_S = 300.0  # at --until: a run in fast motion ends when the collector has everything


class Gateway:
    """One gateway on its spool, by the configuration as ``written``; ``read`` reads it anew, for a command."""

    def __init__(self, written: GatewayConfig, spool: Spool, read: Callable[[], GatewayConfig], clock: Clock) -> None:
        self._written = written
        self._config = in_force(written, spool)
        self._spool = spool
        self._clock = clock
        self._key = load_gateway_key(written.state_dir / "key.pem")
        self._site = Site(self._config.site.kind, self._config.meters)
        bounds = Bounds.of(self._config.delivery, self._config.poll.window_s)
        self._upkeep = Upkeep(spool, self._key, bounds, clock.read)
        self._memory = remembered(spool)
        self._analyst = self._make_analyst()
        self._poller = self._make_poller()
        self._operations = self._make_operations(read)
        self._birth = self._make_birth()
        self._publisher = self._make_publisher()
        self._pipeline = self._make_pipeline()
        self._renewal = self._make_renewal()
        self._pipeline.tell(opening_events(spool, self._memory.told_until_s, self._now_s()))
        if self._operations:
            self._operations.resume()

    def _make_analyst(self) -> Analyst:
        config, slots = self._config, self._spool.slots
        return Analyst(
            config.id, self._site, shipped_rules(), config.state_dir / "history.db", slots.get("analyst", b""),
            slots.get("machines", b""), lambda text: self._tell_soon("history_corrupt", text),
        )  # fmt: skip

    def _make_poller(self) -> Poller:
        return make_poller(
            self._config,
            Random(),  # noqa: S311 - jitter, no secret
            on_lesson=lambda meter, learned: self._pipeline.tell([_lesson(meter, learned, self._now_s())]),
            simulated=self._clock.is_simulated,
        )

    def _make_operations(self, read: Callable[[], GatewayConfig]) -> Operations | None:
        operator = self._written.commands.operator_key_file
        if operator is None:
            return None
        return Operations(
            self._written,
            self._config.poll,
            self._spool,
            load_public_key(operator),
            read=read,
            read_clock=self._read_clock,
            statistics=self._poller.statistics,
            link=lambda: asdict(self._publisher.status()),
            reply=lambda replies, slots: self._pipeline.reply(replies, slots),
            resend=lambda first, last: self._publisher.resend(first, last),
            rotate=rotation(lambda: self._renewal.rotate()),
            end_at=lambda time_s: self._pipeline.end_at(time_s),
        )

    def _make_birth(self) -> Birth:
        return Birth(
            self._config,
            self._key,
            self._spool,
            read_clock=self._read_clock,
            is_simulated=self._clock.is_simulated,
            publisher=lambda: self._publisher.status(),
            interval="file" if self._config is self._written else "command",
        )

    def _make_publisher(self) -> Publisher:
        return Publisher(
            self._spool,
            self._config.mqtt,
            self._config.delivery,
            status_payload=self._birth.payload,
            report=self._tell,
            health=self._birth.health,
            on_receipt=lambda receipt: self._pipeline.on_receipt(receipt),
            on_loss=lambda through: declare_loss(self._spool, self._key, through, self._now_s()),
            on_command=self._operations.take if self._operations else None,
        )

    def _make_pipeline(self) -> Pipeline:
        config, site, slots = self._config, self._site, self._spool.slots
        return Pipeline(
            gateway=config.id,
            clock=self._clock,
            poller=self._poller,
            windows=WindowBuilder(site.names, config.poll.period_s, config.poll.window_s),
            inspector=Inspector(config.meters, _limits_w(config), slots.get("inspector", b""), _configured(config)),
            analyst=self._analyst,
            site_book=SiteBook(site, self._memory.stored_wh),
            factors=factors(config.site.grid, config.site.emission_factor),
            spool=self._spool,
            memory=self._memory,
            key=self._key,
            outlet=self._publisher,
            period_s=config.poll.period_s,
            after_window=self._upkeep.tend,
            on_samples=self._operations.on_samples if self._operations else lambda _samples, _tick_s: None,
        )

    def _make_renewal(self) -> Renewal:
        return Renewal(
            self._config.state_dir,
            self._config.id,
            self._key,
            self._clock.now_s,
            tell=self._tell,
            sign_off=self._sign_off,
        )

    def _now_s(self) -> int:
        return int(self._clock.now_s())

    def _read_clock(self) -> ClockReading:
        """Give the clock's reading with the trust that the collector's time leaves of it."""
        return replace(self._clock.read(), trust=self._pipeline.trust)

    def _tell(self, name: str, text: str) -> None:
        self._pipeline.tell([event(name, self._now_s(), text, {})])

    def _tell_soon(self, name: str, text: str) -> None:
        """Tell what happens while the parts are made, or in the middle of a window."""
        told = event(name, self._now_s(), text, {})
        asyncio.get_running_loop().call_soon(lambda: self._pipeline.tell([told]))

    def _sign_off(self, text: str, data: Mapping[str, str]) -> None:
        self._pipeline.sign_off(event("key_rotated", self._now_s(), text, {**data}))

    async def run(self, stop: asyncio.Event, until_s: float) -> GatewayConfig | int:
        """Run until ``stop`` or ``until_s``; give the exit code, or the configuration by which the next one runs."""
        status_file = self._config.state_dir / STATUS_FILE
        try:
            with in_background(
                keep_status(self._poller, self._birth.delivery, status_file, self._clock),
                salvage(self._upkeep),
                self._renewal.run(),
            ):
                pending = await self._work(stop, until_s)
        finally:
            await self._close()
        operations = self._operations
        if operations and operations.renewed and operations.renewed_from_s < until_s and not stop.is_set():
            return operations.renewed
        if pending:
            logger.warning("records not confirmed yet: %d; they wait in the spool", pending)
        return 0 if stop.is_set() or not pending else 1

    async def _work(self, stop: asyncio.Event, until_s: float) -> int:
        """Measure and deliver until ``until_s`` or ``stop``; give the number of records that are not confirmed.

        The first failure of either ends both, and is raised. Measuring may be cut off anywhere: a window
        is recorded in one transaction, which does not wait for anything.
        """
        leave = asyncio.Event()
        publishing = asyncio.create_task(self._publisher.run(leave))
        measuring = asyncio.create_task(self._measure(until_s))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((measuring, publishing, stopping), return_when=asyncio.FIRST_COMPLETED)
        measuring.cancel()
        if stop.is_set() and self._publisher.status().connected:
            await self._publisher.drain(_LAST_WORDS_S)
        leave.set()
        await asyncio.wait((publishing,), timeout=_GOODBYE_S)
        stopping.cancel()
        publishing.cancel()
        for end in await asyncio.gather(measuring, publishing, return_exceptions=True):
            if isinstance(end, Exception):
                raise end
        return self._publisher.status().pending

    async def _measure(self, until_s: float) -> None:
        await self._pipeline.run(until_s)
        if self._operations is None or self._operations.renewed is None:
            await self._publisher.drain(_LAST_RECEIPTS_S)
            return
        while self._clock.now_s() < self._operations.renewed_from_s:  # the last tick before was polled already
            await self._clock.sleep_until(self._operations.renewed_from_s)

    async def _close(self) -> None:
        if self._operations:
            self._operations.close()
        self._renewal.close()
        await self._poller.close()
        self._pipeline.keep()
        self._upkeep.tend()  # what is in memory only does not outlive us
        self._analyst.close()


def opening_events(spool: Spool, told_until_s: int, now_s: int) -> list[wire.Event]:
    """Say what happened while nobody measured: a first start, or a restart with its gap."""
    events = []
    if told_until_s:
        ago_s = now_s - told_until_s
        text = f"measuring again; the last window ended {ago_s} s ago"
        if ago_s < 0:
            text = f"measuring again; the last window ended {-ago_s} s later than now: the clock was set back"
        events.append(event("restart", now_s, text, {"told_until_s": told_until_s}))
    elif spool.loss is None:
        events.append(event("start", now_s, "the first start of this gateway", {}))
    return events


def _limits_w(config: GatewayConfig) -> dict[str, float]:
    """Give what each feeder can carry, where the configuration says it."""
    return {meter.id: meter.max_power_w for meter in config.meters if meter.max_power_w is not None}


def _configured(config: GatewayConfig) -> dict[str, list[float]]:
    """Give how each meter is read; of a profile's digest as many digits as a float tells exactly."""
    return {
        "configured_ct_ratio": [meter.ct_ratio for meter in config.meters],
        "configured_vt_ratio": [meter.vt_ratio for meter in config.meters],
        "profile_digest": [float(int(find_profile(meter.profile).digest[:12], 16)) for meter in config.meters],
    }


def _lesson(meter: str, learned: Learned, now_s: int) -> wire.Event:
    """Say what the plan of a meter learned, or that it begins anew."""
    anew = "is asked for everything again: it is another meter, what was refused is answered, or a week is over"
    text = f"{meter} {learned.sentence() or anew}"
    logger.warning("%s", text)
    return event("plan", now_s, text, {"refused": ", ".join(learned.refused) or None}, meter)
