"""Hundreds of gateways in one process: each a bare MQTT 3.1.1 connection that publishes and waits for its receipt."""

import asyncio
import time
from collections.abc import Sequence

from agent.deliver import wire
from tests.collector.gateway import FakeGateway
from tests.faults.mqtt_stream import acknowledgement, packet_size

_CONNECT, _SUBSCRIBE, _PUBLISH, _RETAIN, _QOS1 = 0x10, 0x82, 0x30, 0x01, 0x02
_PATIENCE_S = 90.0


def packet(head: int, body: bytes) -> bytes:
    """Frame a packet.

    >>> packet(0x10, bytes(200))[:3].hex()
    '10c801'
    """
    length, left = b"", len(body)
    while True:
        left, low = left >> 7, left & 0x7F
        length += bytes([low | (0x80 if left else 0)])
        if not left:
            return bytes([head]) + length + body


def text(words: str) -> bytes:
    """Write a string as MQTT does."""
    return len(words.encode()).to_bytes(2, "big") + words.encode()


class Member:
    """One gateway of the fleet, with a status and five windows to tell."""

    def __init__(self, name: str) -> None:
        self._gateway = FakeGateway(name)
        self._messages = [self._gateway.status(), *self._gateway.windows(5)]

    async def report(self, port: int) -> float:
        """Connect, publish everything, and give the seconds until the receipt that covers it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        name = self._gateway.gateway
        writer.write(packet(_CONNECT, text("MQTT") + bytes((4, 2, 0, 60)) + text(name)))
        writer.write(packet(_SUBSCRIBE, b"\0\1" + text(wire.topic(name, "receipt")) + b"\1"))
        began_s = time.monotonic()
        for number, (topic, payload) in enumerate(self._messages, start=2):
            head = _PUBLISH | _QOS1 | (_RETAIN if topic.endswith("status") else 0)
            writer.write(packet(head, text(topic) + number.to_bytes(2, "big") + payload))
        try:
            await self._receipt(reader, writer)
        finally:
            writer.close()
        return time.monotonic() - began_s

    async def _receipt(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept = b""
        while data := await reader.read(4096):
            kept += data
            while (size := packet_size(kept)) and len(kept) >= size:
                one, kept = kept[:size], kept[size:]
                if one[0] & 0xF0 != _PUBLISH:
                    continue
                writer.write(acknowledgement(one))
                receipt = wire.decode(one[one.index(b"{") :])
                if isinstance(receipt, wire.ReceiptMessage) and receipt.through == self._gateway.seq:
                    return
        raise AssertionError(f"{self._gateway.gateway}: the broker hung up before the receipt")


async def all_at_once(fleet: Sequence[Member], port: int) -> list[float]:
    """Let all report at the same moment; give how long each waited."""
    async with asyncio.timeout(_PATIENCE_S):
        return await asyncio.gather(*(member.report(port) for member in fleet))
