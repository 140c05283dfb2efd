"""One connection to a broker, for the publisher. This module is the agent's only door to paho-mqtt.

paho is driven by the running event loop (its documented ``loop_read``, ``loop_write``,
``loop_misc``), not by a thread of its own: one thread touches the spool, the client and the state,
and no lock is needed. Each connection is a new client, so nothing of a broken one lingers; what
was under way is in the spool. At the broker there is one session, so what is said to us while we
are away waits there.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.deliver.link.access import Access
from agent.deliver.link.trouble import LinkError, Trouble, trouble_of
from agent.errors import FlatwattError

KEEPALIVE_S = 30  # half of what home routers and mobile networks keep a silent connection for
_SILENCE = 1.5  # of the keep-alive without a sign of life: the line is dead
_CONNECT_S = 15.0  # a handshake of TLS over 9600 bit/s with 2 s of delay
_CONNACK_S = 3.0  # an open port that does not answer is no broker, or one of another version
_SLOW_LINE = 4.0  # such a port is waited for as many times as long as it took to connect
_SESSION_S = 7 * 86_400  # a command waits over a long weekend
_RECEIVE_MAXIMUM = 20  # receipts and commands that we let the broker have under way
_PACKET_BYTES = 262_144  # of a receipt or command at most; anything longer is none
_TOPIC_BYTES = 64  # at most, of a packet's head: what a record needs beside its topic and payload
_VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


class Link:
    """One connection to the broker. ``broken`` is done, with an error, when it has ended.

    The error is a :class:`LinkError`, or the one that ``on_ack`` or ``on_message`` raised.
    ``on_ack`` gets the number of a message and the broker's reason code, ``on_message`` topic
    and payload.
    """

    def __init__(self, access: Access, protocol: str, client_id: str) -> None:
        self._access = access
        self._is_new = protocol == "5"
        self._file = -1  # the socket that the loop watches
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._closed = threading.Event()
        self._heard_s = 0.0
        self.broken: asyncio.Future[None] = self._loop.create_future()
        self.receive_maximum = 65_535  # of the broker: unacknowledged messages
        self.packet_bytes = 268_435_455  # of the broker: of one message
        self.on_ack: Callable[[int, int], None] = lambda _number, _reason: None
        self.on_message: Callable[[str, bytes], None] = lambda _topic, _payload: None
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if self._is_new else False,
            protocol=_VERSIONS[protocol],
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_S
        client.username = access.username
        client.password = access.password
        if access.tls is not None:
            client.tls_set_context(access.tls)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_publish = lambda _client, _data, number, reason, _p: self.on_ack(number, reason.value)
        client.on_subscribe = self._subscribed
        client.on_message = lambda _client, _data, message: self._told(message)

    async def open(self, will_topic: str, will: bytes) -> None:
        """Connect and wait for the broker's welcome, else raise :class:`LinkError`."""
        self._client.will_set(will_topic, will, qos=1, retain=True)
        began_s = self._loop.time()
        await self._connect()
        self._heard_s = self._loop.time()
        self._attach()
        patience_s = max(_CONNACK_S, _SLOW_LINE * (self._heard_s - began_s))
        done, _ = await asyncio.wait(
            (self._accepted, self.broken), timeout=patience_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            raise LinkError(f"what listens at {self._access} does not answer as a broker", Trouble.UNANSWERED)
        for future in done:
            future.result()

    async def _connect(self) -> None:
        """Look the name up and connect, in a thread that does not hold up the end of the program."""
        ended: asyncio.Future[Exception | None] = self._loop.create_future()

        def tell(error: Exception | None) -> None:
            if not ended.done():
                ended.set_result(error)

        def connect() -> None:
            error: Exception | None = None
            try:
                self._call_connect()
            except Exception as found:  # noqa: BLE001 - whatever it is, the session waits to hear of it
                error = found.with_traceback(None)  # it holds the socket, which paho does not close
            if self._closed.is_set():
                self._end()
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(tell, error)

        threading.Thread(target=connect, name="connect", daemon=True).start()
        if (error := await ended) is not None:
            raise LinkError(f"no connection to the broker at {self._access}: {_why(error)}")

    def _call_connect(self) -> None:
        host, port = self._access.host, self._access.port
        if not self._is_new:
            self._client.connect(host, port, KEEPALIVE_S)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho types it half
        properties.SessionExpiryInterval = _SESSION_S
        properties.ReceiveMaximum = _RECEIVE_MAXIMUM
        properties.MaximumPacketSize = _PACKET_BYTES
        # Not a clean start: mosquitto keeps no session over its own restart that began with one.
        self._client.connect(host, port, KEEPALIVE_S, clean_start=False, properties=properties)

    def carries(self, topic: str, payload: bytes) -> bool:
        """Tell whether the broker takes a message of this size."""
        return len(topic) + len(payload) + _TOPIC_BYTES <= self.packet_bytes

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Hand over one message at QoS 1; give the number by which ``on_ack`` names it."""
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    def subscribe(self, topic: str) -> None:
        """Ask for a topic; where the broker refuses, the connection ends with the reason."""
        self._client.subscribe(topic, qos=1)

    def tick(self) -> None:
        """Keep the connection alive, or notice that it is not."""
        most_s = _SILENCE * (self._client.keepalive or KEEPALIVE_S)
        if self._loop.time() - self._heard_s > most_s:
            self._break(LinkError(f"the broker gave no sign of life for {most_s:.0f} s"))
        else:
            self._guarded(self._client.loop_misc)

    def close(self) -> None:
        """End it; politely where the line still stands, so the broker does not publish the will."""
        self._closed.set()
        if self._heard_s:
            self._end()
        self._detach()

    def _end(self) -> None:
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_write()

    def _attach(self) -> None:
        client, sock = self._client, self._client.socket()
        if sock is None:  # ended already
            return
        self._file = sock.fileno()
        client.on_socket_close = lambda *_: self._detach()
        client.on_socket_register_write = lambda *_: self._write_when_possible()
        client.on_socket_unregister_write = lambda *_: self._write_no_more()
        self._loop.add_reader(self._file, self._read)
        if client.want_write():
            self._write_when_possible()

    def _write_when_possible(self) -> None:
        if self._file >= 0:
            self._loop.add_writer(self._file, self._guarded, self._client.loop_write)

    def _write_no_more(self) -> None:
        if self._file >= 0:
            self._loop.remove_writer(self._file)

    def _read(self) -> None:
        self._heard_s = self._loop.time()
        self._guarded(self._read_all)

    def _read_all(self) -> None:
        self._client.loop_read()
        while isinstance(sock := self._client.socket(), ssl.SSLSocket) and sock.pending():
            self._client.loop_read()  # decrypted already: the file descriptor will not tell of it again

    def _guarded(self, act: Callable[[], object]) -> None:
        """Let paho work; what it cannot read ends the connection, not the program."""
        try:
            act()
        except FlatwattError as error:  # what we were told could not be noted, as on a full disk
            self._break(error)
        except Exception as error:  # noqa: BLE001 - paho raises whatever its decoders stumble over
            what = f"the broker at {self._access} sent what cannot be read ({type(error).__name__}: {error})"
            self._break(LinkError(what, Trouble.UNANSWERED))

    def _detach(self) -> None:
        if (file := self._file) >= 0:
            self._file = -1
            self._loop.remove_reader(file)
            self._loop.remove_writer(file)

    def _connected(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._break(LinkError(f"the broker refuses us: {str(reason).lower()}", trouble_of(reason.value)))
        elif not self._accepted.done():
            self.receive_maximum = getattr(properties, "ReceiveMaximum", self.receive_maximum)
            self.packet_bytes = getattr(properties, "MaximumPacketSize", self.packet_bytes)
            self._accepted.set_result(None)

    def _subscribed(
        self, _client: mqtt.Client, _data: object, _number: int, reasons: list[ReasonCode], _p: object
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                text = f"the broker does not let us read what is meant for us: {str(reason).lower()}"
                self._break(LinkError(text, Trouble.REFUSED))

    def _disconnected(
        self, _client: mqtt.Client, _data: object, flags: mqtt.DisconnectFlags, reason: ReasonCode, _p: object
    ) -> None:
        trouble = trouble_of(reason.value)
        why = (
            str(reason).lower() if flags.is_disconnect_packet_from_server or trouble is not Trouble.LOST else "it broke"
        )
        if not self._accepted.done() and trouble is Trouble.LOST:
            trouble = Trouble.UNANSWERED
        text = f"the connection to the broker ended: {why}"
        if trouble is Trouble.UNANSWERED and self._access.tls is not None:
            text += " (so does one that does not accept our certificate)"
        self._break(LinkError(text, trouble))

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


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved: {error.strerror}"
    if isinstance(error, TimeoutError):
        return "no answer"
    return getattr(error, "strerror", None) or str(error)
