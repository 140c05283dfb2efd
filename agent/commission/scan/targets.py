"""Where to look for meters: hosts, lines with their settings, unit ids. Words in, lists out, nothing is asked.

::

    tcp://192.168.1.10            one host, port 502 unless it says otherwise; rtu+tcp://HOST:PORT likewise
    tcp://192.168.1.10-40         hosts that differ in the last number
    tcp://192.168.1.0/28          a network
    rtu:///dev/ttyUSB0            a line, in every usual setting; ?baud=9600&parity=N narrows it
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl, urlsplit

from agent.acquire.bus.url import SerialAddress, parse_url
from agent.errors import InputError
from agent.records import MeterProfile

MOST_HOSTS = 1024  # a /22: half a minute; more is somebody else's network
_BAUDS = (9600, 19200, 38400, 115200, 57600, 4800, 2400)  # in the order of how usual they are
_PARITIES = ("N", "E")  # O only where it is asked for: no profile has it
_RANGE = re.compile(r"(.*\.)(\d+)-(\d+)")

SERIAL_UNITS = tuple(range(1, 248))
TCP_UNITS = (*range(1, 11), 247, 255, 0, 71, 100)  # usual ones; 255 and 0: the device itself; 71: Kostal's KSEM
FIRST_UNITS = tuple(range(1, 9))  # as meters are delivered and counted on: enough to find a line's setting
STRANGER = 252  # reserved by the specification: who answers to it ignores unit ids


def hosts(target: str) -> tuple[str, ...]:
    """Give the URL of every host of a target.

    >>> hosts("tcp://192.168.1.10-12")
    ('tcp://192.168.1.10:502', 'tcp://192.168.1.11:502', 'tcp://192.168.1.12:502')
    >>> hosts("tcp://10.0.0.0/30")
    ('tcp://10.0.0.1:502', 'tcp://10.0.0.2:502')
    """
    scheme, _, rest = target.partition("://")
    place, colon, port = rest.rpartition(":") if re.search(r":\d*$", rest) else (rest, "", "")
    names = _network(target, place) if "/" in place else _range(target, place)
    return tuple(str(parse_url(f"{scheme}://{name}{colon}{port}")) for name in names)


def _network(target: str, place: str) -> list[str]:
    try:
        network = ipaddress.ip_network(place, strict=False)
    except ValueError as error:
        raise InputError(f"target {target!r}: {error}; expected a network such as tcp://192.168.1.0/28") from None
    _check_number(target, network.num_addresses)
    return [str(host) for host in network.hosts()]


def _range(target: str, place: str) -> list[str]:
    found = _RANGE.fullmatch(place)
    if not found or not re.fullmatch(r"[\d.]+", found[1]):
        return [place]
    first, last = int(found[2]), int(found[3])
    if not first <= last <= 255:
        raise InputError(f"target {target!r}: {first}-{last} is no range, expected two numbers from 0 to 255")
    _check_number(target, last - first + 1)
    return [f"{found[1]}{number}" for number in range(first, last + 1)]


def _check_number(target: str, count: int) -> None:
    if count > MOST_HOSTS:
        raise InputError(
            f"target {target!r} has {count} addresses, and at most {MOST_HOSTS} are scanned at once; "
            "name the part of the network in which the meters are, such as 192.168.1.0/24"
        )


def settings(
    target: str, only_bauds: Sequence[int], only_parities: Sequence[str], profiles: Iterable[MeterProfile]
) -> tuple[SerialAddress, ...]:
    """Give the settings of a line that are to be tried: factory settings first, those of most models before others."""
    parse_url(target)  # complains
    parts = urlsplit(target)
    said = dict(parse_qsl(parts.query))
    own = Counter((p.baud, p.parity or "N") for p in profiles if p.baud)
    usual = [(baud, parity) for baud in only_bauds or _BAUDS for parity in only_parities or _PARITIES]
    pairs = dict.fromkeys([pair for pair, _ in own.most_common()] + usual)
    return tuple(
        SerialAddress(path=parts.netloc + parts.path, baud=baud, parity=parity, stopbits=int(said.get("stopbits", 1)))
        for baud, parity in pairs
        if baud in ([int(said["baud"])] if "baud" in said else only_bauds or [baud])
        and parity in ([said["parity"]] if "parity" in said else only_parities or [parity])
    ) or (_said(target),)


def _said(target: str) -> SerialAddress:
    address = parse_url(target)
    assert isinstance(address, SerialAddress)
    return address


def units(words: str) -> tuple[int, ...]:
    """Read a list of unit ids.

    >>> units("1-3,20")
    (1, 2, 3, 20)
    """
    found: list[int] = []
    for part in words.split(","):
        ends = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if not 0 <= first <= last <= 255:
            raise InputError(f"--units {words}: {part!r} is wrong, expected unit ids from 0 to 255 such as 1-10,20")
        found += range(first, last + 1)
    return tuple(dict.fromkeys(found))


def bauds(words: str) -> tuple[int, ...]:
    """Read a list of baud rates."""
    if not re.fullmatch(r"\d+(,\d+)*", words) or not all(300 <= int(word) <= 4_000_000 for word in words.split(",")):
        raise InputError(f"--baud {words} is wrong, expected baud rates such as 9600,19200")
    return tuple(map(int, words.split(",")))


def parities(words: str) -> tuple[str, ...]:
    """Read a list of parities."""
    found = tuple(word.strip().upper() for word in words.split(","))
    if any(letter not in ("N", "E", "O") for letter in found):
        raise InputError(f"--parity {words} is wrong, expected N, E or O, or several such as N,E")
    return found
