"""A small collector for the tests of the delivery: remembers what arrives and signs receipts, or keeps silent."""

import itertools
import threading
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion

from agent.deliver import chain, wire
from agent.deliver.spool.spool import Spool

GATEWAY = "campus-01"


def event(stream: str, seq: int, text: str = "") -> bytes:
    """Make the payload of an event."""
    return wire.encode(
        wire.Event(
            v=1, kind="event", stream=stream, seq=seq, meter=None, event="test", time_s=0, text=text, data={"n": seq}
        )
    )


def fill(spool: Spool, count: int, kinds: Sequence[str] = ("event",)) -> None:
    """Append ``count`` records in one batch, of these kinds in turn."""
    with spool.batch() as batch:
        for index in range(count):
            kind = kinds[index % len(kinds)]
            batch.add(kind, wire.topic(spool.gateway, kind), event(batch.stream, batch.next_seq))


def receipt(
    through: int,
    head: bytes,
    *,
    stream: str,
    missing: Iterable[tuple[int, int]] = (),
    time_s: int = 1,
    key: ec.EllipticCurvePrivateKey,
) -> bytes:
    """Make a signed receipt."""
    ranges = list(missing)
    text = chain.receipt_text(GATEWAY, stream, through, ranges, head.hex(), time_s)
    return wire.encode(
        wire.ReceiptMessage(
            v=1,
            kind="receipt",
            gateway=GATEWAY,
            stream=stream,
            through=through,
            missing=ranges,
            head=head.hex(),
            time_s=time_s,
            public_key=chain.public_text(key),
            sig=chain.sign(key, text),
        )
    )


class Centre:
    """Subscribes to everything of one gateway. ``every``: one receipt after so many records; 0 keeps silent."""

    def __init__(self, port: int, *, every: int = 1, deaf_to: Iterable[int] = ()) -> None:
        self.records: dict[int, bytes] = {}
        self.order: list[int] = []
        self.states: list[str] = []
        self.key = chain.new_key()
        self.every = every
        self._deaf_to = set(deaf_to)  # loses each of these once, as a broker does
        self._through = 0
        self._head = b""
        self._stream = ""
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._store
        self._client.connect("127.0.0.1", port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, _type: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _subscribe(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe(f"flatwatt/v1/{GATEWAY}/up/#", qos=1)

    def _store(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        record = wire.decode(bytes(message.payload))
        if isinstance(record, wire.Status):
            self.states.append(record.state)
            return
        assert not isinstance(record, wire.ReceiptMessage | wire.Command)
        if record.seq in self._deaf_to:
            self._deaf_to.discard(record.seq)
            return
        self._stream = record.stream
        self.records[record.seq] = bytes(message.payload)
        self.order.append(record.seq)
        if self.every and len(self.order) % self.every == 0:
            self.send_receipt()

    def send_receipt(self) -> None:
        """Confirm what is here without a gap, and name the gaps above it."""
        self._head = self._head or chain.first_head(GATEWAY, self._stream)
        while (payload := self.records.get(self._through + 1)) is not None:
            self._through += 1
            self._head = chain.next_head(self._head, payload)
        payload = receipt(self._through, self._head, stream=self._stream, missing=self._missing(), key=self.key)
        self.publish_receipt(payload)

    def publish_receipt(self, payload: bytes) -> None:
        """Send any bytes where receipts are expected."""
        self._client.publish(wire.topic(GATEWAY, "receipt"), payload, qos=1, retain=True)

    def publish_command(self, payload: bytes) -> None:
        """Send any bytes where commands are expected."""
        self._client.publish(wire.topic(GATEWAY, "command"), payload, qos=1, retain=True)

    def _missing(self) -> list[tuple[int, int]]:
        above = [self._through, *sorted(seq for seq in self.records if seq > self._through)]
        return [(low + 1, high - 1) for low, high in itertools.pairwise(above) if high - low > 1]
