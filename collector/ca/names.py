"""Who can have a certificate. A name with a wildcard of MQTT in it would be everybody (CVE-2017-7650): none passes."""

import re

from agent.errors import InputError

_GATEWAY = re.compile(r"[a-z0-9-]{1,32}")
_CENTRE = re.compile(r"[a-z0-9-]{1,32}(?:\.[a-z0-9-]{1,32}){1,2}")  # a dot: no gateway's id holds one
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")


def gateway_name(name: str) -> str:
    """Give a gateway's id back; :class:`InputError` where it is none.

    >>> gateway_name("campus-01")
    'campus-01'
    >>> gateway_name("+")
    Traceback (most recent call last):
    ...
    agent.errors.InputError: '+' is no gateway: expected 1 to 32 characters of a-z, 0-9 and "-"
    """
    if not _GATEWAY.fullmatch(name):
        raise InputError(f'{name[:80]!r} is no gateway: expected 1 to 32 characters of a-z, 0-9 and "-"')
    return name


def centre_name(name: str) -> str:
    """Give a name of the centre back: ``centre.collector``, ``centre.broker``; it has a dot, so no gateway has it."""
    if not _CENTRE.fullmatch(name):
        raise InputError(
            f'{name[:80]!r} is no name of the centre: expected two or three words of a-z, 0-9 and "-" with dots '
            "between them, such as centre.collector; gateways get theirs by `flatwatt ca token`"
        )
    return name


def host_name(name: str) -> str:
    """Give a host name or an address back, as clients of a server type it."""
    if not _HOST.fullmatch(name):
        raise InputError(f"--host: {name[:80]!r} is no host name and no address")
    return name
