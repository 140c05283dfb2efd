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


def find_tcp(data: bytes, transaction: int, request: ReadRequest) -> bytes | None:
    """Give the frame that answers ``request``, or None while it has not arrived in full.

    A frame with another transaction id is an older answer and skipped; id 0, which some gateways
    send with every answer, could belong to any request and is refused. Raises BusError.
    """
    start = 0
    while len(data) - start >= _MBAP.size:
        found, protocol, length, unit = _MBAP.unpack_from(data, start)
        if not _is_header(protocol, length):
            raise BusError(BusReason.GARBAGE, f"{_bytes(data)} that are no Modbus TCP frame")
        end = start + _MBAP.size - 1 + length
        if len(data) < end:
            return None
        if found == transaction:
            _check(unit, data[start + _MBAP.size : end], request)
            return data[start:end]
        if found == 0:
            raise BusError(
                BusReason.WRONG_TRANSACTION, "an answer with transaction id 0, which could belong to any request"
            )
        start = end
    return None


def find_rtu(data: bytes, request: ReadRequest) -> bytes | None:
    """Give the frame that answers ``request``, or None while it has not arrived in full.

    Stray bytes before the frame are passed over: drivers that switch on, or the echo of a
    two-wire adapter. Raises BusError.
    """
    if frame := _frame_at(data, 0):
        _check(frame[0], frame[1:-2], request)
        return frame
    head = bytes((request.unit, request.function, 2 * request.count))
    if data.startswith(head):
        if len(data) >= SHORTEST_RTU + 2 * request.count:
            raise BusError(BusReason.GARBAGE, "an answer with a wrong checksum")
        return None
    for wanted in (head, bytes((request.unit, request.function | _EXCEPTION))):
        start = data.find(wanted, 1)
        while start > 0:
            if frame := _frame_at(data, start):
                _check(frame[0], frame[1:-2], request)
                return frame
            start = data.find(wanted, start + 1)
    return None


def unanswered(data: bytes, rtu: bool, budget_s: float) -> BusError:
    """Name what it was when the time is over and ``data`` is all that came."""
    if not data:
        return BusError(BusReason.TIMEOUT, f"no answer within {budget_s:.2f} s")
    if rtu or not in_step(data):
        return BusError(BusReason.GARBAGE, f"{_bytes(data)} within {budget_s:.2f} s that are no answer")
    return BusError(BusReason.WRONG_TRANSACTION, f"within {budget_s:.2f} s only answers to other requests")


def in_step(data: bytes) -> bool:
    """Tell whether a Modbus TCP stream stands at the start of a frame after ``data``."""
    start = 0
    while len(data) - start >= _MBAP.size:
        _, protocol, length, _ = _MBAP.unpack_from(data, start)
        if not _is_header(protocol, length):
            return False
        start += _MBAP.size - 1 + length
    return start == len(data)


def _is_header(protocol: int, length: int) -> bool:
    return protocol == 0 and 3 <= length <= _LONGEST_MBAP


def _frame_at(data: bytes, start: int) -> bytes | None:
    """Give the answer to a read that begins at ``start``, if it is complete and its checksum fits."""
    if len(data) - start < SHORTEST_RTU:
        return None
    function, byte_count = data[start + 1], data[start + 2]
    if function in _READS:
        end = start + SHORTEST_RTU + byte_count
    elif function & _EXCEPTION:
        end = start + SHORTEST_RTU
    else:
        return None
    if len(data) < end:
        return None
    checksum = int.from_bytes(data[end - 2 : end], "big")
    return data[start:end] if FramerRTU.check_CRC(data[start : end - 2], checksum) else None


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
    text = _EXCEPTION_TEXTS.get(code, "a code of the maker's own")
    return BusError(BusReason.EXCEPTION, f"the device refused: exception {code}, {text}", code)


def _bytes(data: bytes) -> str:
    return f"{len(data)} bytes ({data[:8].hex(' ')}{' …' if len(data) > 8 else ''})"
