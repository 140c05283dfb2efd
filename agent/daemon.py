"""Runs a gateway until a signal or an end, and another one in its place where a command asks for that."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.clock import Clock
from agent.config import GatewayConfig
from agent.deliver.identity.keys import load_gateway_key
from agent.deliver.identity.renewal import finish_rotation
from agent.deliver.spool.spool import Spool
from agent.errors import InputError
from agent.gateway import Gateway
from agent.watchdog import feed


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
            gateway = Gateway(composed, spool, read, clock)
            with _on_signals(stop := asyncio.Event()):
                composed = await gateway.run(stop, until_s)
    finally:
        feeding.cancel()
        spool.close()
    return composed


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
