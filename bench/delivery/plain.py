"""What a good citizen does with paho-mqtt alone: QoS 1, a durable subscriber, every PUBACK awaited."""

import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

TOPIC = "plain/readings"
_SESSION_S = 86_400
_ACK_S = 60.0  # for all acknowledgements
_QUIET_S = 3.0  # nothing for so long: the broker has nothing more


def publish(port: int, messages: int) -> dict[str, int]:
    """Publish and wait for every PUBACK; give how many came, by their reason."""
    reasons: dict[str, int] = {}
    done = threading.Event()

    def acknowledged(_c: mqtt.Client, _d: object, _mid: int, reason: ReasonCode, _p: object) -> None:
        reasons[str(reason)] = reasons.get(str(reason), 0) + 1
        if sum(reasons.values()) == messages:
            done.set()

    client = _client("plain-publisher")
    client.on_publish = acknowledged
    client.connect("127.0.0.1", port)
    client.loop_start()
    for number in range(messages):
        client.publish(TOPIC, str(number), qos=1)
    done.wait(_ACK_S)
    client.disconnect()
    client.loop_stop()
    return reasons


def subscribe(port: int, *, clean_start: bool) -> None:
    """Make a durable session that is subscribed, and leave it."""
    subscribed = threading.Event()
    client = _client("plain-subscriber")
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_connect = _ask
    _connect(client, port, clean_start=clean_start)
    client.loop_start()
    if not subscribed.wait(10):
        raise RuntimeError("the plain subscriber was not let in")
    client.disconnect()
    client.loop_stop()


def receive(port: int) -> tuple[int, int]:
    """Come back to the session, subscribing again; give how many messages came, and how many different ones."""
    came: list[bytes] = []
    last_s = [time.monotonic()]

    def received(_c: mqtt.Client, _d: object, message: mqtt.MQTTMessage) -> None:
        came.append(bytes(message.payload))
        last_s[0] = time.monotonic()

    client = _client("plain-subscriber")
    client.on_message = received
    client.on_connect = _ask
    _connect(client, port, clean_start=False)
    client.loop_start()
    while time.monotonic() - last_s[0] < _QUIET_S:
        time.sleep(0.1)
    client.disconnect()
    client.loop_stop()
    return len(came), len(set(came))


def _client(name: str) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
    client.max_queued_messages_set(0)
    return client


def _connect(client: mqtt.Client, port: int, *, clean_start: bool) -> None:
    session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho types it half
    session.SessionExpiryInterval = _SESSION_S
    client.connect("127.0.0.1", port, clean_start=clean_start, properties=session)


def _ask(client: mqtt.Client, *_: object) -> None:
    client.subscribe(TOPIC, qos=1)
