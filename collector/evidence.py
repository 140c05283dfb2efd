"""What an auditor asks first: what does not fit, is each stream whole and signed, what was lost or refused."""

from dataclasses import dataclass

import msgspec

from collector import fleet
from collector.state import FindingState
from collector.store.reader import Reader, Row

STREAMS, REJECTED, EVENTS, GAPS, REPLIES = 200, 50, 100, 50, 50  # what a list shows at most
TOTALS = 50  # meters that a gap shows


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayState:
    """How a gateway was last heard, and what it said of its spool."""

    gateway: str
    state: str
    heard_s: int
    goodbye: bool
    window_s: int
    clock: str
    storage: str
    oldest_unreceipted_s: int | None
    spool_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """A stream: ``1..through`` are committed and chained, and signed as far as checkpoint ``verified``."""

    gateway: str
    stream: str
    through: int
    head: str
    highest: int
    verified: int
    suspect: int
    received_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GapTotal:
    """What is left of one meter's windows that were dropped."""

    meter: str
    start_s: int
    end_s: int
    coverage: float
    load_kwh: float
    mining_kwh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GapState:
    """Records that are lost for good, as the gateway signed it."""

    gateway: str
    stream: str
    from_seq: int
    through_seq: int
    cause: str
    time_s: int
    records: dict[str, int]
    totals: list[GapTotal]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyState:
    """What became of a command."""

    gateway: str
    counter: int
    command: str
    state: str
    time_s: int
    text: str
    attached: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A message that could not be read. ``payload`` is its beginning, undecodable bytes as escapes."""

    topic: str
    why: str
    bytes: int
    payload: str
    time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventState:
    """Something that happened to the measuring itself."""

    gateway: str
    meter: str | None
    event: str
    time_s: int
    text: str
    clock: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The whole of ``/api/evidence``. ``rejected_count`` counts all that ever were; the list holds the newest."""

    time_s: int
    findings: list[FindingState]
    gateways: list[GatewayState]
    streams: list[StreamState]
    gaps: list[GapState]
    replies: list[ReplyState]
    rejected_count: int
    rejected: list[Rejected]
    events: list[EventState]


def evidence(reader: Reader, time_s: int) -> Evidence:
    """Give findings, gateways, streams, gaps, replies, rejected messages and events."""
    return Evidence(
        time_s=time_s,
        findings=fleet.findings(reader),
        gateways=[_gateway(row) for row in reader.heard()],
        streams=[_stream(row) for row in reader.streams(STREAMS)],
        gaps=[_gap(reader, row) for row in reader.gaps(GAPS)],
        replies=[_reply(row) for row in reader.replies(REPLIES)],
        rejected_count=reader.rejected_count(),
        rejected=[_rejected(row) for row in reader.rejected(REJECTED)],
        events=[_event(row) for row in reader.events(EVENTS)],
    )


def _gateway(row: Row) -> GatewayState:
    status = fleet.status_of(row["status"])
    return GatewayState(
        gateway=row["gateway"],
        state=status.state if status else "unknown",
        heard_s=row["heard_s"],
        goodbye=bool(row["goodbye"]),
        window_s=row["window_s"],
        clock=status.clock if status else "",
        storage=status.storage if status else "",
        oldest_unreceipted_s=status.oldest_unreceipted_s if status else None,
        spool_bytes=status.spool_bytes if status else 0,
    )


def _stream(row: Row) -> StreamState:
    return StreamState(
        gateway=row["gateway"],
        stream=row["stream"],
        through=row["through"],
        head=row["head"].hex(),
        highest=row["highest"],
        verified=row["verified"],
        suspect=row["suspect"],
        received_s=row["received_s"],
    )


def _gap(reader: Reader, row: Row) -> GapState:
    totals = reader.gap_totals(row["gateway"], row["stream"], row["seq"])
    return GapState(
        gateway=row["gateway"],
        stream=row["stream"],
        from_seq=row["from_seq"],
        through_seq=row["through_seq"],
        cause=row["cause"],
        time_s=row["time_s"],
        records=msgspec.json.decode(row["records"], type=dict[str, int]),
        totals=[_total(total) for total in totals[:TOTALS]],
    )


def _total(row: Row) -> GapTotal:
    return GapTotal(
        meter=row["meter"],
        start_s=row["start_s"],
        end_s=row["end_s"],
        coverage=row["coverage"],
        load_kwh=row["load_wh"] / 1000,
        mining_kwh=row["mining_wh"] / 1000,
    )


def _reply(row: Row) -> ReplyState:
    return ReplyState(
        gateway=row["gateway"],
        counter=row["counter"],
        command=row["command"],
        state=row["state"],
        time_s=row["time_s"],
        text=row["text"],
        attached=row["attached"],
    )


def _rejected(row: Row) -> Rejected:
    return Rejected(
        topic=row["topic"],
        why=row["why"],
        bytes=row["bytes"],
        payload=row["payload"].decode("utf-8", "backslashreplace"),
        time_s=row["time_s"],
    )


def _event(row: Row) -> EventState:
    return EventState(
        gateway=row["gateway"],
        meter=row["meter"],
        event=row["event"],
        time_s=row["time_s"],
        text=row["text"],
        clock=row["clock"],
    )
