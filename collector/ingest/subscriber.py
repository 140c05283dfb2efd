"""The collector's MQTT side, the one place of the collector that knows paho-mqtt.

A message is acknowledged to the broker by whoever received it, after the commit, never by the
library. One client object lives as long as one connection: packet ids of an old connection
cannot acknowledge anything on a new one, and receipts that were under way are not resent stale.
What a broker sends that paho cannot read ends the connection, never the collector's hearing.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.deliver import wire
from collector.broker_access import BrokerAccess, parse_url, tls_context, why

KEEPALIVE_S = 20  # paho notices a dead line within twice this
SESSION_S = 7 * 86_400  # the broker queues for us over a long weekend; what it drops, the spools send again
RECEIVE_MAXIMUM = 500  # unacknowledged messages that the broker may have under way: one commit's worth
PACKET_MOST = 2**20  # bytes, four times the largest message: a broker drops what would only fill our memory
CONNECT_S = 15.0  # a handshake of TLS over a slow line
ANSWER_S = 2.0  # brokers answer in milliseconds, or (amqtt, to MQTT 5) not at all: those get 3.1.1
SLOW_LINE = 4.0  # an answer is waited for as many times as long as it took to connect
BACKOFF_FIRST_S, BACKOFF_MOST_S = 0.5, 30.0  # full jitter: a fleet must not come back in step
STEADY_S = 60.0  # only a connection that lived so long resets the back-off: others were let in and thrown out
TOPICS = f"{wire.ROOT}/+/up/#"
UNSUPPORTED_VERSION, PROTOCOL_ERROR, TAKEN_OVER = 0x84, 0x82, 0x8E  # reason codes of MQTT 5 (2.4)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message, with the way to acknowledge it to the broker."""

    topic: str
    payload: bytes
    acknowledge: Callable[[], None]


