"""The enrolment service: HTTPS around the desk, and each day a young revocation list.

A process of its own: the authority's key does not live where messages of gateways are parsed.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.deliver.durable import write_file
from agent.errors import FlatwattError
from agent.watchdog import feed
from collector.ca.authority import Authority
from collector.ca.certificates import CENTRE_DAYS, DAY_S
from collector.ca.desk import Desk, Patience

NAME = "centre.enrolment"
CONNECTIONS = 64  # at once: each costs a handshake
CONNECTION_S = 30.0  # the longest life of one: nobody holds them all by saying nothing
ROUND_S = 3600.0  # between looks at what is going to expire

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of ``flatwatt ca serve``."""

    folder: Path
    host: str
    port: int
    names: tuple[str, ...]  # host names and addresses by which gateways reach it
    days: float  # life of a gateway's certificate


class _ShortConnection(H11Protocol):
    """A connection that ends after half a minute, said or unsaid."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self.loop.call_later(CONNECTION_S, transport.abort)


class _Server(uvicorn.Server):
    """uvicorn, without its signal handlers: they would raise the signal again at the end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to :func:`_serve`."""
        yield


def serve(settings: Settings, authority: Authority) -> int:
    """Serve until a signal comes; :class:`FlatwattError` says what kept it from starting."""
    authority.trusted()  # a file that is no key is told now, not to a gateway
    authority.publish()
    with _listen(settings.host, settings.port) as listener:
        return asyncio.run(_serve(settings, authority, listener))


async def _serve(settings: Settings, authority: Authority, listener: socket.socket) -> int:
    key_file, certificate_file = _prove(settings, authority)
    desk = Desk(authority, settings.folder, settings.days, Patience())
    config = uvicorn.Config(
        Starlette(routes=desk.routes()),
        http=_ShortConnection,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # an address that somebody claims is none
        limit_concurrency=CONNECTIONS,
        ssl_certfile=certificate_file,
        ssl_keyfile=key_file,
        timeout_graceful_shutdown=1,
    )
    config.load()
    assert config.ssl is not None
    config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    server = _Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
    _log.info("enrolment: port %d, authority: %s", listener.getsockname()[1], authority.fingerprint)
    feeding = asyncio.create_task(feed(os.environ))
    rounds = asyncio.create_task(_rounds(settings, authority, config.ssl))
    try:
        await server.serve([listener])
    finally:
        feeding.cancel()
        rounds.cancel()
    return 0


def _prove(settings: Settings, authority: Authority) -> tuple[Path, Path]:
    """Issue our own certificate; give the files of key and certificate."""
    key_file, certificate_file = settings.folder / "service.key", settings.folder / "service.pem"
    key, certificate = authority.issue(NAME, CENTRE_DAYS, settings.names)
    write_file(key_file, key)
    write_file(certificate_file, certificate, 0o644)
    return key_file, certificate_file


async def _rounds(settings: Settings, authority: Authority, tls: ssl.SSLContext) -> None:
    """Write the revocation list anew each day, and our own certificate in the middle of its life."""
    published_s = proved_s = time.monotonic()
    while True:
        await asyncio.sleep(ROUND_S)
        try:
            if time.monotonic() - published_s > DAY_S:
                await asyncio.to_thread(authority.publish)
                published_s = time.monotonic()
            if time.monotonic() - proved_s > CENTRE_DAYS * DAY_S / 2:
                key_file, certificate_file = await asyncio.to_thread(_prove, settings, authority)
                tls.load_cert_chain(certificate_file, key_file)
                proved_s = time.monotonic()
        except (FlatwattError, OSError) as error:
            _log.error("the revocation list or the service's own certificate could not be renewed: %s", error)


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise FlatwattError(f"enrolment cannot be served on {host}:{port}: {error.strerror}") from None
    with listener:
        yield listener
