"""The ledger of the kill loops finds what is wrong with a collector's database, and nothing where all is right."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.deliver import chain
from bench.delivery import page
from bench.delivery.ledger import Life, Verdict, judge

METERS = ("m1", "m2")
LIVES = (Life(0, 190), Life(310, 440))  # killed in the window from 180 on, and away until 310
TOLD = {0: 1.0, 60: 1.0, 120: 1.0, 300: 5 / 6, 360: 1.0}  # the windows that they closed, with their coverage


def records(told: dict[int, float]) -> Iterator[dict[str, Any]]:
    """Give what a gateway with these lives says."""
    yield {"kind": "event", "event": "start", "time_s": 0}
    for start_s, coverage in told.items():
        if start_s == 300:
            yield {"kind": "event", "event": "restart", "time_s": 310, "data": {"told_until_s": 180}}
        for meter in METERS:
            yield {"kind": "summary", "meter": meter, "start_s": start_s, "coverage": coverage}
        yield {"kind": "checkpoint", "time_s": start_s + 60}


def collector(path: Path, said: Iterator[dict[str, Any]]) -> Path:
    """Write a database as a collector does, of a gateway that chains and signs."""
    key, head = chain.new_key(), chain.first_head("gw", "s1")
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE record (gateway, stream, seq, kind, payload)")
        db.execute("CREATE TABLE gateway (public_key)")
        db.execute("INSERT INTO gateway VALUES (?)", (chain.public_text(key),))
        for seq, record in enumerate(said, 1):
            if record["kind"] == "checkpoint":
                text = chain.checkpoint_text("gw", "s1", seq - 1, head.hex(), record["time_s"])
                signed = {"gateway": "gw", "stream": "s1", "through": seq - 1, "head": head.hex()}
                record = record | signed | {"sig": chain.sign(key, text)}
            payload = json.dumps(record | {"seq": seq}).encode()
            db.execute("INSERT INTO record VALUES ('gw', 's1', ?, ?, ?)", (seq, record["kind"], payload))
            head = hashlib.sha256(head + payload).digest()
        db.commit()
    return path


def verdict(path: Path) -> Verdict:
    """Judge a database by the two lives."""
    return judge(path, LIVES, METERS, period_s=10, window_s=60)


def test_two_lives_with_a_declared_pause_between_them_hold(tmp_path: Path) -> None:
    """What was closed is there, what nobody was there to close is declared, and all is chained and signed."""
    found = verdict(collector(tmp_path / "db", records(TOLD)))

    assert found.holds
    assert (found.windows, found.summaries, found.checkpoints, found.declared) == (5, 10, 5, 2)


@pytest.mark.parametrize(
    ("told", "wrong", "count"),
    [
        ({start: share for start, share in TOLD.items() if start != 60}, "lost", 2),
        (TOLD | {180: 1.0}, "invented", 2),
        (TOLD | {300: 1.0}, "wrong_coverage", 2),
    ],
)
def test_windows_that_are_not_as_the_lives_say_are_counted(
    tmp_path: Path, told: dict[int, float], wrong: str, count: int
) -> None:
    """A closed window is absent, nobody can have closed one, one was measured longer than anybody was there."""
    found = verdict(collector(tmp_path / "db", records(told)))

    assert getattr(found, wrong) == count
    assert not found.holds


def test_a_window_that_was_sent_as_two_records_is_a_duplicate(tmp_path: Path) -> None:
    """Two records of one meter and window count, whatever the collector's tables make of them."""
    twice = [*records(TOLD), {"kind": "summary", "meter": "m1", "start_s": 60, "coverage": 1.0}]

    assert verdict(collector(tmp_path / "db", iter(twice))).duplicated == 1


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ("DELETE FROM record WHERE seq = 3", 14 + 5),  # every number after it is one too high, and no checkpoint fits
        ("UPDATE record SET payload = replace(payload, '1.0', '0.9') WHERE seq = 3", 5),  # no checkpoint after it fits
    ],
)
def test_a_record_that_is_missing_or_altered_breaks_the_chain(tmp_path: Path, change: str, faults: int) -> None:
    """The chain is walked from its first record; nothing that the collector noted about it is believed."""
    path = collector(tmp_path / "db", records(TOLD))
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE record SET payload = CAST(payload AS TEXT)")
        db.execute(change)
        db.execute("UPDATE record SET payload = CAST(payload AS BLOB)")
        db.commit()

    assert verdict(path).broken == faults


def test_page_of_delivery_tells_the_last_whole_runs() -> None:
    """Words and figures of the page are those of the template and of the kept runs."""
    assert page.PAGE.read_text() == page.fill(page.kept()), "run `python -m bench.delivery page`"
