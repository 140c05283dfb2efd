"""Composes one gateway from its configuration and runs it: the only place that knows all three wings."""

import asyncio
import contextlib
import logging
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random

from agent import __version__
from agent.acquire.make_poller import make_poller
from agent.acquire.profile import find_profile
from agent.analyse.analyst import Analyst
from agent.analyse.detect.evidence import shipped_rules
from agent.analyse.site import Site
from agent.analyse.window import WindowBuilder
from agent.clock import Clock
from agent.config import GatewayConfig, MeterConfig
from agent.deliver import wire
from agent.deliver.keys import GatewayKey, load_gateway_key
from agent.deliver.publisher import Publisher, State
from agent.deliver.spool import Spool
from agent.errors import InputError
from agent.pipeline import Pipeline, event, remembered

logger = logging.getLogger(__name__)

_GOODBYE_S = 5.0  # on a signal: what is under way may still be confirmed
_LAST_RECEIPTS_S = 300.0  # at --until: a run in fast motion ends when the collector has everything


async def serve(config: GatewayConfig, clock: Clock, until_s: float) -> int:
    """Run the gateway until a signal or ``until_s``; give the exit code."""
    _make_state_dir(config.state_dir)
    key = load_gateway_key(config.state_dir / "key.pem")
    spool = Spool(config.state_dir / "spool.db", config.id)
    memory = remembered(spool)
    site = Site(config.site.kind, config.meters)
    analyst = Analyst(config.id, site, shipped_rules(), config.state_dir / "history.db", memory.analyst)
    poller = make_poller(config, Random())  # noqa: S311 - jitter, no secret
    birth = _Birth(config, key, spool, clock)
    publisher = Publisher(
        spool,
        config.mqtt,
        config.delivery,
        status_payload=birth.payload,
        report=lambda name, text: pipeline.tell([event(name, int(clock.now_s()), text, {})]),
    )
    pipeline = Pipeline(
        gateway=config.id,
        clock=clock,
        poller=poller,
        windows=WindowBuilder(site.names, config.poll.period_s, config.poll.window_s),
        analyst=analyst,
        spool=spool,
        memory=memory,
        key=key,
        outlet=publisher,
        period_s=config.poll.period_s,
        window_s=config.poll.window_s,
    )
    pipeline.tell(_opening_events(spool, memory.told_until_s, int(clock.now_s())))
    stop = asyncio.Event()
    with _on_signals(stop):
        publishing = asyncio.create_task(publisher.run(stop))
        working = asyncio.create_task(pipeline.run(stop.is_set, until_s))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((working, stopping, publishing), return_when=asyncio.FIRST_COMPLETED)
            confirmed = await publisher.drain(_GOODBYE_S if stop.is_set() else _LAST_RECEIPTS_S)
            stop.set()
            await asyncio.gather(working, publishing)
        finally:
            await poller.close()
            analyst.close()
            spool.close()
    if not confirmed:
        logger.warning("%d records are not confirmed yet; they wait in the spool", publisher.status().pending)
    return 0


class _Birth:
    """Makes the retained birth and death messages."""

    def __init__(self, config: GatewayConfig, key: GatewayKey, spool: Spool, clock: Clock) -> None:
        self._config = config
        self._key = key
        self._spool = spool
        self._clock = clock
        self._boot_id = uuid.uuid4().hex[:12]
        self._meters = [_meter_status(meter) for meter in config.meters]

    def payload(self, state: State) -> bytes:
        """Give the bytes of the birth (``online``) or of the death (``offline``)."""
        config = self._config
        return wire.encode(
            wire.Status(
                v=wire.VERSION,
                kind="status",
                state=state,
                gateway=config.id,
                name=config.name,
                site=config.site.name,
                site_kind=config.site.kind,
                software=__version__,
                boot_id=self._boot_id,
                stream=self._spool.stream,
                delivery=config.delivery.mode,
                clock=self._clock.trust,
                time_s=int(self._clock.now_s()),
                window_s=config.poll.window_s,
                public_key=self._key.public_key,
                meters=self._meters,
            )
        )


def _meter_status(meter: MeterConfig) -> wire.MeterStatus:
    profile = find_profile(meter.profile)
    return wire.MeterStatus(
        meter=meter.id,
        name=meter.name,
        role=meter.role,
        parent=meter.parent,
        declared=meter.declared,
        declared_w=meter.declared_w,
        profile=profile.name,
        profile_digest=profile.digest,
    )


def _opening_events(spool: Spool, told_until_s: int, now_s: int) -> list[wire.Event]:
    """Say what happened while nobody measured: a first start, a restart with its gap, a damaged spool."""
    events = []
    if spool.loss is not None:
        loss = spool.loss
        text = f"the spool was damaged ({loss.why}) and is kept as {loss.file.name}; a new stream begins"
        logger.warning("%s", text)
        data = {"stream": loss.stream, "last_seq": loss.last_seq, "receipted": loss.receipted}
        events.append(event("spool_corrupt", now_s, text, {**data}))
    if told_until_s:
        text = f"measuring again; the last window ended {now_s - told_until_s} s ago"
        events.append(event("restart", now_s, text, {"told_until_s": told_until_s}))
    else:
        events.append(event("start", now_s, "the first start of this gateway", {}))
    return events


def _make_state_dir(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"gateway.state_dir: {path} cannot be made: {error.strerror}") from None


@contextlib.contextmanager
def _on_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
