"""A week without an uplink, and the day it comes back.

python -m bench.delivery outage           7 days of 20 meters, 13,440 summaries; then 30 with a spool too small
python -m bench.delivery outage --short   half a day, and 20 days with the small spool: a minute and a half

A proxy cuts the line between agent and broker, and the agent goes on in fast motion. When the line is
back a window ends every 2 s of real time, so that some dozens of them fall into the drain. A window is
live from the moment at which the clock passes its end until the last of its summaries stands in the
collector's database.
"""

import json
import sqlite3
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.deliver import wire
from bench.delivery import site
from bench.delivery.ledger import Life, judge
from firmware_sim.plant import Plant
from firmware_sim.scenario import read_scenario
from firmware_sim.truth import truth
from tests.broker import mosquitto
from tests.facility import Facility
from tests.faults.proxy import FaultyLine, faulty_line

PERIOD_S, WINDOW_S = 300.0, 900
LIVE_WINDOW_S = 2.0  # of real time, while the backlog drains
LIVE_AFTER = 5  # windows that are awaited when all is drained
UPLINK_S = 3600  # simulated, before the line is cut
DRAIN_S = 900.0  # more is a failure
SMALL_BYTES = 8 * 2**20  # the least that the configuration takes; 30 days of 20 meters need four times as much
_FAST = 1e6


