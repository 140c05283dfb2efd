"""Composes one gateway from its configuration and runs it: the only place where its parts are made."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

from agent.acquire.learn.learned import Learned
from agent.acquire.poll.make_poller import make_poller
from agent.acquire.poll.poller import Poller
from agent.acquire.poll.status_file import KEPT_S, LOOK_S, STATUS_FILE, stop_asking, write_status
from agent.acquire.profiles.profile import find_profile
from agent.analyse.analyst import Analyst
from agent.analyse.detect.evidence import shipped_rules
from agent.analyse.quality.inspector import Inspector
from agent.analyse.site import Site
from agent.analyse.site_day import SiteBook
from agent.analyse.window import WindowBuilder
from agent.clock import Clock
from agent.config import GatewayConfig
from agent.deliver import wire
from agent.deliver.identity.keys import load_gateway_key, load_public_key
from agent.deliver.identity.renewal import Renewal, finish_rotation
from agent.deliver.link.publisher import Publisher
from agent.deliver.link.restored_centre import declare_loss
from agent.deliver.spool.sacrifice import Bounds
from agent.deliver.spool.spool import Spool
from agent.deliver.spool.upkeep import Upkeep
from agent.emission_factors import factors
from agent.errors import InputError
from agent.operate.birth import Birth
from agent.operate.interval import in_force
from agent.operate.operations import Operations
from agent.operate.rotate import rotation
from agent.pipeline import Pipeline, event, remembered
from agent.watchdog import feed

logger = logging.getLogger(__name__)

_LAST_WORDS_S = 1.0  # on a signal: what is under way may still be confirmed
_GOODBYE_S = 2.0  # for the publisher to take leave of the broker
_DISK_S = 60.0  # a disk that cannot be written to is told of once a minute at most
_BREATH_S = 0.1  # between slices of a salvage, each of which takes a quarter of that
_LAST_RECEIPTS_S = 300.0  # at --until: a run in fast motion ends when the collector has everything


async def serve(read: Callable[[], GatewayConfig], clock: Clock, until_s: float) -> int:
    """Run the gateway until a signal or ``until_s``; give the exit code, 1 where records of a run are unconfirmed.

    ``read`` reads the configuration. Where a command asks for it, all is composed anew, by what it then gives.
    """
    written = read()
    _make_state_dir(written.state_dir)
    finish_rotation(written.state_dir)
    load_gateway_key(written.state_dir / "key.pem")
    spool = Spool(written.state_dir / "spool.db", written.id)
    composed: GatewayConfig | int = written
    feeding = asyncio.create_task(feed(os.environ))
    try:
        while not isinstance(composed, int):
            composed = await _serve(composed, spool, read, clock, until_s)
    finally:
        feeding.cancel()
        spool.close()
    return composed


async def _serve(
    written: GatewayConfig, spool: Spool, read: Callable[[], GatewayConfig], clock: Clock, until_s: float
) -> GatewayConfig | int:
    """Compose the gateway and run it; give the exit code, or the configuration by which it is composed next."""
    key = load_gateway_key(written.state_dir / "key.pem")
    config = in_force(written, spool)
    upkeep = Upkeep(spool, key, Bounds.of(config.delivery, config.poll.window_s), clock.read)
    memory = remembered(spool)
    site = Site(config.site.kind, config.meters)
    slots = spool.slots

    def tell(name: str, text: str) -> None:
        """Tell what happens while all is composed, or in the middle of a window."""
        told = event(name, int(clock.now_s()), text, {})
        asyncio.get_running_loop().call_soon(lambda: pipeline.tell([told]))

    analyst = Analyst(
        config.id, site, shipped_rules(), config.state_dir / "history.db", slots.get("analyst", b""),
        slots.get("machines", b""), lambda text: tell("history_corrupt", text),
    )  # fmt: skip
    poller = make_poller(
        config,
        Random(),  # noqa: S311 - jitter, no secret
        on_lesson=lambda meter, learned: pipeline.tell([_lesson(meter, learned, int(clock.now_s()))]),
        simulated=clock.is_simulated,
    )
    operations: Operations | None = None
    if (operator := written.commands.operator_key_file) is not None:
        operations = Operations(
            written,
            config.poll,
            spool,
            load_public_key(operator),
            read=read,
            read_clock=lambda: replace(clock.read(), trust=pipeline.trust),
            statistics=poller.statistics,
            link=lambda: asdict(publisher.status()),
            reply=lambda replies, slots: pipeline.reply(replies, slots),
            resend=lambda first, last: publisher.resend(first, last),
            rotate=rotation(lambda: renewal.rotate()),
            end_at=lambda time_s: pipeline.end_at(time_s),
        )
    birth = Birth(
        config,
        key,
        spool,
        read_clock=lambda: replace(clock.read(), trust=pipeline.trust),
        is_simulated=clock.is_simulated,
        publisher=lambda: publisher.status(),
        interval="file" if config is written else "command",
    )
    publisher = Publisher(
        spool,
        config.mqtt,
        config.delivery,
        status_payload=birth.payload,
        report=lambda name, text: pipeline.tell([event(name, int(clock.now_s()), text, {})]),
        health=birth.health,
        on_receipt=lambda receipt: pipeline.on_receipt(receipt),
        on_loss=lambda through: declare_loss(spool, key, through, int(clock.now_s())),
        on_command=operations.take if operations else None,
    )
    pipeline = Pipeline(
        gateway=config.id,
        clock=clock,
        poller=poller,
        windows=WindowBuilder(site.names, config.poll.period_s, config.poll.window_s),
        inspector=Inspector(config.meters, _limits_w(config), slots.get("inspector", b""), _configured(config)),
        analyst=analyst,
        site_book=SiteBook(site, memory.stored_wh),
        factors=factors(config.site.grid, config.site.emission_factor),
        spool=spool,
        memory=memory,
        key=key,
        outlet=publisher,
        period_s=config.poll.period_s,
        after_window=upkeep.tend,
        on_samples=operations.on_samples if operations else lambda _samples, _tick_s: None,
    )
    renewal = Renewal(
        config.state_dir,
        config.id,
        key,
        clock.now_s,
        tell=lambda name, text: pipeline.tell([event(name, int(clock.now_s()), text, {})]),
        sign_off=lambda text, data: pipeline.sign_off(event("key_rotated", int(clock.now_s()), text, {**data})),
    )
    pipeline.tell(_opening_events(spool, memory.told_until_s, int(clock.now_s())))
    if operations:
        operations.resume()
    stop = asyncio.Event()
    try:
        with _on_signals(stop):
            reporting = asyncio.create_task(_report(poller, birth.delivery, config.state_dir / STATUS_FILE, clock))
            salvaging = asyncio.create_task(_salvage(upkeep))
            renewing = asyncio.create_task(renewal.run())
            pending = await _work(publisher, stop, _measure(pipeline, publisher, clock, operations, until_s))
            reporting.cancel()
            salvaging.cancel()
            renewing.cancel()
    finally:
        if operations:
            operations.close()
        await poller.close()
        pipeline.keep()
        upkeep.tend()  # what is in memory only does not outlive us
        analyst.close()
    if operations and operations.renewed and operations.renewed_from_s < until_s and not stop.is_set():
        return operations.renewed
    if pending:
        logger.warning("records not confirmed yet: %d; they wait in the spool", pending)
    return 0 if stop.is_set() or not pending else 1


async def _work(publisher: Publisher, stop: asyncio.Event, work: Coroutine[None, None, None]) -> int:
    """Measure and deliver until ``work`` is done or ``stop`` set; give the number of records that are not confirmed.

    The first failure of either ends both, and is raised. Measuring may be cut off anywhere: a window
    is recorded in one transaction, which does not wait for anything.
    """
    leave = asyncio.Event()
    publishing = asyncio.create_task(publisher.run(leave))
    measuring = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((measuring, publishing, stopping), return_when=asyncio.FIRST_COMPLETED)
    measuring.cancel()
    if stop.is_set() and publisher.status().connected:
        await publisher.drain(_LAST_WORDS_S)
    leave.set()
    await asyncio.wait((publishing,), timeout=_GOODBYE_S)
    stopping.cancel()
    publishing.cancel()
    for end in await asyncio.gather(measuring, publishing, return_exceptions=True):
        if isinstance(end, Exception):
            raise end
    return publisher.status().pending


async def _measure(
    pipeline: Pipeline, publisher: Publisher, clock: Clock, operations: Operations | None, until_s: float
) -> None:
    await pipeline.run(until_s)
    if operations is None or operations.renewed is None:
        await publisher.drain(_LAST_RECEIPTS_S)
        return
    while clock.now_s() < operations.renewed_from_s:  # the last tick before was polled already
        await clock.sleep_until(operations.renewed_from_s)


async def _salvage(upkeep: Upkeep) -> None:
    """Take over what a damaged spool held, a little at a time, whenever one is put aside."""
    while True:  # noqa: ASYNC110 - there is nothing to wait for: damage is found when a record is read
        await asyncio.sleep(_BREATH_S if upkeep.salvage() else LOOK_S)


async def _report(poller: Poller, delivery: Callable[[], dict[str, Any]], path: Path, clock: Clock) -> None:
    """Write what ``flatwatt status`` shows when it asks, and seldom else; a full disk costs that and nothing more."""
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        try:
            if stop_asking(path) or loop.time() >= due_s:
                due_s = loop.time() + KEPT_S
                write_status(path, poller.statistics(), delivery(), clock.now_s())
        except OSError as error:
            logger.warning("%s cannot be written: %s", path, error.strerror)
            await asyncio.sleep(_DISK_S)
        await asyncio.sleep(LOOK_S)


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


def _opening_events(spool: Spool, told_until_s: int, now_s: int) -> list[wire.Event]:
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


def _lesson(meter: str, learned: Learned, now_s: int) -> wire.Event:
    """Say what the plan of a meter learned, or that it begins anew."""
    anew = "is asked for everything again: it is another meter, what was refused is answered, or a week is over"
    text = f"{meter} {learned.sentence() or anew}"
    logger.warning("%s", text)
    return event("plan", now_s, text, {"refused": ", ".join(learned.refused) or None}, meter)


def _make_state_dir(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"gateway.state_dir: {path} cannot be made: {error.strerror}") from None


@contextlib.contextmanager
def _on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set ``stop`` on the first signal. A second one ends the process as the system does: the spool survives that."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def first() -> None:
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in signals:
        loop.add_signal_handler(number, first)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
