"""Modbus frames, TCP and RTU: bytes from a client into requests, replies into bytes.

Sources: Modbus Messaging on TCP/IP V1.0b, 3.1; Modbus over Serial Line V1.02, 2.5.1.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MBAP = struct.Struct(">HHHB")
_MAX_FRAME = 260  # bytes, by the specification of Modbus TCP
_READ_FRAME = 8  # unit, function, address, count, checksum


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a reply: the protocol data unit, whom it concerns, and on TCP its transaction."""

    unit: int
    pdu: bytes
    transaction: int = 0


class NotModbusError(Exception):
    """The peer speaks something else."""


def crc16(data: bytes) -> bytes:
    """Give the checksum of a serial frame, as it stands on the wire.

    >>> crc16(bytes.fromhex("0103 0000 000A")).hex()
    'c5cd'
    """
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC_TABLE = _crc_table()


def tcp_frame(message: Message) -> bytes:
    """Give the bytes of Modbus TCP: transaction, protocol 0, length, unit, PDU."""
    return _MBAP.pack(message.transaction, 0, len(message.pdu) + 1, message.unit) + message.pdu


def rtu_frame(message: Message) -> bytes:
    """Give the bytes of Modbus RTU: unit, PDU, checksum."""
    body = bytes((message.unit,)) + message.pdu
    return body + crc16(body)


class TcpReader:
    """Cuts what one client sends into requests."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """Give the requests that are complete now. Raises NotModbusError."""
        self._buffer += data
        while len(self._buffer) >= _MBAP.size:
            transaction, protocol, length, unit = _MBAP.unpack_from(self._buffer)
            if protocol != 0 or not 2 <= length <= _MAX_FRAME:
                raise NotModbusError
            if len(self._buffer) < 6 + length:
                return
            pdu, self._buffer = self._buffer[_MBAP.size : 6 + length], self._buffer[6 + length :]
            yield Message(unit, pdu, transaction)


class RtuReader:
    """Collects what comes on a line; frames are set apart by silence."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> bool:
        """Take bytes; tell whether they are a whole read request, which needs no silence to end it."""
        self._buffer += data
        return len(self._buffer) == _READ_FRAME and self._buffer[1] in (3, 4) and _is_whole(self._buffer)

    def take(self) -> tuple[int, Message | None]:
        """End the frame: give its length, and the request where its checksum is right."""
        frame, self._buffer = self._buffer, b""
        return len(frame), Message(frame[0], frame[1:-2]) if _is_whole(frame) else None


def _is_whole(frame: bytes) -> bool:
    return len(frame) >= 4 and crc16(frame[:-2]) == frame[-2:]