class Subscriber:
    """A connection to the broker that comes back by itself.

    ``received`` is called for each message, ``connected`` once per connection, as soon as it is
    subscribed, and ``lost`` when it ends; all from this object's own threads.
    """

    def __init__(
        self,
        access: BrokerAccess,
        received: Callable[[Delivery], None],
        connected: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self._access = access
        self._host, self._port, tls = parse_url(access.url)
        self._tls = tls_context(access) if tls else None
        self._received = received
        self._connected = connected
        self._lost = lost
        self._version = MQTTProtocolVersion.MQTTv5
        self._client: mqtt.Client | None = None
        self._answered = threading.Event()  # this connection got its CONNACK, whatever it says
        self._over = threading.Event()  # this connection ended
        self._accepted = False  # its CONNACK let us in
        self._refused = False  # it kept us out, or from subscribing, for another reason than the version
        self._taken_over = False  # somebody else connected with our client id
        self._reported = ""  # the last trouble logged: an absent broker is one line, not one per attempt
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="subscriber", daemon=True)

    def start(self) -> None:
        """Connect, now or as soon as the broker is there."""
        self._thread.start()

    def stop(self) -> None:
        """Disconnect politely; the broker keeps the session."""
        self._stopping.set()
        self._over.set()
        if client := self._client:
            client.disconnect()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish retained at QoS 1. Without a connection it is dropped: ``connected`` publishes all again."""
        if (client := self._client) and self._accepted:
            client.publish(topic, payload, qos=1, retain=True)

    def _run(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            lived_s = self._connect_once()
            attempt = 0 if lived_s >= STEADY_S else attempt + 1
            self._stopping.wait(self._pause_s(attempt))

    def _pause_s(self, attempt: int) -> float:
        """Give how long to stay away: long where an operator must act, or where two would throw each other out."""
        if self._refused or self._taken_over:
            return random.uniform(0.5, 1.0) * BACKOFF_MOST_S  # noqa: S311 - jitter is no secret
        most_s = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2 ** min(attempt, 10))
        return random.uniform(0, most_s)  # noqa: S311 - jitter is no secret

    def _connect_once(self) -> float:
        """Connect and serve the connection until it ends; give for how many seconds it lived."""
        self._accepted = self._refused = self._taken_over = False
        self._answered.clear()
        self._over.clear()
        self._client = client = self._new_client()
        began_s = time.monotonic()
        try:
            if self._version == MQTTProtocolVersion.MQTTv5:
                client.connect(self._host, self._port, KEEPALIVE_S, clean_start=False, properties=_session())
            else:
                client.connect(self._host, self._port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            self._report(f"broker {self._access.url} cannot be reached: {why(error)}; trying again until it answers")
            return 0.0
        connected_s = time.monotonic()
        serving = threading.Thread(target=self._serve, args=(client,), name="broker", daemon=True)
        serving.start()
        if self._answered.wait(max(ANSWER_S, SLOW_LINE * (connected_s - began_s))) and not self._stopping.is_set():
            self._over.wait()
        client.disconnect()
        serving.join()
        self._lost()
        if not self._accepted and not self._refused and not self._stopping.is_set():
            self._speak_another_version()
        return time.monotonic() - connected_s if self._accepted else 0.0

    def _serve(self, client: mqtt.Client) -> None:
        """Let paho read and write until the connection ends. Only this thread touches the socket."""
        try:
            while client.loop() == mqtt.MQTT_ERR_SUCCESS:
                pass
        except Exception as error:  # noqa: BLE001 - paho raises whatever its decoders stumble over
            what = f"{type(error).__name__}: {error}"
            self._report(f"broker {self._access.url} sent what cannot be read ({what}); trying MQTT 3.1.1")
            self._version = MQTTProtocolVersion.MQTTv311  # it has no properties, and these are what it stumbles over
        finally:
            self._answered.set()
            self._over.set()

    def _speak_another_version(self) -> None:
        """Brokers of MQTT 3.1.1 refuse version 5 in three ways: they say so, hang up, or say nothing at all."""
        old = self._version == MQTTProtocolVersion.MQTTv5
        self._version = MQTTProtocolVersion.MQTTv311 if old else MQTTProtocolVersion.MQTTv5
        self._report(f"broker {self._access.url} did not accept MQTT {'5; trying 3.1.1' if old else '3.1.1; trying 5'}")

    def _new_client(self) -> mqtt.Client:
        old = self._version != MQTTProtocolVersion.MQTTv5
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._access.client_id,
            clean_session=False if old else None,
            protocol=self._version,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_S
        client.on_socket_register_write = lambda *_: None  # else `publish` itself writes to the socket
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        if self._access.username is not None:
            client.username_pw_set(self._access.username, self._access.password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        return client

    def _on_connect(
        self, client: mqtt.Client, _data: object, _flags: mqtt.ConnectFlags, reason: ReasonCode, _props: object
    ) -> None:
        self._refused = reason.is_failure and reason.value != UNSUPPORTED_VERSION
        self._accepted = not reason.is_failure
        if self._refused:
            self._report(f"broker {self._access.url} refuses the connection: {reason}; see --username, --cert-file")
        if self._accepted:
            client.subscribe(TOPICS, qos=1)
        self._answered.set()

    def _on_subscribe(
        self, client: mqtt.Client, _data: object, _mid: int, reasons: list[ReasonCode], _props: object
    ) -> None:
        """Only now does the broker keep for us what is published."""
        if reasons[0].is_failure:
            self._accepted, self._refused = False, True
            self._report(
                f"broker {self._access.url} refuses to let us read {TOPICS}: {reasons[0]}; see its access rules"
            )
            client.disconnect()
            return
        self._reported = ""
        _log.info("connected to %s, subscribed to %s", self._access.url, TOPICS)
        self._connected()

    def _on_disconnect(
        self, _client: mqtt.Client, _data: object, _flags: mqtt.DisconnectFlags, reason: ReasonCode, _props: object
    ) -> None:
        self._taken_over = reason.value == TAKEN_OVER
        if self._taken_over:
            why = "another collector runs with the key of this one; end one of them"
            self._report(f"broker {self._access.url} ended the connection: {why}")
        elif self._accepted and not self._stopping.is_set():
            self._report(f"connection to broker {self._access.url} lost ({reason}); connecting again")
        if self._accepted and reason.value == PROTOCOL_ERROR:
            # A property of somebody's message that paho cannot read would come again and again; 3.1.1 has none.
            self._version = MQTTProtocolVersion.MQTTv311
        self._answered.set()
        self._over.set()

    def _on_message(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        mid, qos = message.mid, message.qos

        def acknowledge() -> None:
            client.ack(mid, qos)

        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(not UTF-8)"
        self._received(Delivery(topic, bytes(message.payload), acknowledge))

    def _report(self, trouble: str) -> None:
        if trouble != self._reported and not self._stopping.is_set():
            self._reported = trouble
            _log.warning("%s", trouble)


def _session() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho types it half
    properties.SessionExpiryInterval = SESSION_S
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = PACKET_MOST
    return properties
