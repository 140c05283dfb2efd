"""Numbers for Prometheus, and for whoever wants to be rung out of bed: text format 0.0.4."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from collector import fleet
from collector.store.findings import KINDS
from collector.store.reader import Reader

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[dict[str, str], float]


def text(reader: Reader, database: Path, commit_s: Sequence[float], now_s: int) -> str:
    """Give all metrics."""
    return "".join(
        [
            *_family("gateways", "gauge", "gateways that told a status", [({}, len(reader.heard()))]),
            *_gateways(reader, now_s),
            *_streams(reader),
            *_findings(reader),
            *_family("records_total", "counter", "records stored", [({}, reader.record_count())]),
            *_family("rejected_total", "counter", "messages that could not be read", [({}, reader.rejected_count())]),
            *_family("store_bytes", "gauge", "size of the database with its log", [({}, _bytes(database))]),
            *_family("commit_seconds", "gauge", "duration of the last 1000 commits", _quantiles(commit_s)),
        ]
    )


def _gateways(reader: Reader, now_s: int) -> Iterator[str]:
    heard: list[Sample] = []
    online: list[Sample] = []
    lag: list[Sample] = []
    memory: list[Sample] = []
    for row in reader.heard():
        name = {"gateway": row["gateway"]}
        heard.append((name, max(0, now_s - row["heard_s"])))
        status = fleet.status_of(row["status"])
        if status is not None:
            online.append((name, status.state == "online"))
            lag.append((name, status.oldest_unreceipted_s or 0))
            memory.append((name, status.storage == "memory"))
    yield from _family("gateway_heard_age_seconds", "gauge", "since anything of it arrived", heard)
    yield from _family("gateway_online", "gauge", "1 while it says so and its will was not published", online)
    yield from _family("gateway_oldest_unreceipted_seconds", "gauge", "as it last told", lag)
    yield from _family("gateway_storage_memory", "gauge", "1 while its disk cannot be written to", memory)


def _streams(reader: Reader) -> Iterator[str]:
    rows = reader.written_now()
    named = [{"gateway": row["gateway"], "stream": row["stream"]} for row in rows]
    numbers = {
        "stream_through": ("records 1 to this one are committed and receipted", [row["through"] for row in rows]),
        "stream_verified": ("last checkpoint that fits", [row["verified"] for row in rows]),
        "stream_highest": ("largest number that arrived", [row["highest"] for row in rows]),
        "stream_missing": (
            "numbers above the receipt up to the highest",
            [max(0, row["highest"] - row["through"]) for row in rows],
        ),
    }
    for name, (meaning, values) in numbers.items():
        yield from _family(name, "gauge", meaning, list(zip(named, values, strict=True)))


def _findings(reader: Reader) -> Iterator[str]:
    rows = {row["kind"]: row for row in reader.finding_counts()}
    kinds = [{"kind": kind} for kind in KINDS]
    for name, column, meaning in (
        ("findings_open", "open", "what does not fit and is not settled; gap is information"),
        ("findings_kept", "total", "what did not fit, settled or not, as far as it is kept"),
    ):
        values = [rows[kind["kind"]][column] if kind["kind"] in rows else 0 for kind in kinds]
        yield from _family(name, "gauge", meaning, list(zip(kinds, values, strict=True)))


def _quantiles(commit_s: Sequence[float]) -> list[Sample]:
    """Give median, 99th percentile and maximum.

    >>> _quantiles([0.1, 0.3, 0.2])[0]
    ({'quantile': '0.5'}, 0.2)
    """
    ordered = sorted(commit_s)
    return [
        ({"quantile": f"{share:g}"}, ordered[max(0, math.ceil(share * len(ordered)) - 1)])
        for share in (0.5, 0.99, 1.0)
        if ordered
    ]


def _bytes(database: Path) -> int:
    files = (database, database.with_name(f"{database.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _family(name: str, kind: str, meaning: str, samples: Sequence[Sample]) -> Iterator[str]:
    """Give one metric with its samples; names of gateways, streams and kinds need no escaping.

    >>> print(*_family("gateways", "gauge", "how many", [({"a": "b"}, 2)]), sep="", end="")
    # HELP flatwatt_gateways how many
    # TYPE flatwatt_gateways gauge
    flatwatt_gateways{a="b"} 2
    """
    yield f"# HELP flatwatt_{name} {meaning}\n# TYPE flatwatt_{name} {kind}\n"
    for labels, value in samples:
        shown = ",".join(f'{key}="{label}"' for key, label in labels.items())
        yield f"flatwatt_{name}{f'{{{shown}}}' if shown else ''} {value:.12g}\n"
