"""Faults on the fly: a UNIX socket that takes one order a line, and answers each with one line.

    office delay delay_s=3          something goes wrong with a meter, or with all at a bus
    office clear                    everything there is right again
    faults                          what is wrong now

A line is answered with ``ok``, with ``error: `` and the reason, or with what was asked for.
"""

import asyncio
import tomllib
from pathlib import Path

from firmware_sim.errors import SimError
from firmware_sim.site import Site

_USAGE = "expected `METER-OR-BUS KIND [KEY=VALUE ...]`, `METER-OR-BUS clear` or `faults`"


class Control:
    """The socket."""

    def __init__(self, site: Site, path: Path, server: asyncio.Server) -> None:
        self._site, self._path, self._server = site, path, server

    async def close(self) -> None:
        """Take no more orders, and remove the socket."""
        self._server.close()
        self._path.unlink(missing_ok=True)


async def open_control(site: Site, path: Path) -> Control:
    """Listen at a path; raise SimError where that cannot be."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(obey(site, line.decode("utf-8", "replace")).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):  # gone, or a line beyond all measure
            pass
        finally:
            writer.close()

    try:
        server = await asyncio.start_unix_server(serve, path)
    except OSError as error:
        raise SimError(f"--control {path}: cannot listen: {error.strerror or error}") from None
    return Control(site, path, server)


def obey(site: Site, line: str) -> str:
    """Do what a line says; give the answer."""
    words = line.split()
    try:
        match words:
            case ["faults"]:
                return "; ".join(f"{name}: {fault}" for name, found in site.faults().items() for fault in found) or "ok"
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
