"""Is a message what its topic says, and within what columns, pages and other readers of JSON can hold.

What is not raises :class:`EvidenceError` and is kept as rejected.
"""

import re

from agent.deliver import wire
from agent.errors import EvidenceError

PAYLOAD_BYTES = 262_144  # as deploy/mosquitto.conf: a summary has 400, a status of 100 meters 20,000
NUMBER_MOST = 2**53  # the integers that JSON readers agree on; and sums of floats must stay finite
TIME_MOST_S = 253_402_300_799  # the end of the year 9999: a page cannot show a later one
GAP_MOST_S = 800 * 86_400  # what one gap tells of at most: a spool keeps 400 days, and each day's sum is made anew
TOTALS_MOST = 1000  # meters of one gap; a gateway has some dozens

_GATEWAY = re.compile(r"[a-z0-9-]{1,32}")
_STREAM = re.compile(r"[A-Za-z0-9_-]{1,64}")
_METER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BOOT = re.compile(r"[A-Za-z0-9_-]{0,64}")
_HEAD = re.compile(r"[0-9a-f]{64}")


def read(topic: str, payload: bytes) -> tuple[str, wire.Record | wire.Status]:
    """Give the gateway, from the topic, and the message; :class:`EvidenceError` says what disagrees.

    >>> read("flatwatt/v1/campus-01/up/summary/m1", b"hello")
    Traceback (most recent call last):
    ...
    agent.errors.EvidenceError: not a flatwatt message: JSON is malformed: invalid character (byte 0)
    """
    gateway = topic.removeprefix(f"{wire.ROOT}/").split("/", 1)[0]
    if not _GATEWAY.fullmatch(gateway):
        raise EvidenceError(f"the topic names no gateway: {gateway!r} is not [a-z0-9-]{{1,32}}")
    if len(payload) > PAYLOAD_BYTES:
        raise EvidenceError(f"{len(payload)} bytes; a message has at most {PAYLOAD_BYTES}")
    if b"\n" in payload:
        raise EvidenceError("a message is one line: a file of evidence holds one record a line")
    message = wire.decode(payload)
    if isinstance(message, wire.ReceiptMessage | wire.Command):
        raise EvidenceError(f"a {message.kind}; those come from the centre")
    _check_place(topic, gateway, message)
    _check_numbers(message)
    return gateway, message


def is_withdrawal(topic: str, payload: bytes) -> bool:
    """Say whether somebody cleared a retained state at the broker: an empty payload, and no record of a gateway.

    >>> is_withdrawal("flatwatt/v1/campus-01/up/status", b"")
    True
    """
    kinds = topic.removeprefix(f"{wire.ROOT}/").split("/")[2:3]
    return payload == b"" and not wire.RETAINED_KINDS.isdisjoint(kinds)


def stored_record(payload: bytes) -> wire.Record:
    """Read a record that the store holds; :func:`read` let it in."""
    message = wire.decode(payload)
    if isinstance(message, wire.Status | wire.ReceiptMessage | wire.Command):
        raise EvidenceError(f"the table `record` holds a {message.kind}: it was written by another program")
    return message


def _check_place(topic: str, gateway: str, message: wire.Record | wire.Status) -> None:
    """Only what is inside the payload is chained, so the topic must say the same."""
    meter = message.meter if isinstance(message, wire.Summary | wire.Alarm | wire.Event) else None
    if topic != wire.topic(gateway, message.kind, meter):
        raise EvidenceError(f"the payload belongs to {wire.topic(gateway, message.kind, meter)!r}")
    if meter is not None and not _METER.fullmatch(meter):
        raise EvidenceError(f"{meter!r} is no meter id")
    if isinstance(message, wire.Status | wire.Checkpoint | wire.Gap) and message.gateway != gateway:
        raise EvidenceError(f"the payload is of gateway {message.gateway!r}")
    if not _STREAM.fullmatch(message.stream):
        raise EvidenceError(f"{message.stream!r} is no stream id")
    if isinstance(message, wire.Status | wire.Checkpoint) and not _BOOT.fullmatch(message.boot_id):
        raise EvidenceError(f"{message.boot_id!r} is no boot id")


def _check_numbers(message: wire.Record | wire.Status) -> None:
    """Keep numbers out that no column and no other reader of JSON can hold."""
    for name in message.__struct_fields__:
        value = getattr(message, name)
        numbers = [one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, int | float)]
        low, high = (0, TIME_MOST_S) if name.endswith("_s") else (-NUMBER_MOST, NUMBER_MOST)
        if not all(low <= one <= high for one in numbers):
            raise EvidenceError(f"{name} is {value}: out of range")
    if not isinstance(message, wire.Status) and message.seq < 1:
        raise EvidenceError(f"seq is {message.seq}; the first record has 1")
    if isinstance(message, wire.Checkpoint) and not 0 <= message.through < message.seq:
        raise EvidenceError(f"checkpoint {message.seq} cannot sign record {message.through}")
    if isinstance(message, wire.Summary) and not (0 < message.window_s <= 86_400 and 0 <= message.coverage <= 1):
        raise EvidenceError("window_s must be 1 to 86400 and coverage 0 to 1")
    if isinstance(message, wire.Gap):
        _check_gap(message)


def _check_gap(gap: wire.Gap) -> None:
    if not 1 <= gap.from_seq <= gap.through_seq < gap.seq:
        raise EvidenceError(f"gap {gap.seq} cannot speak of records {gap.from_seq} to {gap.through_seq}")
    if not _HEAD.fullmatch(gap.head):
        raise EvidenceError("the head of a gap is 64 hex digits")
    if len(gap.totals) > TOTALS_MOST:
        raise EvidenceError(f"{len(gap.totals)} totals; a gap has at most {TOTALS_MOST}")
    for total in gap.totals:
        numbers = (total.load_wh, total.mining_wh, total.active_energy_import_wh, total.active_energy_export_wh)
        if not _METER.fullmatch(total.meter):
            raise EvidenceError(f"{total.meter!r} is no meter id")
        if not 0 <= total.start_s < total.end_s <= min(TIME_MOST_S, total.start_s + GAP_MOST_S):
            raise EvidenceError(f"the total of {total.meter} is from {total.start_s} to {total.end_s}: out of range")
        if not all(-NUMBER_MOST <= one <= NUMBER_MOST for one in numbers if one is not None):
            raise EvidenceError(f"the total of {total.meter} is out of range")
