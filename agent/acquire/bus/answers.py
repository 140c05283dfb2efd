"""Is this the answer? Raw bytes are judged here, before pymodbus may believe them.

pymodbus accepts a transaction id of 0, too few registers, and the answer to another function
code, and a byte count that lies breaks its protocol callback. So it is shown nothing but the one
frame that answers the request in every field; all else becomes a ``BusError``.
"""

import struct

from pymodbus.framer.rtu import FramerRTU

from agent.errors import BusError, BusReason
from agent.records import ReadRequest

SHORTEST_RTU = 5  # bytes: unit, function, exception code, checksum
LONGEST_RTU = 256  # by the specification
GATEWAY_CODES = (10, 11)  # exceptions of a gateway whose meter is silent: the meter itself has said nothing
_MBAP = struct.Struct(">HHHB")  # transaction, protocol, length from the unit on, unit
_LONGEST_MBAP = 254  # length field of the longest frame, by the specification
_EXCEPTION = 0x80  # of the function code: the device refuses
_READS = (3, 4)

_EXCEPTION_TEXTS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge, later",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not answer",
}


def tcp_end(data: bytes) -> int:
    """Give the length of the Modbus TCP frame that ``data`` begins with, 0 while it is not complete.

    Raises BusError where it begins with none.
    """
    if len(data) < _MBAP.size:
        return 0
    _, protocol, length, _ = _MBAP.unpack_from(data)
    if protocol != 0 or not 3 <= length <= _LONGEST_MBAP:
        raise BusError(BusReason.GARBAGE, f"{shown(data)} that are no Modbus TCP frame")
    end = _MBAP.size - 1 + length
    return end if len(data) >= end else 0


def check_tcp(frame: bytes, request: ReadRequest) -> None:
    """Raise BusError unless the frame answers ``request`` in every field behind the transaction id."""
    _check(frame[6], frame[7:], request)


def find_rtu(data: bytes, request: ReadRequest) -> slice | None:
    """Tell where in ``data`` the answer to ``request`` stands, or None while it has not arrived in full.

    Stray bytes before the frame, of drivers that switch on, are passed over. Raises BusError.
    """
    if frame := rtu_frame(data):
        _check(frame[0], frame[1:-2], request)
        return slice(0, len(frame))
    head = bytes((request.unit, request.function, 2 * request.count))
    if data.startswith(head):
        if len(data) >= SHORTEST_RTU + 2 * request.count:
            raise BusError(BusReason.GARBAGE, "an answer with a wrong checksum")
        return None
    for wanted in (head, bytes((request.unit, request.function | _EXCEPTION))):
        start = data.find(wanted, 1)
        while start > 0:
            if frame := rtu_frame(data[start : start + LONGEST_RTU]):
                _check(frame[0], frame[1:-2], request)
                return slice(start, start + len(frame))
            start = data.find(wanted, start + 1)
    return None


def rtu_frame(data: bytes) -> bytes | None:
    """Give the answer to a read that ``data`` begins with, if it is complete and its checksum fits."""
    if len(data) < SHORTEST_RTU:
        return None
    function, byte_count = data[1], data[2]
    if function in _READS:
        end = SHORTEST_RTU + byte_count
    elif function & _EXCEPTION:
        end = SHORTEST_RTU
    else:
        return None
    if len(data) < end:
        return None
    checksum = int.from_bytes(data[end - 2 : end], "big")
    return data[:end] if FramerRTU.check_CRC(data[: end - 2], checksum) else None


def answers(frame: bytes, request: ReadRequest) -> bool:
    """Tell whether an RTU frame is what the meter says to ``request``: its registers, or a refusal of its own."""
    if frame[1] & _EXCEPTION:
        return frame[1] == request.function | _EXCEPTION and frame[2] not in GATEWAY_CODES
    return frame[:3] == bytes((request.unit, request.function, 2 * request.count))


def shown(data: bytes) -> str:
    """Give a count of bytes and the first of them, for a message."""
    return f"{len(data)} bytes ({data[:8].hex(' ')}{' …' if len(data) > 8 else ''})"


def _check(unit: int, pdu: bytes, request: ReadRequest) -> None:
    """Raise BusError unless this is the answer in every field."""
    if unit != request.unit:
        raise BusError(BusReason.WRONG_UNIT, f"unit {unit} answered a request to unit {request.unit}")
    function, body = pdu[0], pdu[1:]
    if function == request.function | _EXCEPTION:
        raise _exception(body[0])
    if function != request.function:
        raise BusError(
            BusReason.WRONG_FUNCTION, f"the answer is to function {function}, asked was function {request.function}"
        )
    if body[0] != len(body) - 1:
        raise BusError(BusReason.GARBAGE, f"an answer that announces {body[0]} bytes and carries {len(body) - 1}")
    if body[0] != 2 * request.count:
        raise BusError(BusReason.WRONG_LENGTH, f"{body[0] / 2:g} registers arrived, asked for were {request.count}")


def _exception(code: int) -> BusError:
    who = "the gateway gave up" if code in GATEWAY_CODES else "the device refused"
    text = _EXCEPTION_TEXTS.get(code, "a code of the maker's own")
    return BusError(BusReason.EXCEPTION, f"{who}: exception {code}, {text}", code)
