"""A broker that answers as a test tells it to: with any reason code, with nonsense, or not at all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

CONNECT, PUBLISH, SUBSCRIBE, PING, DISCONNECT = 1, 3, 8, 12, 14  # packet types of MQTT

Answer = Callable[[int, bytes], bytes | None]


def packet(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    """Give a packet of less than 128 bytes."""
    return bytes([kind << 4 | flags, len(body)]) + body


def welcome(reason: int = 0, properties: bytes = b"") -> bytes:
    """Give a CONNACK of MQTT 5."""
    return packet(2, bytes([0, reason, len(properties)]) + properties)


def puback(number: bytes, reason: int = 0) -> bytes:
    """Give a PUBACK of MQTT 5."""
    return packet(4, number + bytes([reason]))


def number_of(publish: bytes) -> bytes:
    """Give the packet identifier of a PUBLISH at QoS 1."""
    after = 2 + int.from_bytes(publish[:2], "big")
    return publish[after : after + 2]


def polite(kind: int, body: bytes) -> bytes | None:
    """Answer as a broker should."""
    if kind == CONNECT:
        return welcome()
    if kind == PUBLISH:
        return puback(number_of(body))
    if kind == SUBSCRIBE:
        return packet(9, body[:2] + b"\x00\x01")
    return packet(13) if kind == PING else None


class Scripted:
    """Its ``packets`` are what came, by connection; ``answer`` gives what goes back, b"" to hang up."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.packets: list[list[tuple[int, bytes]]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        came: list[tuple[int, bytes]] = []
        self.packets.append(came)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readexactly(1))[0]
                size, shift = 0, 0
                while True:
                    byte = (await reader.readexactly(1))[0]
                    size |= (byte & 127) << shift
                    shift += 7
                    if not byte & 128:
                        break
                came.append((head >> 4, await reader.readexactly(size)))
                answer = self.answer(*came[-1])
                if answer == b"":
                    break
                writer.write(answer or b"")
                if answer and answer[0] >> 4 == DISCONNECT:
                    break
        writer.close()


@contextlib.asynccontextmanager
async def scripted(answer: Answer = polite) -> AsyncIterator[Scripted]:
    """Run such a broker."""
    broker = Scripted(answer)
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.url = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield broker
    finally:
        server.close()
