"""What the gateway says of itself, and when it says it again."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from agent.deliver.link.herald import Herald, State
from agent.deliver.link.lag import Lag
from agent.deliver.spool.spool import Spool
from tests.agent.deliver.centre import GATEWAY, fill


class Line:
    """Takes what is published."""

    def __init__(self) -> None:
        self.published: list[bytes] = []

    def publish(self, _topic: str, payload: bytes, *, retain: bool) -> int:
        """Take one message."""
        assert retain
        self.published.append(payload)
        return len(self.published)


class Gateway:
    """A herald whose health the test sets."""

    def __init__(self) -> None:
        self.health, self.is_late = "disk", False
        self.line = Line()
        self.herald = Herald("status", self.payload, lambda: self.health, lambda: self.is_late)

    def payload(self, state: State) -> bytes:
        """Say state and health."""
        return f"{state} {self.health}".encode()

    def tick(self, now_s: float) -> list[bytes]:
        """Give what is published at a tick."""
        before = len(self.line.published)
        self.herald.tick(self.line, now_s)  # type: ignore[arg-type] # all it needs of a link
        return self.line.published[before:]


def test_the_status_is_told_again_when_health_changes_and_seldom_else() -> None:
    """A broker's retained message is no heartbeat: a window, a quarter of an hour, is often enough."""
    gateway = Gateway()
    gateway.herald.birth(gateway.line, 0.0)  # type: ignore[arg-type]

    quiet = [said for second in range(1, 900) for said in gateway.tick(second)]
    again = gateway.tick(900)
    gateway.health = "memory"
    changed = gateway.tick(901)

    assert (quiet, again, changed) == ([], [b"online disk"], [b"online memory"])
    assert gateway.tick(902) == []


def test_receipts_that_stay_away_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """In the log, and in the status; again only after they had come back."""
    gateway = Gateway()
    gateway.herald.birth(gateway.line, 0.0)  # type: ignore[arg-type]

    with caplog.at_level(logging.WARNING):
        for second, is_late in enumerate((False, True, True, False, True), start=1):
            gateway.is_late = is_late
            gateway.tick(second)

    assert caplog.text.count("is the collector running?") == 2
    assert len(gateway.line.published) == 4


def test_the_oldest_record_without_a_receipt_and_the_lag_are_measured(tmp_path: Path) -> None:
    """From being written, which the spool does not keep: of what was there at the start, since then."""
    spool = Spool(tmp_path / "spool.db", GATEWAY)
    fill(spool, 20)
    lag = Lag(spool)
    lag.look(100.0)
    fill(spool, 20)
    lag.look(160.0)

    before = lag.oldest_s(170.0)
    spool.receipt(20)
    lag.look(170.0)

    assert (before, lag.last_s, lag.oldest_s(175.0)) == (70.0, 70.0, 15.0)
    spool.receipt(40)
    lag.look(180.0)
    assert (lag.last_s, lag.oldest_s(200.0)) == (20.0, None)


def test_the_measure_of_a_long_outage_stays_small() -> None:
    """Ages are told a little too low at most, and the oldest not at all."""
    spool = SimpleNamespace(stream="s", last_seq=0, receipted=0)
    lag = Lag(cast(Spool, spool))
    for minute in range(20_000):
        spool.last_seq += 21
        lag.look(60.0 * minute)

    assert lag.oldest_s(60.0 * 20_000) == 60.0 * 20_000
    assert len(lag._marks) <= 512
