"""The broker's ways to lose what it has acknowledged, by plain paho and by flatwatt on the same broker in the same run.

    python -m bench.delivery broker           every row, 4 minutes
    python -m bench.delivery broker --short   the kill and the trap of the clean start

Both publish as many messages while their collector is away (but one row, where nothing goes wrong with it
yet it never was there), then the fault happens, then both collectors come. flatwatt's are the summaries of 20 meters.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.delivery import plain, site
from tests.broker import Broker, mosquitto
from tests.facility import Facility

WINDOW_S = 900
_SETTLE_S = 1.5  # for the last acknowledgements, and for autosave_interval 1
_FINISH_S = 330.0  # the agent gives up after 300
_AUTOSAVE = ("autosave_interval 1", "autosave_on_changes true")
_UNLIMITED = ("max_queued_messages 0",)


def _nothing(_broker: Broker) -> None:
    """Let it be."""


def _crash(broker: Broker) -> None:
    broker.kill()
    broker.start()


def _restart(broker: Broker) -> None:
    broker.stop()
    broker.start()


def _wipe(broker: Broker) -> None:
    broker.stop()
    (broker.log.parent / "mosquitto.db").unlink()
    broker.start()


@dataclass(frozen=True, slots=True)
class Row:
    """One case: what happens, with which settings beside the defaults, and how many messages."""

    case: str
    fault: Callable[[Broker], None]
    messages: int
    settings: Sequence[str] = ()
    subscribed: bool = True  # before the messages come
    clean_start: bool = False  # of the plain subscriber; flatwatt's collector has its own way


ROWS = (
    Row("defaults, nothing goes wrong", _nothing, 3000),
    Row("defaults, `kill -9`", _crash, 500),
    Row("`autosave_interval 1`, `autosave_on_changes true`, `kill -9`", _crash, 500, _AUTOSAVE),
    Row("`max_queued_messages 0`, nothing goes wrong", _nothing, 3000, _UNLIMITED),
    Row("`max_queued_messages 0`, SIGTERM and restart", _restart, 3000, _UNLIMITED),
    Row("`max_queued_messages 0`, `kill -9`", _crash, 3000, _UNLIMITED),
    Row("collector never there before", _nothing, 500, subscribed=False),
    Row("collector with `clean_start=1`, SIGTERM and restart", _restart, 200, clean_start=True),
    Row("collector with `clean_start=0`, SIGTERM and restart", _restart, 200),
    Row("collector with `clean_start=0`, autosave, `kill -9`", _crash, 200, _AUTOSAVE),
    Row("database wiped", _wipe, 500),
)
_SHORT = (1, 7)


def measure(seed: int, *, short: bool) -> dict[str, Any]:
    """Give the figures; there is no chance in them."""
    rows = [ROWS[number] for number in _SHORT] if short else ROWS
    found = []
    for row in rows:
        found.append(_one(row))
        print(found[-1], flush=True)
    holds = all(not (each["ours_lost"] or each["ours_duplicated"] or each["exit_code"]) for each in found)
    return {"seed": seed, "rows": found, "holds": holds}


def _one(row: Row) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        persistence = ("persistence true", f"persistence_location {folder}/")
        broker = stack.enter_context(mosquitto(folder, *persistence, *row.settings))
        parts = _site(stack, folder, broker, row)
        reasons = plain.publish(broker.port, row.messages)
        until_s = site.START_S + row.messages // len(site.METERS) * WINDOW_S
        agent = site.agent(folder, 1e6, until_s)
        parts.agent = agent
        agent.start()
        site.wait_until(agent, parts, until_s - WINDOW_S)
        time.sleep(_SETTLE_S)
        row.fault(broker)
        parts.collector.start()
        came, different = plain.receive(broker.port)
        code = agent.finish(_FINISH_S)
        told, windows = parts.query("SELECT count(*), count(DISTINCT meter || start_s) FROM summary")[0]
        (copies,) = parts.query("SELECT count(*) FROM record WHERE kind = 'summary'")[0]
    return {
        "case": row.case,
        "messages": row.messages,
        "pubacks": reasons,
        "plain_lost": row.messages - different,
        "plain_duplicated": came - different,
        "ours_lost": row.messages - windows,
        "ours_duplicated": copies - told,
        "exit_code": code,
    }


def _site(stack: ExitStack, folder: Path, broker: Broker, row: Row) -> Facility:
    """Give meters, and collectors that have been there and gone; or, never subscribed, that have not."""
    if not row.subscribed:
        broker.stop()
    parts = stack.enter_context(site.site(folder, broker, period_s=WINDOW_S, window_s=WINDOW_S, speed=1e6))
    if row.subscribed:
        plain.subscribe(broker.port, clean_start=row.clean_start)
        site.wait(parts.collector, lambda: "subscribed" in parts.collector.log.read_text())
    parts.collector.kill()
    if not row.subscribed:
        broker.start()
    return parts
