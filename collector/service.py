"""The collector put together: database, intake, subscriber, page."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from agent.errors import FlatwattError
from agent.watchdog import feed
from collector.broker_access import BrokerAccess
from collector.ingest.enrolled import Enrolled
from collector.ingest.intake import Intake
from collector.ingest.receipts import Signer
from collector.ingest.recover import recover
from collector.ingest.subscriber import Subscriber
from collector.store.database import exclusive
from collector.store.ledger import Ledger
from collector.web.app import application
from collector.web.hub import Hub

END_S = 1  # what requests under way may take at the end
PAGES = 400  # open connections at most: the usual 1024 descriptors must leave some to the broker and the database

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of `flatwatt collect`, and the clock."""

    mqtt: str
    database: Path
    key_file: Path
    host: str
    port: int
    username: str | None
    password: str | None
    ca_file: Path | None
    cert_file: Path | None
    tls_key_file: Path | None
    enrolled: Path | None
    recover: Path | None
    now_s: Callable[[], float]


class _Server(uvicorn.Server):
    """uvicorn, without its signal handlers: they would raise the signal again at the end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to :func:`_collect`."""
        yield


def serve(settings: Settings) -> int:
    """Collect until a signal comes; :class:`FlatwattError` says what kept it from starting, or ended it."""
    with exclusive(settings.database), _listen(settings.host, settings.port) as listener:
        return asyncio.run(_collect(settings, listener))


async def _collect(settings: Settings, listener: socket.socket) -> int:
    signer = Signer.load(settings.key_file)
    ledger = Ledger(settings.database)
    if settings.recover is not None:
        await asyncio.to_thread(recover, settings.recover, ledger)
    hub = Hub()
    loop = asyncio.get_running_loop()

    def end() -> None:
        hub.close()
        server.should_exit = True

    def ended() -> None:
        loop.call_soon_threadsafe(end)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    intake = Intake(
        ledger, signer, enrolled=Enrolled(settings.enrolled), now_s=settings.now_s, committed=hub.committed, ended=ended
    )
    server = _server(application(settings.database, hub, settings.now_s, lambda: tuple(intake.commit_s)))
    subscriber = Subscriber(_access(settings, signer.key_id), intake.received, intake.connected, intake.lost)
    _log.info("page: http://%s/  database: %s  key: %s", _shown(listener), settings.database, signer.key_id)
    feeding = asyncio.create_task(feed(os.environ))
    try:
        intake.start(subscriber.publish)
        subscriber.start()
        await server.serve([listener])
    finally:
        feeding.cancel()
        await asyncio.to_thread(subscriber.stop)
        await asyncio.to_thread(intake.stop)
        ledger.close()
    if intake.failure:
        raise intake.failure
    return 0


def _server(app: ASGIApp) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=PAGES,
            timeout_graceful_shutdown=END_S,
        )
    )


def _access(settings: Settings, key_id: str) -> BrokerAccess:
    return BrokerAccess(
        url=settings.mqtt,
        client_id=f"flatwatt-{key_id[:12]}",  # one per collector, the same over restarts; 3.1.1 allows 23 characters
        username=settings.username,
        password=settings.password,
        ca_file=settings.ca_file,
        cert_file=settings.cert_file,
        key_file=settings.tls_key_file,
    )


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    """Take the address before anything else starts."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise FlatwattError(
            f"the page cannot be served on {host}:{port}: {_why(error)}; name another address with --http"
        ) from None
    with listener:
        yield listener


def _why(error: OSError) -> str:
    """Give the reason alone: asyncio and socket add the address that we name ourselves."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