@dataclass
class _Wire:
    """Counts what the agent sends, at the broker."""

    port: int
    sent: int = 0
    numbers: set[tuple[str, int]] = field(default_factory=set)

    def listen(self) -> None:
        """Come back whenever the broker does."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, "wire", clean_session=False)
        client.reconnect_delay_set(1, 1)
        client.on_connect = _ask
        client.on_message = lambda _client, _data, message: self._count(bytes(message.payload))
        client.connect("127.0.0.1", self.port)
        client.loop_start()

    def _count(self, payload: bytes) -> None:
        record = json.loads(payload) if payload else {}
        if "seq" in record:
            self.sent += 1
            self.numbers.add((record["stream"], record["seq"]))


def _ask(client: mqtt.Client, *_: object) -> None:
    client.subscribe(f"{wire.ROOT}/+/up/#", qos=1)


@dataclass
class _Latency:
    """When each live window ended by the clock, and when it stood at the collector, in real seconds."""

    parts: Facility
    ended: dict[int, float] = field(default_factory=dict)
    stored: dict[int, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    def watch(self, from_s: int) -> None:
        """Look every 20 ms until :meth:`stop`."""
        threading.Thread(target=self._run, args=(from_s,), daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def _run(self, next_s: int) -> None:
        with closing(sqlite3.connect(f"file:{self.parts.database}?mode=ro", uri=True)) as db:
            while not self._over.wait(0.02):
                if self.parts.now_s() >= next_s + WINDOW_S:
                    self.ended[next_s] = time.monotonic()
                    next_s += WINDOW_S
                for start_s in self.ended.keys() - self.stored.keys():
                    if _count(db, start_s) == len(site.METERS):
                        self.stored[start_s] = time.monotonic()

    def seconds(self) -> list[float]:
        """Give the seconds that each window took; one that never came counts until now."""
        now_s = time.monotonic()
        return sorted(self.stored.get(start_s, now_s) - ended_s for start_s, ended_s in self.ended.items())


def _count(db: sqlite3.Connection, start_s: int) -> int:
    marks = ",".join("?" * len(site.METERS))
    select = f"SELECT count(*) FROM summary WHERE gateway = ? AND meter IN ({marks}) AND start_s = ?"
    return int(db.execute(select, (site.GATEWAY, *site.METERS, start_s)).fetchone()[0])


def measure(seed: int, *, short: bool) -> dict[str, Any]:
    """Give the figures of both variants; there is no chance in them."""
    week = _outage(0.5 if short else 7.0)
    print(json.dumps(week), flush=True)
    small = _bounded(20.0 if short else 30.0)
    return {"seed": seed, "week": week, "small_spool": small, "holds": week["holds"] and small["holds"]}


def _outage(days: float) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(mosquitto(folder, "max_queued_messages 0"))
        parts = stack.enter_context(site.site(folder, broker, period_s=PERIOD_S, window_s=WINDOW_S, speed=_FAST))
        line = stack.enter_context(faulty_line(broker.host, broker.port, seed=0))
        site.configure(folder, f"127.0.0.1:{broker.port}", line.address)
        site.configure(folder, "resend_after_s = 2.0", "")  # the default, as at a real site
        end_s = _go_through(parts, line, days, PERIOD_S)
        sent = _Wire(broker.port)
        sent.listen()
        line.mend()
        backlog = round(days * site.DAY_S / WINDOW_S) * len(site.METERS)
        drained_s, latency = _drain(parts, end_s)
        lives = [Life(site.START_S, end_s + PERIOD_S), Life(end_s, parts.now_s())]
        time.sleep(1.0)
        verdict = judge(parts.database, lives, site.METERS, PERIOD_S, WINDOW_S)
        first, last = _last_before(site.START_S + UPLINK_S), _last_before(end_s)
        (records,) = parts.query(f"SELECT count(*) FROM record WHERE seq > ({first}) AND seq <= ({last})")[0]
        log = parts.agent.log.read_text()
    live = latency.seconds()
    return {
        "days": days,
        "summaries": backlog,
        "records": records,
        "drained_s": drained_s,
        "records_per_s": records / drained_s,
        "live_windows": len(live),
        "live_s": {"p50": live[len(live) // 2], "max": live[-1]},
        "sent": sent.sent,
        "unique": len(sent.numbers),
        "lost": verdict.lost,
        "duplicated": verdict.duplicated,
        "broken": verdict.broken,
        "warnings": sorted({line.split(" ", 3)[-1] for line in log.splitlines() if "WARNING" in line})[:10],
        "holds": verdict.holds and live[-1] < 10.0,
    }


def _last_before(end_s: float) -> str:
    return f"SELECT max(seq) FROM summary WHERE start_s < {end_s:.0f}"


def _go_through(parts: Facility, line: FaultyLine, days: float, period_s: float) -> int:
    """Measure for an hour with the broker and for some days without; give when the outage ends."""
    cut_s = site.START_S + UPLINK_S
    end_s = round(cut_s + days * site.DAY_S)
    _measure_until(parts, cut_s, period_s)
    line.cut()
    _measure_until(parts, end_s, period_s)
    return end_s


def _measure_until(parts: Facility, until_s: int, period_s: float) -> None:
    agent = site.agent(parts.folder, _FAST, until_s)
    agent.start()
    site.wait_until(agent, parts, until_s - period_s)
    time.sleep(1.0)  # the last window is committed
    agent.end()
    site.pass_time(parts, until_s - parts.now_s())


def _drain(parts: Facility, end_s: int) -> tuple[float, _Latency]:
    """Measure on, slowly, until all of the outage is at the collector and some live windows after it."""
    latency = _Latency(parts)
    parts.agent = site.agent(parts.folder, WINDOW_S / LIVE_WINDOW_S)
    began_s = time.monotonic()
    parts.agent.start()
    latency.watch(end_s)
    wanted = (end_s - site.START_S) // WINDOW_S * len(site.METERS)
    arrived = f"SELECT count(*) FROM summary WHERE start_s < {end_s}"
    site.wait(parts.agent, lambda: parts.query(arrived)[0][0] >= wanted, DRAIN_S)
    drained_s = time.monotonic() - began_s
    seen = len(latency.stored)
    site.wait(parts.agent, lambda: len(latency.stored) >= seen + LIVE_AFTER)
    latency.stop()
    parts.agent.kill()
    return drained_s, latency


def _bounded(days: float) -> dict[str, Any]:
    """Let the spool be too small for the outage: kWh must survive in the gap records."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(mosquitto(folder, "max_queued_messages 0"))
        parts = stack.enter_context(site.site(folder, broker, period_s=WINDOW_S, window_s=WINDOW_S, speed=_FAST))
        line = stack.enter_context(faulty_line(broker.host, broker.port, seed=0))
        site.configure(folder, f"127.0.0.1:{broker.port}", line.address)
        bounds = f"spool_bytes = {SMALL_BYTES}\ndrain_per_s = 5000"
        site.configure(folder, 'mode = "collector"', f'mode = "collector"\n{bounds}')
        end_s = _go_through(parts, line, days, WINDOW_S)
        size = sum(path.stat().st_size for path in (folder / "state").glob("spool.db*"))
        line.mend()
        last = site.agent(folder, _FAST, end_s + 4 * WINDOW_S)
        last.start()
        code = last.finish(400)
        (highest,) = parts.query("SELECT max(seq) FROM record")[0]
        (through,) = parts.query("SELECT through FROM stream")[0]
        rows = parts.query("SELECT payload FROM record")
        scenario = read_scenario(folder / "scenario.toml", site.START_S)
    records = [json.loads(payload) for (payload,) in rows]
    _, true = truth(Plant(scenario), end_s + 4 * WINDOW_S)
    errors = {meter: _load_wh(records, meter) / (1000 * true[meter].load_kwh) - 1 for meter in site.METERS}
    gaps = [record for record in records if record["kind"] == "gap"]
    there = {record["seq"] for record in records}
    declared = {seq for gap in gaps for seq in range(gap["from_seq"], gap["through_seq"] + 1)}
    undeclared = highest - len(there | declared)
    worst = max(errors.values(), key=abs)
    return {
        "days": days,
        "spool_bytes": SMALL_BYTES,
        "spool_file_bytes": size,
        "gaps": len(gaps),
        "dropped": len(declared - there),
        "arrived": len(there),
        "undeclared": undeclared,
        "through": through,
        "highest": highest,
        "worst_kwh_error": worst,
        "exit_code": code,
        "holds": bool(gaps) and not undeclared and abs(worst) < 1e-3 and through == highest and code == 0,
    }


def _load_wh(records: list[dict[str, Any]], meter: str) -> float:
    """Give a meter's energy: of the summaries that arrived, and of those that a gap stands for."""
    arrived = {r["start_s"]: r for r in records if r["kind"] == "summary" and r["meter"] == meter}
    told = sum(r["active_power_w"] * r["window_s"] * r["coverage"] / 3600 for r in arrived.values())
    gaps = [total for r in records if r["kind"] == "gap" for total in r["totals"] if total["meter"] == meter]
    return float(told + sum(total["load_wh"] for total in gaps))
