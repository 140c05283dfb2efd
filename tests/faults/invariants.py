"""Holds the collector's database against the simulator's truth: ``invariants.sql``, chain and signatures.

The queries give rows that contradict; here they are named and counted. What the agent takes of memory
and disk is asked of the processes, by the test bed.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agent.deliver import chain, wire
from agent.errors import EvidenceError
from firmware_sim.feeder import BLOCK
from firmware_sim.plant import Plant
from firmware_sim.scenario import Scenario

SQL = Path(__file__).with_name("invariants.sql")
_PARTS = re.split(r"^-- (\w+): (.+)$", SQL.read_text(), flags=re.M)
VIEWS = _PARTS[0]
QUERIES = dict(zip(_PARTS[1::3], _PARTS[3::3], strict=True))

Window = tuple[str, int, int]  # meter, start_s, window_s
Stretch = tuple[str, float, float]  # meter, from_s, until_s


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the simulator knows of a run."""

    expected: list[Window]
    power_w: list[tuple[str, int, float]]  # meter, start_s, mean over the window
    mining: dict[str, bool]
    distrusted: list[Stretch] = field(default_factory=list)


def truth_of(scenario: Scenario, start_s: float, until_s: float, window_s: int) -> Truth:
    """Give every whole window of every meter from ``start_s`` to ``until_s``, with its mean power."""
    plant = Plant(scenario)
    first_s, last_s = -(-start_s // window_s) * window_s, until_s // window_s * window_s
    starts = list(range(int(first_s), int(last_s), window_s))
    power = [(meter.id, *row) for meter in scenario.meters for row in _means(plant, meter.id, starts, window_s)]
    return Truth(
        expected=[(meter.id, start_s, window_s) for meter in scenario.meters for start_s in starts],
        power_w=power,
        mining={meter.id: _mines(scenario, meter.id) for meter in scenario.meters},
    )


def _means(plant: Plant, meter: str, starts: list[int], window_s: int) -> Iterator[tuple[int, float]]:
    if not starts:
        return
    step_s = plant.scenario.step_s
    first, last = (plant.step_of(time_s) // BLOCK for time_s in (starts[0], starts[-1] + window_s))
    watts = np.concatenate([plant.feeders[meter].power(block).active_w for block in range(first, last + 1)])
    begins_s = first * BLOCK * step_s
    for start_s in starts:
        from_step = round((start_s - begins_s) / step_s)
        yield start_s, float(np.mean(watts[from_step : from_step + max(1, round(window_s / step_s))]))


def _mines(scenario: Scenario, meter_id: str) -> bool:
    meters = {meter.id: meter for meter in scenario.meters}
    meter = meters[meter_id]
    return any(load.MINING for load in meter.loads) or any(_mines(scenario, inner) for inner in meter.sum_of)


def contradictions(database: Path, truth: Truth) -> dict[str, list[tuple[object, ...]]]:
    """Give, by the name of each query, the rows that it found; and what is wrong with chain and signatures."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute("ATTACH ? AS centre", (str(database),))
        _load(db, truth)
        db.executescript(VIEWS)
        found = {name: db.execute(query).fetchall() for name, query in QUERIES.items()}
        found["unsigned"] = [(text,) for text in broken_evidence(db)]
    return found


def _load(db: sqlite3.Connection, truth: Truth) -> None:
    tables: dict[str, tuple[str, Iterable[tuple[object, ...]]]] = {
        "expected": ("meter, start_s, window_s", truth.expected),
        "truth": ("meter, start_s, active_power_w", truth.power_w),
        "facts": ("meter, mining", truth.mining.items()),
        "distrusted": ("meter, from_s, until_s", truth.distrusted),
    }
    for name, (columns, rows) in tables.items():
        db.execute(f"CREATE TEMP TABLE {name} ({columns})")
        marks = ", ".join("?" for _ in columns.split(","))
        db.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
    db.execute("CREATE INDEX temp.by_window ON truth (meter, start_s)")


def broken_evidence(db: sqlite3.Connection) -> Iterator[str]:
    """Say what is wrong with the chain of each stream and with the signatures in it, from the stored bytes alone."""
    keys = dict(db.execute("SELECT gateway, public_key FROM centre.gateway"))
    for gateway, stream in db.execute("SELECT gateway, stream FROM centre.stream").fetchall():
        rows = db.execute(
            "SELECT seq, payload FROM centre.record WHERE gateway = ? AND stream = ? ORDER BY seq", (gateway, stream)
        )
        yield from _broken_stream(gateway, stream, keys.get(gateway, ""), rows.fetchall())


def _broken_stream(gateway: str, stream: str, key: str, rows: list[tuple[int, bytes]]) -> Iterator[str]:
    """Walk a stream: head by head, over signed gaps, and each checkpoint against its head and the pinned key."""
    messages = {seq: wire.decode(payload) for seq, payload in rows}
    gaps = {message.from_seq: message for message in messages.values() if isinstance(message, wire.Gap)}
    heads = {0: chain.first_head(gateway, stream)}
    head, at = heads[0], 0
    for seq, payload in rows:
        while seq > at + 1:
            covering = (gap for gap in gaps.values() if gap.from_seq <= at + 1 <= gap.through_seq)
            gap = next(covering, None)
            if gap is None:
                yield f"{stream}: record {at + 1} is missing"
                return
            head, at = bytes.fromhex(gap.head), gap.through_seq
            heads[at] = head
        if seq <= at:  # came before the rest of its range was dropped
            continue
        head, at = chain.next_head(head, payload), seq
        heads[at] = head
        message = messages[seq]
        if isinstance(message, wire.Checkpoint):
            yield from _broken_checkpoint(message, heads, key)


def _broken_checkpoint(checkpoint: wire.Checkpoint, heads: dict[int, bytes], key: str) -> Iterator[str]:
    ours = heads.get(checkpoint.through)
    if ours is not None and ours.hex() != checkpoint.head:
        yield f"{checkpoint.stream}: checkpoint {checkpoint.seq} signs another head after {checkpoint.through}"
    text = chain.checkpoint_text(
        checkpoint.gateway, checkpoint.stream, checkpoint.through, checkpoint.head, checkpoint.time_s
    )
    try:
        chain.verify(key, text, checkpoint.sig)
    except EvidenceError as error:
        yield f"{checkpoint.stream}: checkpoint {checkpoint.seq}: {error}"
