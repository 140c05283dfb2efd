"""Does a broker keep its rules? Tried as a gateway that nobody enrolled, with a certificate of some minutes.

Without a file of rules everybody may say everything, with an old mosquitto and an empty file too (CVE-2018-12550),
and nothing else would show it.
"""

import ssl
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from agent.deliver import wire
from agent.errors import FlatwattError

_ANSWER_S = 5.0  # a broker answers in milliseconds
_LISTEN_S = 0.5  # what is retained comes at once
_OTHER = "another-gateway"


@dataclass(slots=True)
class _Visit:
    """What one connection brought."""

    let_in: bool | None = None
    taken: bool | None = None  # the message that was published
    heard: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A gateway called ``name``, as far as the broker can tell."""

    host: str
    port: int
    name: str
    tls: ssl.SSLContext
    stranger: ssl.SSLContext  # without a certificate

    def findings(self) -> Iterator[tuple[str, bool]]:
        """Give what was tried, and whether the broker did as it must."""
        own, other = wire.topic(self.name, "status"), wire.topic(_OTHER, "status")
        yield "a gateway speaks as itself", self._visit(self.tls, publish=own).taken is True
        yield "nobody comes in without a certificate", self._visit(self.stranger).let_in is not True
        for what, topic in {
            "a gateway does not speak as another": other,
            "a gateway gives no receipts": wire.topic(_OTHER, "receipt"),
            "a gateway gives no commands, not even to itself": wire.topic(self.name, "command"),
        }.items():
            yield what, self._visit(self.tls, publish=topic).taken is not True
        yield "a gateway does not hear others", not self._visit(self.tls, listen=f"{wire.ROOT}/#").heard
        yield "a gateway does not hear the broker's figures", not self._visit(self.tls, listen="$SYS/#").heard

    def _visit(self, tls: ssl.SSLContext, publish: str = "", listen: str = "") -> _Visit:
        visit = _Visit()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, self.name, protocol=MQTTProtocolVersion.MQTTv5)
        client.tls_set_context(tls)

        def connected(_c: mqtt.Client, _d: object, _f: mqtt.ConnectFlags, reason: ReasonCode, _p: object) -> None:
            visit.let_in = not reason.is_failure
            if publish:
                client.publish(publish, b"", qos=1)
            if listen:
                client.subscribe(listen, qos=1)

        def published(_c: mqtt.Client, _d: object, _m: int, reason: ReasonCode, _p: object) -> None:
            visit.taken = not reason.is_failure

        client.on_connect, client.on_publish = connected, published
        client.on_message = lambda _c, _d, message: visit.heard.append(message.topic)
        try:
            client.connect(self.host, self.port)
            self._wait(client, visit, publish, listen)
        except ssl.SSLError:  # it ends the handshake: no certificate, or one that it does not know
            visit.let_in = False
        except OSError as error:
            raise FlatwattError(f"no connection to the broker at {self.host}:{self.port}: {error}") from None
        finally:
            client.disconnect()
        return visit

    def _wait(self, client: mqtt.Client, visit: _Visit, publish: str, listen: str) -> None:
        """Serve the connection until all is known, or it ends."""
        until_s = time.monotonic() + (_LISTEN_S if listen else _ANSWER_S)
        while time.monotonic() < until_s:
            known = visit.taken is not None if publish else bool(visit.heard) if listen else visit.let_in is not None
            if known or client.loop(0.1) != mqtt.MQTT_ERR_SUCCESS:
                return


def contexts(ca_file: Path, key: bytes, certificate: bytes) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Give the TLS of one who shows this certificate, and of one who shows none."""
    tls, stranger = (ssl.create_default_context(cafile=str(ca_file)) for _ in range(2))
    with tempfile.NamedTemporaryFile() as file:  # ssl reads files only; it has mode 0600
        file.write(key + certificate)
        file.flush()
        tls.load_cert_chain(file.name)
    return tls, stranger
