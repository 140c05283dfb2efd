"""Takes a stream of MQTT packets apart, so that a proxy can drop, repeat or reorder the receipts in it."""

from collections.abc import Callable

Judge = Callable[[bytes], list[bytes]]  # a whole PUBLISH packet -> the packets that go on in its place

_PUBLISH = 3  # packet type, the upper half of the first byte


class PublishFilter:
    """Rewrites a broker's stream to a client: each PUBLISH on ``topic_part`` is handed to ``judge``."""

    def __init__(self, topic_part: str, judge: Judge) -> None:
        self._topic_part = topic_part.encode()
        self._judge = judge
        self._kept = b""

    def __call__(self, data: bytes) -> bytes:
        """Give what goes on of these bytes and of what was kept; a packet that is not whole yet is kept."""
        self._kept += data
        out = b""
        while (size := packet_size(self._kept)) and len(self._kept) >= size:
            packet, self._kept = self._kept[:size], self._kept[size:]
            out += b"".join(self._judge(packet)) if self._is_ours(packet) else packet
        return out

    def _is_ours(self, packet: bytes) -> bool:
        return packet[0] >> 4 == _PUBLISH and self._topic_part in topic(packet)


def acknowledgement(packet: bytes) -> bytes:
    """Give the PUBACK that answers a PUBLISH of QoS 1.

    >>> acknowledgement(bytes([0x32, 7, 0, 3]) + b"a/b" + bytes([1, 2])).hex()
    '40020102'
    """
    start = next(place for place in range(1, 5) if not packet[place] & 0x80) + 1
    end = start + 2 + len(topic(packet))
    return bytes((0x40, 2)) + packet[end : end + 2]


def packet_size(data: bytes) -> int:
    """Give the length of the packet that begins here, 0 where its header is not whole.

    >>> packet_size(bytes([0x30, 0x02, 0, 0])), packet_size(bytes([0x30, 0x80, 0x01])), packet_size(b"0")
    (4, 131, 0)
    """
    length, shift = 0, 0
    for place, byte in enumerate(data[1:5], start=1):
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return 1 + place + length
    return 0


def topic(packet: bytes) -> bytes:
    """Give the topic of a PUBLISH.

    >>> topic(bytes([0x30, 5, 0, 3]) + b"a/b")
    b'a/b'
    """
    start = next(place for place in range(1, 5) if not packet[place] & 0x80) + 1
    length = int.from_bytes(packet[start : start + 2], "big")
    return packet[start + 2 : start + 2 + length]
