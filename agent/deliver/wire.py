"""The messages, as msgspec types: the one contract between gateway and centre.

Plain JSON, numbers rounded to what a meter can know. Every chained record (summary, alarm,
event, checkpoint) carries ``v``, ``kind``, ``stream`` and ``seq`` inside the signed bytes; what
stands only in a topic is not evidence. Unknown fields are ignored, another major version is
refused. ``docs/topics.md`` describes each field.
"""

from typing import Literal

import msgspec

from agent.errors import EvidenceError

VERSION = 1
ROOT = "flatwatt/v1"
RETAINED_KINDS = frozenset({"status", "alarm", "receipt"})  # each is a state; a late subscriber needs the last one


class Summary(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One meter over one window. ``quality`` other than ``G`` means: no judgement was drawn from it.

    At most 400 bytes below 10 MW, so a good quality is left out and the extremes have short keys.
    """

    v: int
    kind: Literal["summary"]
    stream: str
    seq: int
    meter: str
    start_s: int
    window_s: int
    coverage: float
    quality: str = "G"
    active_power_w: float | None = None  # mean over the window
    active_power_min_w: float | None = msgspec.field(default=None, name="min_w")
    active_power_max_w: float | None = msgspec.field(default=None, name="max_w")
    power_factor: float | None = None
    active_energy_import_wh: float | None = None  # register reading, last of the window
    active_energy_export_wh: float | None = None
    verdict: str
    score: float
    mining_w: tuple[float, float, float]
    since_s: int | None = None


class Reason(msgspec.Struct):
    """One piece of evidence, as in the judgement."""

    evidence: str
    value: float
    weight: float
    text: str


class Alarm(msgspec.Struct, kw_only=True):
    """An alarm's present state. The id stays the same from raised to cleared, and over restarts."""

    v: int
    kind: Literal["alarm"]
    stream: str
    seq: int
    meter: str
    alarm: str
    state: Literal["raised", "updated", "cleared"]
    time_s: int
    raised_s: int
    verdict: str
    score: float
    mining_w: tuple[float, float, float]
    mining_share: float
    since_s: int | None
    reasons: list[Reason]


class Event(msgspec.Struct, kw_only=True):
    """Something that happened to the measuring itself: a meter's changed quality, a restart, a damaged spool."""

    v: int
    kind: Literal["event"]
    stream: str
    seq: int
    meter: str | None
    event: str
    time_s: int
    text: str
    data: dict[str, float | int | str | None]


class Checkpoint(msgspec.Struct, kw_only=True):
    """The chain head after record ``through``, signed by the gateway's key over ``chain.checkpoint_text``."""

    v: int
    kind: Literal["checkpoint"]
    stream: str
    seq: int
    gateway: str
    through: int
    head: str
    time_s: int
    key: str
    sig: str


class MeterStatus(msgspec.Struct, kw_only=True):
    """What a gateway says of one of its meters at birth."""

    meter: str
    name: str
    role: str
    parent: str | None
    declared: str | None
    declared_w: float | None
    profile: str
    profile_digest: str


class Status(msgspec.Struct, kw_only=True):
    """Birth and death of a gateway, retained. Not chained: the broker itself publishes the death (will)."""

    v: int
    kind: Literal["status"]
    state: Literal["online", "offline"]
    gateway: str
    name: str
    site: str
    site_kind: str
    software: str
    boot_id: str
    stream: str
    delivery: str
    clock: str
    time_s: int
    window_s: int
    public_key: str
    meters: list[MeterStatus]


class ReceiptMessage(msgspec.Struct, kw_only=True):
    """The collector's receipt, signed over ``chain.receipt_text`` and retained for a gateway that returns."""

    v: int
    kind: Literal["receipt"]
    gateway: str
    stream: str
    through: int
    missing: list[tuple[int, int]]
    head: str
    time_s: int
    public_key: str
    sig: str


Record = Summary | Alarm | Event | Checkpoint
Message = Record | Status | ReceiptMessage

_TYPES: dict[
    str, type[Summary] | type[Alarm] | type[Event] | type[Checkpoint] | type[Status] | type[ReceiptMessage]
] = {
    "summary": Summary,
    "alarm": Alarm,
    "event": Event,
    "checkpoint": Checkpoint,
    "status": Status,
    "receipt": ReceiptMessage,
}


class _Head(msgspec.Struct):
    v: int
    kind: str


_encoder = msgspec.json.Encoder()
_head = msgspec.json.Decoder(_Head)
_decoders = {kind: msgspec.json.Decoder(message) for kind, message in _TYPES.items()}


def encode(message: Message) -> bytes:
    """Give the bytes that are chained, stored and sent; they are never serialised again."""
    return _encoder.encode(message)


def decode(payload: bytes) -> Message:
    """Read any message; :class:`EvidenceError` says what is wrong with bytes that are none of ours."""
    try:
        head = _head.decode(payload)
        if head.v != VERSION:
            raise EvidenceError(f"message of version {head.v}; this software reads version {VERSION}: update it")
        decoder = _decoders.get(head.kind)
        if decoder is None:
            raise EvidenceError(f"message of unknown kind {head.kind!r}; known are {', '.join(_TYPES)}")
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceError(f"not a flatwatt message: {error}") from None


def topic(gateway: str, kind: str, meter: str | None = None) -> str:
    """Give the topic of a message.

    >>> topic("campus-01", "summary", "feeder-2")
    'flatwatt/v1/campus-01/up/summary/feeder-2'
    >>> topic("campus-01", "receipt")
    'flatwatt/v1/campus-01/down/receipt'
    """
    direction = "down" if kind == "receipt" else "up"
    base = f"{ROOT}/{gateway}/{direction}/{kind}"
    return f"{base}/{meter}" if meter else base
