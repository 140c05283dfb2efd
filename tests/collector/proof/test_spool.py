"""A gateway's spool on an auditor's table: whoever touched one row is told its number."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.deliver import chain
from agent.deliver.spool.spool import Spool
from agent.errors import FlatwattError, InputError
from tests.collector.gateway import FakeGateway
from tests.collector.proof.evidence import judged


def spool_of(path: Path, gateway: FakeGateway) -> None:
    """Let a gateway write twelve records into its spool, and a receipt cover the first five."""
    spool = Spool(path, gateway.gateway)
    gateway.stream, gateway.head = spool.stream, chain.first_head(gateway.gateway, spool.stream)
    messages = [gateway.event("first start", None, "start"), *gateway.windows(5), gateway.alarm()]
    with spool.batch() as batch:
        for topic, payload in messages:
            batch.add(topic.split("/")[4], topic, payload)
    spool.receipt(5)
    spool.close()


def touched(path: Path, sql: str) -> None:
    """Change the file behind the agent's back."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql)
        db.commit()


ALTER = "UPDATE record SET payload = CAST(replace(CAST(payload AS TEXT), '12000', '12001') AS BLOB) WHERE seq = 8"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", None),
        (ALTER, ("altered", 8)),
        ("DELETE FROM record WHERE seq = 7", ("missing", 7)),
        ("DELETE FROM record WHERE seq > 10", ("missing", 11)),
        ("UPDATE record SET seq = 20 WHERE seq = 9", ("reordered", 9)),
    ],
)
def test_the_number_of_a_row_that_was_touched_is_named(
    tmp_path: Path, sql: str, expected: tuple[str, int] | None
) -> None:
    """Altered by one digit, deleted, cut off at the end, or given another number."""
    gateway = FakeGateway()
    spool_of(tmp_path / "spool.db", gateway)
    touched(tmp_path / "spool.db", sql)

    verdict = judged(tmp_path / "spool.db", gateway.public_key)

    (stream,) = verdict.followed
    assert (stream.fault and (stream.fault.what, stream.fault.seq)) == expected
    assert verdict.ok == (expected is None)
    assert (stream.first_seq, stream.proved) == (6, 11) if expected is None else stream.proved < 11


def test_without_the_gateways_key_a_spool_proves_nothing(tmp_path: Path) -> None:
    """It holds none; the line says what to name."""
    spool_of(tmp_path / "spool.db", FakeGateway())

    with pytest.raises(InputError, match="name the gateway's with --key"):
        judged(tmp_path / "spool.db")


def test_a_spool_that_is_in_use_is_said_to_be(tmp_path: Path) -> None:
    """An agent holds it alone; the line says what to do."""
    spool_of(tmp_path / "spool.db", FakeGateway())
    spool = Spool(tmp_path / "spool.db", "campus-01")

    with pytest.raises(FlatwattError, match="where an agent has it open, stop it, or copy the file"):
        judged(tmp_path / "spool.db", FakeGateway().public_key)
    spool.close()
