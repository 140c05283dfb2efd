"""The URL that names a bus, read into an address.

::

    tcp://HOST[:PORT]                                     Modbus TCP, port 502 unless it says otherwise
    rtu:///dev/ttyUSB0?baud=9600&parity=N&stopbits=1      RS-485; rtu://./name is a relative path
    rtu+tcp://HOST:PORT                                   RTU frames through a transparent gateway
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from agent.errors import InputError

_MODBUS_PORT = 502  # assigned by IANA
_FORMS = "tcp://HOST[:PORT], rtu:///dev/ttyUSB0?baud=9600&parity=N&stopbits=1 or rtu+tcp://HOST:PORT"


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpAddress:
    """A Modbus TCP server, or with ``rtu`` a gateway that passes RTU frames through."""

    host: str
    port: int
    rtu: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rtu+tcp' if self.rtu else 'tcp'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialAddress:
    """A serial port and how it is set."""

    path: str
    baud: int
    parity: str  # N, E, O
    stopbits: int

    def __str__(self) -> str:
        return f"rtu://{self.path}?baud={self.baud}&parity={self.parity}&stopbits={self.stopbits}"


def parse_url(url: str) -> TcpAddress | SerialAddress:
    """Read the URL of a bus. Raises InputError with what is wrong and what was expected.

    >>> parse_url("tcp://10.0.0.7")
    TcpAddress(host='10.0.0.7', port=502, rtu=False)
    >>> parse_url("rtu:///dev/ttyUSB0?parity=E")
    SerialAddress(path='/dev/ttyUSB0', baud=9600, parity='E', stopbits=1)
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _wrong(url, str(error)) from None
    if parts.username is not None or parts.fragment:
        raise _wrong(url, "a user name or a #fragment has no meaning here")
    match parts.scheme:
        case "rtu":
            return _serial(url, parts)
        case "tcp" | "rtu+tcp":
            return _tcp(url, parts, port)
        case other:
            raise _wrong(url, f"unknown scheme {other!r}" if other else "it names no scheme")


def wrong_unit(url: str, unit: int) -> str:
    """Say what is expected where no meter on a bus can have a unit id, and nothing where one can. Raises InputError.

    Unit ids are 1 to 247, and 0 is everybody (Modbus over Serial Line V1.02, 2.2). A device on TCP may
    answer to 0 or 255 as well, by which it means itself (Modbus Messaging on TCP/IP V1.0b).

    >>> wrong_unit("tcp://10.0.0.7", 255), wrong_unit("rtu:///dev/ttyUSB0", 255)
    ('', '1 to 247')
    """
    address = parse_url(url)
    tcp = isinstance(address, TcpAddress) and not address.rtu
    if 1 <= unit <= 247 or (tcp and unit in (0, 255)):
        return ""
    return "1 to 247, or 0 or 255" if tcp else "1 to 247"


def by_id_path(path: str, folder: str = "/dev/serial/by-id") -> str | None:
    """Give the path that names the adapter behind ``path`` wherever it is plugged in, or None where there is none.

    ``/dev/ttyUSB0`` is the adapter that was found first; the links in ``folder`` hold maker and serial number.
    """
    links = sorted(Path(folder).glob("*"))
    if Path(path) in links:
        return None
    return next((str(link) for link in links if link.resolve() == Path(path).resolve()), None)


def _tcp(url: str, parts: SplitResult, port: int | None) -> TcpAddress:
    rtu = parts.scheme == "rtu+tcp"
    if not parts.hostname:
        raise _wrong(url, "the host is missing")
    if parts.query or parts.path not in ("", "/"):
        raise _wrong(url, f"nothing may follow the port, found {parts.path or '?' + parts.query!r}")
    if port is None and rtu:
        raise _wrong(url, "the port is missing, and gateways for RTU have no usual one")
    if port == 0:
        raise _wrong(url, "port 0 cannot be connected to")
    return TcpAddress(host=parts.hostname, port=_MODBUS_PORT if port is None else port, rtu=rtu)


def _baud(text: str) -> int:
    if not 300 <= int(text) <= 4_000_000:
        raise ValueError
    return int(text)


def _one_of(*allowed: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in allowed:
            raise ValueError
        return text

    return check


_SETTINGS: dict[str, tuple[Callable[[str], int | str], str]] = {
    "baud": (_baud, "a number from 300 to 4000000"),
    "parity": (_one_of("N", "E", "O"), "N, E or O"),
    "stopbits": (_one_of("1", "2"), "1 or 2"),
}


def _serial(url: str, parts: SplitResult) -> SerialAddress:
    path = parts.netloc + parts.path
    if not path.strip("/."):
        raise _wrong(url, "the device is missing")
    settings: dict[str, int | str] = {"baud": 9600, "parity": "N", "stopbits": "1"}
    for key, text in parse_qsl(parts.query, keep_blank_values=True):
        if key not in _SETTINGS:
            raise _wrong(url, f"unknown setting {key!r}{_did_you_mean(key)}")
        read, expected = _SETTINGS[key]
        try:
            settings[key] = read(text)
        except ValueError:
            raise _wrong(url, f"{key} is {text!r}, expected {expected}") from None
    return SerialAddress(
        path=path, baud=int(settings["baud"]), parity=str(settings["parity"]), stopbits=int(settings["stopbits"])
    )


def _did_you_mean(key: str) -> str:
    close = difflib.get_close_matches(key, _SETTINGS, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _wrong(url: str, what: str) -> InputError:
    return InputError(f"bus {url!r}: {what}; expected {_FORMS}")
