"""A publisher for tests, with a minimal status."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from agent.config import DeliveryConfig, MqttConfig
from agent.deliver import wire
from agent.deliver.link.herald import State
from agent.deliver.link.publisher import Publisher
from agent.deliver.spool.spool import Spool
from tests.agent.deliver.centre import GATEWAY


def publisher(
    spool: Spool,
    url: str,
    *,
    protocol: str = "5",
    mode: str = "collector",
    resend_after_s: float = 60.0,
    drain_per_s: float = 10_000.0,
    username: str | None = None,
    ca_file: Path | None = None,
    reports: list[tuple[str, str]] | None = None,
    on_command: Callable[[bytes], None] | None = None,
) -> Publisher:
    """Make a publisher whose status is minimal."""

    def status_payload(state: State) -> bytes:
        return wire.encode(
            wire.Status(
                v=1,
                kind="status",
                state=state,
                gateway=GATEWAY,
                name="",
                site="",
                site_kind="office",
                software="",
                boot_id="",
                stream=spool.stream,
                delivery=mode,
                clock="",
                time_s=0,
                window_s=900,
                public_key="",
                meters=[],
            )
        )

    def report(event: str, text: str) -> None:
        if reports is not None:
            reports.append((event, text))

    mqtt = MqttConfig(
        url=url,
        protocol=protocol,
        username=username,
        password_file=None,
        ca_file=ca_file,
        cert_file=None,
        key_file=None,
        plaintext=False,
    )
    delivery = DeliveryConfig(
        mode=mode,
        collector_key_file=None,
        resend_after_s=resend_after_s,
        drain_per_s=drain_per_s,
        spool_bytes=2**28,
        spool_days=400,
        disk_free_bytes=0,
    )
    return Publisher(spool, mqtt, delivery, status_payload=status_payload, report=report, on_command=on_command)


@contextlib.asynccontextmanager
async def running(courier: Publisher) -> AsyncIterator[None]:
    """Run a publisher and let it say goodbye."""
    stop = asyncio.Event()
    task = asyncio.create_task(courier.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def eventually(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    """Wait until it is so."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - the condition lives in another process or thread
                await asyncio.sleep(0.02)
    return condition()
