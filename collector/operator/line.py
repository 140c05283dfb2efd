"""One conversation over the broker: a command goes out, the replies to it come back."""

import queue
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from agent.deliver import wire
from agent.errors import EvidenceError, FlatwattError
from collector.broker_access import BrokerAccess, parse_url, tls_context
from collector.operator.capture import is_whole

_ANSWER_S = 5.0  # brokers answer in milliseconds, or (those of MQTT 3.1.1, to version 5) not at all
_NO_SUBSCRIBERS = 0x10  # the gateway is away; the command is retained for it
_KEEPALIVE_S = 30
_PAYLOAD_BYTES = 262_144  # as the collector's: a status of 100 meters has 20,000

Event = tuple[str, object]


@dataclass(slots=True)
class Answers:
    """What came back: the gateway's last status, and its replies to this command."""

    status: wire.Status | None = None
    replies: list[wire.Reply] = field(default_factory=list)


def converse(access: BrokerAccess, gateway: str, counter: int, command: bytes, wait_s: float) -> Answers:
    """Publish a command, retained, and gather the replies to it for at most ``wait_s``.

    Raises :class:`FlatwattError` where the broker does not take it.
    """
    with _connected(access) as (client, events):
        _subscribe(client, events, wire.topic(gateway, "reply"), wire.topic(gateway, "status"))
        client.publish(wire.topic(gateway, "command"), command, qos=1, retain=True)
        answers = Answers()
        give_up_s = time.monotonic() + _ANSWER_S
        is_taken = False
        while (left_s := give_up_s - time.monotonic()) > 0 and not is_whole(answers.replies):
            kind, what = _next(events, left_s)
            if kind == "message":
                _note(answers, what, counter)
            elif kind == "published":
                _check_taken(what)
                is_taken, give_up_s = True, time.monotonic() + wait_s
            elif kind == "lost":
                raise FlatwattError(f"the connection to {access.url} ended: {what}")
        if not is_taken:
            raise FlatwattError(f"{access.url} did not acknowledge the command within {_ANSWER_S:.0f} s")
        return answers


@contextmanager
def _connected(access: BrokerAccess) -> Iterator[tuple[mqtt.Client, "queue.SimpleQueue[Event]"]]:
    """Connect with MQTT 5, which tells who is denied what, else with 3.1.1."""
    why: object = ""
    for version in (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311):
        client, events = _client(access, version)
        host, port, _ = parse_url(access.url)
        try:
            client.connect(host, port, _KEEPALIVE_S)
        except (OSError, ValueError) as error:
            raise FlatwattError(
                f"{access.url} cannot be reached: {getattr(error, 'strerror', None) or error}"
            ) from None
        client.loop_start()
        try:
            kind, why = _next(events, _ANSWER_S)
            if kind == "connected":
                yield client, events
                return
        finally:
            client.disconnect()
            client.loop_stop()
    raise FlatwattError(f"{access.url} does not let us in: {why}; see --username, --cert-file")


def _client(access: BrokerAccess, version: MQTTProtocolVersion) -> tuple[mqtt.Client, "queue.SimpleQueue[Event]"]:
    """Make a client whose callbacks, on paho's thread, put what happens into a queue."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    name = f"flatwatt-operator-{secrets.token_hex(4)}"
    client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=version, reconnect_on_failure=False)
    client.connect_timeout = _ANSWER_S
    if access.username is not None:
        client.username_pw_set(access.username, access.password)
    if parse_url(access.url)[2]:
        client.tls_set_context(tls_context(access))
    client.on_connect = lambda _c, _d, _f, reason, _p: events.put(
        ("refused" if reason.is_failure else "connected", reason)
    )
    client.on_subscribe = lambda _c, _d, _m, reasons, _p: events.put(("subscribed", reasons))
    client.on_publish = lambda _c, _d, _m, reason, _p: events.put(("published", reason))
    client.on_disconnect = lambda _c, _d, _f, reason, _p: events.put(("lost", reason))
    client.on_message = lambda _c, _d, message: events.put(("message", bytes(message.payload)))
    return client, events


def _next(events: "queue.SimpleQueue[Event]", timeout_s: float) -> Event:
    try:
        return events.get(timeout=timeout_s)
    except queue.Empty:
        return "silence", "no answer"


def _subscribe(client: mqtt.Client, events: "queue.SimpleQueue[Event]", *topics: str) -> None:
    client.subscribe([(topic, 1) for topic in topics])
    kind, what = _next(events, _ANSWER_S)
    if kind != "subscribed" or (isinstance(what, list) and any(reason.is_failure for reason in what)):
        raise FlatwattError(f"the broker does not let us read {' and '.join(topics)}: {what}; see its access rules")


def _check_taken(reason: object) -> None:
    if isinstance(reason, ReasonCode) and reason.is_failure and reason.value != _NO_SUBSCRIBERS:
        raise FlatwattError(f"the broker does not take the command: {reason}; see its access rules")


def _note(answers: Answers, payload: object, counter: int) -> None:
    """Keep a reply to our command, once, and the status; whatever else comes is none of ours."""
    if not isinstance(payload, bytes) or len(payload) > _PAYLOAD_BYTES:
        return
    try:
        message = wire.decode(payload)
    except EvidenceError:
        return
    if isinstance(message, wire.Status):
        answers.status = message
    if isinstance(message, wire.Reply) and message.counter == counter:
        known = {(reply.stream, reply.seq) for reply in answers.replies}
        if (message.stream, message.seq) not in known:
            answers.replies.append(message)
