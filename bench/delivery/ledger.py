"""What must be at the collector, told by the clock and the lives of the agent, and what is there.

The clock is the meters' own, a file that outlives every process. An agent that lived while it went
from ``began_s`` to ``ended_s`` has committed each window whose last tick it had left behind. A window
that it was about to close when it died may be there or not; one that it had not reached may not.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.deliver import chain
from agent.errors import EvidenceError

Window = tuple[int, int]  # start, end


@dataclass(frozen=True, slots=True)
class Life:
    """One run of an agent, in simulated time; it polled at ``began_s`` and every period from there on."""

    began_s: float
    ended_s: float

    def certain(self, period_s: float, window_s: int) -> Iterator[int]:
        """Give the start of each window that this agent has closed for sure."""
        start_s = int(self.began_s // window_s) * window_s
        while start_s + window_s + period_s <= self.ended_s:
            yield start_s
            start_s += window_s

    def last_possible(self, window_s: int) -> int | None:
        """Give the window that it may have closed at the moment of its end."""
        start_s = int(self.ended_s) - window_s
        on_the_edge = self.ended_s % window_s == 0 and self.began_s < self.ended_s
        return start_s if on_the_edge else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The comparison of ledger and collector; all but the first four must be zero."""

    windows: int  # that some agent closed for sure
    summaries: int  # stored
    checkpoints: int  # of which every signature and head was checked
    declared: int  # windows that nobody was there to close, told by a restart event
    lost: int  # (meter, window) that was committed for sure and is not stored
    duplicated: int  # (meter, window) stored more than once, and records with a number that was there before
    undeclared: int  # (meter, window) not stored, and no restart tells of it
    invented: int  # (meter, window) stored that nobody can have measured
    wrong_coverage: int  # stored with another coverage than the agent that closed it can have had
    broken: int  # records at which a chain breaks, numbers that are missing, checkpoints that do not fit

    @property
    def whole(self) -> bool:
        """Whether nothing is lost, doubled or altered; where meters fail, coverage says so and is as it may be."""
        return not (self.lost + self.duplicated + self.undeclared + self.invented + self.broken)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return self.whole and not self.wrong_coverage


def judge(database: Path, lives: Sequence[Life], meters: Sequence[str], period_s: float, window_s: int) -> Verdict:
    """Compare everything that a collector holds of one gateway with the lives of its agent."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT gateway, stream, seq, kind, payload FROM record ORDER BY stream, seq").fetchall()
        (public_key,) = db.execute("SELECT public_key FROM gateway").fetchone()
    records = [json.loads(payload) for *_, payload in rows]
    told = [(record["meter"], record["start_s"]) for record in records if record["kind"] == "summary"]
    coverage = {(r["meter"], r["start_s"]): r["coverage"] for r in records if r["kind"] == "summary"}
    certain = {start: life for life in lives for start in life.certain(period_s, window_s)}
    possible = {start for life in lives if (start := life.last_possible(window_s)) is not None}
    declared = _declared(records, window_s)
    span = range(int(_first_s(records) // window_s) * window_s, max(certain, default=0) + window_s, window_s)
    absent = [start for start in span for meter in meters if (meter, start) not in coverage]
    return Verdict(
        windows=len(certain),
        summaries=len(told),
        checkpoints=sum(record["kind"] == "checkpoint" for record in records),
        declared=len(declared.intersection(absent)),
        lost=sum((meter, start) not in coverage for start in certain for meter in meters),
        duplicated=len(told) - len(set(told)),
        undeclared=sum(start not in declared for start in absent),
        invented=sum(start not in certain and start not in possible for _, start in coverage),
        wrong_coverage=sum(
            abs(share - _share(certain[start], start, period_s, window_s)) > 1e-3
            for (_, start), share in coverage.items()
            if start in certain
        ),
        broken=sum(_breaks(rows, public_key)),
    )


def _share(life: Life, start_s: int, period_s: float, window_s: int) -> float:
    """Give the share of a window's ticks at which the agent that closed it was there."""
    there_s = start_s + window_s - max(start_s, life.began_s)
    return (there_s // period_s) * period_s / window_s


def _first_s(records: Iterable[dict[str, Any]]) -> int:
    """Give when measuring began: an agent that died before its first window leaves the beginning to its successor."""
    return max(int(r["time_s"]) for r in records if r["kind"] == "event" and r["event"] == "start")


def _declared(records: Iterable[dict[str, Any]], window_s: int) -> set[int]:
    """Give the windows of which nothing was kept, as the restarts declare them."""
    restarts = [r for r in records if r["kind"] == "event" and r["event"] == "restart"]
    return {
        start
        for restart in restarts
        for start in range(restart["data"]["told_until_s"], restart["time_s"] - window_s + 1, window_s)
    }


def _breaks(rows: Iterable[tuple[str, str, int, str, bytes]], public_key: str) -> Iterator[int]:
    """Walk each chain with nothing but SHA-256, and check every signature; give 1 for each fault."""
    stream, seq, head = "", 0, b""
    for gateway, name, number, kind, payload in rows:
        if name != stream:
            stream, seq, head = name, 0, chain.first_head(gateway, name)
        seq += 1
        yield int(number != seq)
        if kind == "checkpoint":
            yield int(not _fits(json.loads(payload), head, public_key))
        head = hashlib.sha256(head + payload).digest()


def _fits(checkpoint: dict[str, Any], head: bytes, public_key: str) -> bool:
    text = chain.checkpoint_text(
        checkpoint["gateway"], checkpoint["stream"], checkpoint["through"], head.hex(), checkpoint["time_s"]
    )
    try:
        chain.verify(public_key, text, checkpoint["sig"])
    except EvidenceError:
        return False
    return bool(checkpoint["head"] == head.hex())
