"""One connection to a broker, for the publisher. This module is the agent's only door to paho-mqtt.

paho is driven by the running event loop (its documented ``loop_read``, ``loop_write``,
``loop_misc``), not by a thread of its own: one thread touches the spool, the client and the state,
and no lock is needed. Each connection is a new client, so nothing of a broken one lingers; what
was under way is in the spool.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from agent.config import MqttConfig
from agent.errors import FlatwattError, InputError

_KEEPALIVE_S = 30  # a dead line is noticed within twice this
_CONNECT_S = 2.0  # a connection that is under way holds up the end of the program for so long
_CONNACK_S = 3.0  # an open port that does not answer is no broker, or one of another version
_NO_SUBSCRIBERS = 0x10  # reason code of MQTT 5: taken, and nobody listens
_VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


class LinkError(FlatwattError):
    """The connection could not be made, or broke. ``unanswered``: perhaps a broker of another protocol version."""

    def __init__(self, text: str, *, unanswered: bool = False) -> None:
        super().__init__(text)
        self.unanswered = unanswered


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
                password = config.password_file.read_text().strip()
            except OSError as error:
                raise InputError(f"mqtt.password_file: {config.password_file}: {error.strerror}") from None
            except UnicodeDecodeError:
                raise InputError(f"mqtt.password_file: {config.password_file}: not UTF-8 text") from None
        return cls(url.hostname, port or (8883 if tls else 1883), tls, config.username, password)


def _tls_context(config: MqttConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
        if config.cert_file is not None:
            context.load_cert_chain(config.cert_file, config.key_file)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"mqtt.ca_file, cert_file or key_file cannot be used: {error}") from None
    return context


class Link:
    """One connection to the broker. ``broken`` is done, with an error, when it has ended.

    The error is a :class:`LinkError`, or the one that ``on_ack`` or ``on_message`` raised.
    """

    def __init__(self, access: Access, protocol: str, client_id: str) -> None:
        self._access = access
        self._file = -1  # the socket that the loop watches
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self.broken: asyncio.Future[None] = self._loop.create_future()
        self.on_ack: Callable[[int, bool], None] = lambda _mid, _reached: None
        self.on_message: Callable[[str, bytes], None] = lambda _topic, _payload: None
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=_VERSIONS[protocol], reconnect_on_failure=False
        )
        client.connect_timeout = _CONNECT_S
        client.username = access.username
        client.password = access.password
        if access.tls is not None:
            client.tls_set_context(access.tls)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_publish = self._published
        client.on_message = lambda _client, _data, message: self._told(message)

    async def open(self, will_topic: str, will: bytes) -> None:
        """Connect and wait for the broker's welcome, else raise :class:`LinkError`."""
        self._client.will_set(will_topic, will, qos=1, retain=True)
        try:
            await asyncio.to_thread(self._client.connect, self._access.host, self._access.port, _KEEPALIVE_S)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
            raise LinkError(f"no connection to the broker at {self._access}: {reason}") from None
        self._attach()
        done, _ = await asyncio.wait(
            (self._accepted, self.broken), timeout=_CONNACK_S, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            raise LinkError(f"what listens at {self._access} does not answer as a broker", unanswered=True)
        for future in done:
            future.result()

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Hand over one message at QoS 1; give the number by which ``on_ack`` names it."""
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    def subscribe(self, topic: str) -> None:
        """Ask for a topic."""
        self._client.subscribe(topic, qos=1)

    def tick(self) -> None:
        """Keep the connection alive, or notice that it is not."""
        self._client.loop_misc()

    def close(self) -> None:
        """End it; politely where the line still stands, so the broker does not publish the will."""
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_write()
        self._detach()

    def _attach(self) -> None:
        client, socket = self._client, self._client.socket()
        if socket is None:  # ended already
            return
        self._file = socket.fileno()
        client.on_socket_close = lambda *_: self._detach()
        client.on_socket_register_write = lambda *_: self._write_when_possible()
        client.on_socket_unregister_write = lambda *_: self._write_no_more()
        self._loop.add_reader(self._file, self._read)
        if client.want_write():
            self._write_when_possible()

    def _write_when_possible(self) -> None:
        if self._file >= 0:
            self._loop.add_writer(self._file, self._client.loop_write)

    def _write_no_more(self) -> None:
        if self._file >= 0:
            self._loop.remove_writer(self._file)

    def _read(self) -> None:
        try:
            self._client.loop_read()
            while isinstance(socket := self._client.socket(), ssl.SSLSocket) and socket.pending():
                self._client.loop_read()  # decrypted already: the file descriptor will not tell of it again
        except FlatwattError as error:  # what we were told could not be noted, as on a full disk
            self._break(error)

    def _detach(self) -> None:
        if (file := self._file) >= 0:
            self._file = -1
            self._loop.remove_reader(file)
            self._loop.remove_writer(file)

    def _connected(self, _client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _p: object) -> None:
        if reason.is_failure:
            unsupported = reason == "Unsupported protocol version"
            self._break(LinkError(f"the broker refuses us: {str(reason).lower()}", unanswered=unsupported))
        elif not self._accepted.done():
            self._accepted.set_result(None)

    def _disconnected(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _p: object
    ) -> None:
        unanswered = not self._accepted.done()
        self._break(LinkError(f"the connection to the broker ended: {str(reason).lower()}", unanswered=unanswered))

    def _published(self, _client: mqtt.Client, _data: object, mid: int, reason: ReasonCode, _p: object) -> None:
        self.on_ack(mid, not reason.is_failure and reason.value != _NO_SUBSCRIBERS)

    def _told(self, message: mqtt.MQTTMessage) -> None:
        """Hand a message on; we asked for topics in ASCII, so one that is not even UTF-8 is none of them."""
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self.on_message(topic, bytes(message.payload))

    def _break(self, error: FlatwattError) -> None:
        if not self.broken.done():
            self.broken.set_exception(error)
            self.broken.exception()  # looked at: an unobserved end is no news
