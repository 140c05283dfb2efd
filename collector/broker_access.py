"""Where a program of the centre finds the broker, and how it is let in there."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent.errors import InputError
from agent.private_file import refuse_shared

PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccess:
    """Where the broker is and how to log in; see :func:`parse_url`."""

    url: str
    client_id: str
    username: str | None
    password: str | None
    ca_file: Path | None
    cert_file: Path | None
    key_file: Path | None


def parse_url(url: str) -> tuple[str, int, bool]:
    """Give host, port and whether TLS is wanted.

    >>> parse_url("mqtt://127.0.0.1"), parse_url("mqtts://broker.example:8884")
    (('127.0.0.1', 1883, False), ('broker.example', 8884, True))
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in PORTS or not parts.hostname or parts.username or parts.path.strip("/"):
        raise InputError(f"--mqtt: {url!r} is no broker; expected mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")
    return parts.hostname, port, parts.scheme == "mqtts"


def tls_context(access: BrokerAccess) -> ssl.SSLContext:
    """Read the certificates; :class:`InputError` says which option names one that cannot be used."""
    if access.key_file:
        refuse_shared(access.key_file, "--tls-key-file")
    try:
        context = ssl.create_default_context(cafile=str(access.ca_file) if access.ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if access.cert_file:
            context.load_cert_chain(access.cert_file, access.key_file, password="")  # else OpenSSL asks the terminal
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise InputError(f"--ca-file, --cert-file, --tls-key-file: {why(error)}") from None
    return context


def why(error: Exception) -> str:
    """Give the reason alone, of a connection or a file that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError) or not isinstance(error, OSError):
        return str(error)
    return error.strerror or str(error) or type(error).__name__
