"""Faults on the fly: a UNIX socket that takes one order a line, and answers each with one line.

    office delay delay_s=3          something goes wrong with a meter, or with all at a bus
    office clear                    everything there is right again
    faults                          what is wrong now

A line is answered with ``ok``, with ``error: `` and the reason, or with what was asked for.
"""

import asyncio
import tomllib
from pathlib import Path

from firmware_sim.errors import SimError, TakenError
from firmware_sim.faults.making import told
from firmware_sim.site import Site

_USAGE = "expected `METER-OR-BUS KIND [KEY=VALUE ...]`, `METER-OR-BUS clear` or `faults`"


class _Talk(asyncio.Protocol):
    """Somebody who gives orders, one of ``present``."""

    def __init__(self, site: Site, present: set["_Talk"]) -> None:
        self._site, self._present, self._buffer = site, present, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._present.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._present.discard(self)

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self.transport.write(obey(self._site, line.decode("utf-8", "replace")).encode() + b"\n")


class Control:
    """The socket."""

    def __init__(self, path: Path, server: asyncio.Server, present: set[_Talk]) -> None:
        self._path, self._server, self._present = path, server, present

    async def close(self) -> None:
        """Take no more orders, and remove the socket."""
        self._server.close()
        for talk in tuple(self._present):
            talk.transport.abort()
        self._path.unlink(missing_ok=True)


async def open_control(site: Site, path: Path) -> Control:
    """Listen at a path; raise SimError where that cannot be, or another simulator listens already."""
    present: set[_Talk] = set()
    if await _is_taken(path):
        raise TakenError(f"--control {path}: another simulator takes its orders there")
    try:
        server = await asyncio.get_running_loop().create_unix_server(lambda: _Talk(site, present), path)
    except OSError as error:
        raise SimError(f"--control {path}: cannot listen: {error.strerror or error}") from None
    return Control(path, server, present)


async def _is_taken(path: Path) -> bool:
    """Tell whether somebody listens; a socket that a killed simulator left behind may be replaced."""
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


def obey(site: Site, line: str) -> str:
    """Do what a line says; give the answer."""
    words = line.split()
    try:
        match words:
            case ["faults"]:
                return "; ".join(f"{name} {told(fault)}" for name, on in site.faults().items() for fault in on) or "ok"
            case [name, "clear"]:
                site.end_fault(name)
            case [name, kind, *settings]:
                site.start_fault(name, kind, dict(_setting(word) for word in settings))
            case _:
                return f"error: {_USAGE}"
    except SimError as error:
        return "error: " + "; ".join(error.complaints)
    return "ok"


def _setting(word: str) -> tuple[str, object]:
    """Read KEY=VALUE; the value as TOML writes it, and what is none of TOML's as a text.

    >>> _setting("delay_s=3"), _setting('quantities=["frequency_hz"]'), _setting("until=1m")
    (('delay_s', 3), ('quantities', ['frequency_hz']), ('until', '1m'))
    """
    key, _, raw = word.partition("=")
    try:
        return key, tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return key, raw
