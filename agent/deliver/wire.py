"""The messages, as msgspec types: the one contract between gateway and centre.

Plain JSON, numbers rounded to what a meter can know. Every chained record (summary, alarm,
event, checkpoint, gap, reply) carries ``v``, ``kind``, ``stream`` and ``seq`` inside the signed bytes; what
stands only in a topic is not evidence. Unknown fields are ignored, another major version is
refused. ``docs/topics.md`` describes each field.
"""

from typing import Literal

import msgspec

from agent.errors import EvidenceError

VERSION = 1
ROOT = "flatwatt/v1"
RETAINED_KINDS = frozenset({"status", "alarm", "receipt", "command"})  # a late subscriber needs the last one
DOWN_KINDS = frozenset({"receipt", "command"})  # what the centre says

Trust = Literal["U", "I", "S", "R"]
"""How far a record's time is to be trusted, in the letters of OCMF 1.4.1: unknown (never set since the boot),
informative (set, but not checked against anybody), synchronised, relative (only differences are right)."""


class Summary(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One meter over one window. ``quality`` other than ``G`` means: no judgement was drawn from it.

    ``part`` is not 0 where the clock was stepped and this window had begun, or been told, by another
    reckoning: each part is of another time, and their energies add up. At most 400 bytes below 10 MW,
    so a good quality is left out, and what few meters have has a short key.
    """

    v: int
    kind: Literal["summary"]
    stream: str
    seq: int
    meter: str
    start_s: int
    window_s: int
    part: int = 0
    coverage: float
    quality: str = "G"
    active_power_w: float | None = None  # mean over the window
    active_power_min_w: float | None = msgspec.field(default=None, name="min_w")
    active_power_max_w: float | None = msgspec.field(default=None, name="max_w")
    power_factor: float | None = None
    active_energy_import_wh: float | None = None  # register reading, last of the window
    active_energy_export_wh: float | None = msgspec.field(default=None, name="export_wh")
    verdict: str
    score: float
    mining_w: tuple[float, float, float]
    since_s: int | None = None
    clock: Trust = "S"


class Reason(msgspec.Struct):
    """One piece of evidence, as in the judgement."""

    evidence: str
    value: float
    weight: float
    text: str


class Alarm(msgspec.Struct, kw_only=True, omit_defaults=True):
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
    clock: Trust = "S"


class Event(msgspec.Struct, kw_only=True, omit_defaults=True):
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
    clock: Trust = "S"


class Checkpoint(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The chain head after record ``through``, signed by the gateway's key over ``chain.checkpoint_text``.

    ``boot_s`` is the boot-time clock of boot ``boot_id`` at ``time_s``: pairs of these date every record of a
    boot anew where its UTC was wrong.
    """

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
    boot_id: str = ""
    boot_s: float = 0.0
    clock: Trust = "S"


class MeterTotal(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is left of one meter's summaries that were dropped: enough to keep its kWh."""

    meter: str
    start_s: int
    end_s: int
    coverage: float  # share of start..end that was measured
    load_wh: float
    mining_wh: float  # of the medians
    active_energy_import_wh: float | None = None  # register reading, last of the range
    active_energy_export_wh: float | None = None


class Gap(msgspec.Struct, kw_only=True):
    """Records ``from_seq..through_seq`` of this stream are gone for good; signed over ``chain.gap_text``.

    ``head`` is the chain head after ``through_seq``, so the chain can be carried on behind the gap. Its
    own signature makes it good before the chain reaches it.
    """

    v: int
    kind: Literal["gap"]
    stream: str
    seq: int
    gateway: str
    from_seq: int
    through_seq: int
    head: str
    cause: str  # spool_bytes, spool_age, disk_free, collector_rolled_back
    time_s: int
    records: dict[str, int]  # how many of each kind were dropped
    totals: list[MeterTotal]
    key: str
    sig: str


class Reply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of a command."""

    v: int
    kind: Literal["reply"]
    stream: str
    seq: int
    counter: int  # of the command, 0 where it could not be read
    command: str
    state: Literal["done", "failed", "refused"]
    time_s: int
    text: str
    data: dict[str, float | int | str | None]
    attachment: str = ""  # base64 of what a capture brought, compressed; ``data`` says how
    clock: Trust = "S"


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
    boot_s: float = 0.0  # the boot-time clock
    last_seq: int = 0  # the stream's newest record
    receipted: int = 0  # the last one that a receipt covers
    oldest_unreceipted_s: int | None = None  # age of the oldest record without a receipt
    spool_bytes: int = 0
    storage: Literal["disk", "memory"] = "disk"  # memory: the disk cannot be written to, a restart loses records
    period_s: float = 0.0  # between two polls
    interval: Literal["file", "command"] = "file"  # who set period_s and window_s: gateway.toml, or a set_interval


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


class Command(msgspec.Struct, kw_only=True):
    """An order of the operator. ``sig`` is over ``chain.command_text(body)``; ``body`` is the JSON of a CommandBody."""

    v: int
    kind: Literal["command"]
    body: str
    public_key: str  # the operator's
    sig: str


class CommandBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is ordered: once, by one gateway, within a time."""

    gateway: str
    counter: int  # larger than that of any command before
    command: str
    arguments: dict[str, float | int | str]
    not_before_s: int
    expires_s: int


Record = Summary | Alarm | Event | Checkpoint | Gap | Reply
Message = Record | Status | ReceiptMessage | Command

_TYPES: dict[str, type[Message]] = {
    "summary": Summary,
    "alarm": Alarm,
    "event": Event,
    "checkpoint": Checkpoint,
    "gap": Gap,
    "reply": Reply,
    "status": Status,
    "receipt": ReceiptMessage,
    "command": Command,
}


class _Head(msgspec.Struct):
    v: int
    kind: str


_encoder = msgspec.json.Encoder()
_head = msgspec.json.Decoder(_Head)
_body = msgspec.json.Decoder(CommandBody)
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


def command_body(body: str) -> CommandBody:
    """Read what a command orders; :class:`EvidenceError` says what is wrong with it."""
    try:
        return _body.decode(body)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise EvidenceError(f"the body is no order: {error}") from None


def topic(gateway: str, kind: str, meter: str | None = None) -> str:
    """Give the topic of a message.

    >>> topic("campus-01", "summary", "feeder-2")
    'flatwatt/v1/campus-01/up/summary/feeder-2'
    >>> topic("campus-01", "receipt")
    'flatwatt/v1/campus-01/down/receipt'
    """
    direction = "down" if kind in DOWN_KINDS else "up"
    base = f"{ROOT}/{gateway}/{direction}/{kind}"
    return f"{base}/{meter}" if meter else base


def topic_of(gateway: str, message: Message) -> str:
    """Give the topic of a message by what it says itself."""
    return topic(gateway, message.kind, message.meter if isinstance(message, Summary | Alarm | Event) else None)
