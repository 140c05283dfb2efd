"""Where the broker is, and how to be let in."""

import ssl
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from agent.config import MqttConfig
from agent.errors import InputError
from agent.private_file import read_private, refuse_shared


@dataclass(frozen=True, slots=True)
class Access:
    """Where the broker is, and how to be let in. Everything that can be wrong here is said at the start."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    username: str | None
    password: str | None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def read(cls, config: MqttConfig) -> Self:
        """Read the URL, the password and the certificates; :class:`InputError` names what cannot be used."""
        try:
            url = urlsplit(config.url)
            port = url.port
        except ValueError:
            url, port = urlsplit(""), None
        if url.scheme not in ("mqtt", "mqtts") or not url.hostname:
            raise InputError(f"mqtt.url: {config.url!r} is not mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")
        tls = _tls_context(config) if url.scheme == "mqtts" else None
        password = None
        if config.password_file is not None:
            try:
                password = read_private(config.password_file, "mqtt.password_file").decode().strip()
            except UnicodeDecodeError:
                raise InputError(f"mqtt.password_file: {config.password_file}: not UTF-8 text") from None
        return cls(url.hostname, port or (8883 if tls else 1883), tls, config.username, password)


def _tls_context(config: MqttConfig) -> ssl.SSLContext:
    if config.key_file is not None:
        refuse_shared(config.key_file, "mqtt.key_file")
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if config.cert_file is not None:
            context.load_cert_chain(config.cert_file, config.key_file, password="")  # else OpenSSL asks the terminal
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"mqtt.ca_file, cert_file or key_file cannot be used: {error}") from None
    return context
