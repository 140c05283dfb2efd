"""Which addresses never leave this machine: only to them does flatwatt speak without encryption unasked."""

import ipaddress


def is_loopback(host: str | None) -> bool:
    """Say whether a host of a URL is this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("broker.example")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"
