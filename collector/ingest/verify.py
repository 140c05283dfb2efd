"""Is a message what its topic says, does it join its chain, and did the gateway sign it.

What is wrong is never thrown away in silence: unreadable payloads raise
:class:`EvidenceError` and are kept as rejected, contradictions become findings.
"""

import hashlib
import logging
import re

from agent.deliver import chain, wire
from agent.errors import EvidenceError
from collector.store.ledger import Finding, Ledger, Stream

PAYLOAD_BYTES = 262_144  # as deploy/mosquitto.conf: a summary has 400, a status of 100 meters 20,000
NUMBER_MOST = 2**53  # the integers that JSON readers agree on; and sums of floats must stay finite
TIME_MOST_S = 253_402_300_799  # the end of the year 9999: a page cannot show a later one

_log = logging.getLogger(__name__)

_GATEWAY = re.compile(r"[a-z0-9-]{1,32}")
_STREAM = re.compile(r"[A-Za-z0-9_-]{1,64}")
_METER = re.compile(r"[A-Za-z0-9._-]{1,64}")


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


def extend(ledger: Ledger, stream: Stream) -> None:
    """Carry the chain over all records that are contiguous; it waits at the first hole."""
    heads: list[tuple[int, bytes]] = []
    for seq, payload in ledger.after(stream):
        if seq != stream.through + 1:
            break
        stream.through, stream.head = seq, chain.next_head(stream.head, payload)
        heads.append((seq, stream.head))
    ledger.set_heads(stream, heads)


def check(ledger: Ledger, stream: Stream, public_key: str, now_s: int) -> None:
    """Hold each new checkpoint against the pinned key and against our own chain head.

    Where a properly signed head differs, some record since the last good checkpoint was altered
    on its way. The stream goes back to that checkpoint, so its receipt asks for the range again.
    """
    for seq, payload in ledger.checkpoints(stream):
        checkpoint = stored_record(payload)
        assert isinstance(checkpoint, wire.Checkpoint)
        stream.checked = seq
        wrong = _signature_finding(checkpoint, payload, public_key, now_s)
        if wrong is None and (wrong := _head_finding(ledger, stream, checkpoint, payload, now_s)):
            _go_back(ledger, stream, checkpoint.through)
        if wrong is None:
            _confirm(ledger, stream, seq, now_s)
            continue
        if ledger.add_finding(wrong):
            _log.warning("gateway %s: %s", wrong.gateway, wrong.text)
        if wrong.kind == "chain":
            return


def _signature_finding(checkpoint: wire.Checkpoint, payload: bytes, public_key: str, now_s: int) -> Finding | None:
    text = chain.checkpoint_text(
        checkpoint.gateway, checkpoint.stream, checkpoint.through, checkpoint.head, checkpoint.time_s
    )
    try:
        chain.verify(public_key, text, checkpoint.sig)
    except EvidenceError as error:
        why = f"checkpoint {checkpoint.seq} is not signed by the gateway's pinned key: {error}"
        return _finding("signature", checkpoint, checkpoint.seq, checkpoint.seq, why, payload, now_s)
    return None


def _head_finding(
    ledger: Ledger, stream: Stream, checkpoint: wire.Checkpoint, payload: bytes, now_s: int
) -> Finding | None:
    ours = ledger.head_at(stream, checkpoint.through)
    if ours is not None and ours.hex() == checkpoint.head:
        return None
    first = min(stream.verified + 1, checkpoint.through)
    what = f"one of the records {first} to" if first < checkpoint.through else "record"
    why = f"{what} {checkpoint.through} is not as the gateway signed it: altered on its way"
    return _finding("chain", checkpoint, first, checkpoint.through, why, payload, now_s)


def _go_back(ledger: Ledger, stream: Stream, suspect: int) -> None:
    head = ledger.head_at(stream, stream.verified)
    assert head is not None
    stream.through, stream.head, stream.checked = stream.verified, head, stream.verified
    stream.suspect = max(stream.suspect, suspect)


def _confirm(ledger: Ledger, stream: Stream, seq: int, now_s: int) -> None:
    stream.verified = seq
    ledger.resolve(stream, "signature", seq, seq, now_s)
    if stream.suspect and seq > stream.suspect:
        ledger.resolve(stream, "chain", 1, seq, now_s)
        stream.suspect = 0


def fork(gateway: str, record: wire.Record, kept: bytes, other: bytes, now_s: int) -> Finding:
    """Describe one number that was used for two different records: a clone, a restored disk, or an alteration."""
    hashes = " and ".join(sorted(hashlib.sha256(payload).hexdigest()[:16] for payload in (kept, other)))
    why = f"record {record.seq} came twice with different bytes (SHA-256 {hashes}): a cloned gateway or an alteration"
    return Finding(
        gateway=gateway, stream=record.stream, seq=record.seq, to_seq=record.seq, kind="fork", text=why,
        evidence=other, time_s=now_s,
    )  # fmt: skip


def changed_key(status: wire.Status, pinned: str, payload: bytes, now_s: int) -> Finding:
    """Describe a status that carries another key than the one pinned at first use."""
    why = f"a status came with key {_key_id(status.public_key)}; pinned is {_key_id(pinned)}: refused"
    return Finding(
        gateway=status.gateway, stream="", seq=0, to_seq=0, kind="key", text=why, evidence=payload, time_s=now_s
    )


def _key_id(public_key: str) -> str:
    try:
        return chain.key_id(public_key)
    except ValueError:
        return "(unreadable)"


def _finding(
    kind: str, checkpoint: wire.Checkpoint, seq: int, to_seq: int, text: str, evidence: bytes, now_s: int
) -> Finding:
    return Finding(
        gateway=checkpoint.gateway, stream=checkpoint.stream, seq=seq, to_seq=to_seq, kind=kind, text=text,
        evidence=evidence, time_s=now_s,
    )  # fmt: skip
