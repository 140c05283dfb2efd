"""What ``gateway.toml`` may say of the way to the centre: broker, delivery, commands."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.errors import InputError
from agent.loopback import is_loopback
from agent.private_file import refuse_shared
from agent.toml_check import Check, Field, Rule, existing_file, flag, number, one_of, text, whole

_LEAST_BYTES = 2**23  # of a spool: its log alone may have half of that


def _mqtt_url(value: object) -> str:
    expected = "mqtt://HOST[:PORT] or mqtts://HOST[:PORT]"
    try:
        parts = urlsplit(text(value))
        usable = parts.scheme in ("mqtt", "mqtts") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise ValueError(expected)
    return text(value)


def _private_file(folder: Path) -> Rule:
    """Accept the path of a file that only its owner may read."""
    existing = existing_file(folder)

    def rule(value: object) -> Path:
        path: Path = existing(value)
        try:
            refuse_shared(path, "it")
        except InputError:
            raise ValueError(f"a file that only its owner may read: chmod 600 {path}") from None
        return path

    return rule


def mqtt_fields(folder: Path) -> tuple[Field, ...]:
    """Give the keys of ``[mqtt]``."""
    return (
        Field("url", _mqtt_url),
        Field("protocol", one_of("auto", "5", "3.1.1"), default="auto"),
        Field("username", text, default=None),
        Field("password_file", _private_file(folder), default=None),
        *(Field(name, existing_file(folder), default=None) for name in ("ca_file", "cert_file")),
        Field("key_file", _private_file(folder), default=None),
        Field("plaintext", flag, default=False),
    )


def delivery_fields(folder: Path) -> tuple[Field, ...]:
    """Give the keys of ``[delivery]``."""
    return (
        Field("mode", one_of("collector", "broker"), default="collector"),
        Field("collector_key_file", existing_file(folder), default=None),
        Field("resend_after_s", number(1, 86400, expected="seconds, from 1 to 86400"), default=60.0),
        Field("drain_per_s", number(0.1, 10_000, expected="records a second, from 0.1 to 10000"), default=200.0),
        Field("spool_bytes", whole(_LEAST_BYTES, 2**50), default=2**28),
        Field("spool_days", whole(1, 36_500), default=400),
        Field("disk_free_bytes", whole(0, 2**50), default=200 * 2**20),
    )


def commands_fields(folder: Path) -> tuple[Field, ...]:
    """Give the keys of ``[commands]``."""
    return (Field("operator_key_file", existing_file(folder), default=None),)


def check_mqtt(check: Check, mqtt: dict[str, Any]) -> None:
    """Check that nothing travels unencrypted unasked, and that no credential would silently not be used."""
    _check_encryption(check, mqtt)
    if mqtt["url"] and not mqtt["url"].startswith("mqtts:"):
        for key in ("ca_file", "cert_file", "key_file"):
            if mqtt[key]:
                check.complain(("mqtt", key), "has no effect without TLS; write mqtts:// in url")
    for one, other in (("cert_file", "key_file"), ("key_file", "cert_file"), ("password_file", "username")):
        if mqtt[one] and other not in check.source.data["mqtt"]:
            check.complain(("mqtt", one), f"has no effect without {other}")


def _check_encryption(check: Check, mqtt: dict[str, Any]) -> None:
    if not mqtt["url"]:
        return
    url = urlsplit(mqtt["url"])
    is_plain = url.scheme == "mqtt" and not is_loopback(url.hostname)
    if is_plain and not mqtt["plaintext"]:
        why = "is not encrypted, and leaves this machine; write mqtts://, or plaintext = true where a tunnel does it"
        check.complain(("mqtt", "url"), why)
    if mqtt["plaintext"] and not is_plain:
        check.complain(("mqtt", "plaintext"), f"has no effect with {mqtt['url']}")
