"""What an auditor asks first: is each stream whole, signed and unaltered, and what was refused."""

from dataclasses import dataclass

from collector import fleet
from collector.state import FindingState
from collector.store.reader import Reader

STREAMS, REJECTED, EVENTS = 200, 50, 100  # what a list shows at most


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """A stream: ``1..through`` are committed and chained, and signed as far as checkpoint ``verified``."""

    gateway: str
    stream: str
    through: int
    head: str
    highest: int
    verified: int
    received_s: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The whole of ``/api/evidence``. ``rejected_count`` counts all that ever were; the list holds the newest."""

    findings: list[FindingState]
    streams: list[StreamState]
    rejected_count: int
    rejected: list[Rejected]
    events: list[EventState]


def evidence(reader: Reader) -> Evidence:
    """Give findings, streams, rejected messages and events."""
    rejected = reader.rejected(REJECTED)
    return Evidence(
        findings=fleet.findings(reader),
        streams=[
            StreamState(
                gateway=row["gateway"],
                stream=row["stream"],
                through=row["through"],
                head=row["head"].hex(),
                highest=row["highest"],
                verified=row["verified"],
                received_s=row["received_s"],
            )
            for row in reader.streams(STREAMS)
        ],
        rejected_count=rejected[0]["id"] if rejected else 0,
        rejected=[
            Rejected(
                topic=row["topic"],
                why=row["why"],
                bytes=row["bytes"],
                payload=row["payload"].decode("utf-8", "backslashreplace"),
                time_s=row["time_s"],
            )
            for row in rejected
        ],
        events=[
            EventState(
                gateway=row["gateway"], meter=row["meter"], event=row["event"], time_s=row["time_s"], text=row["text"]
            )
            for row in reader.events(EVENTS)
        ],
    )
