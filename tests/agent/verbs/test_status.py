"""``flatwatt status``: what the agent counts, and what to do about it."""

import asyncio
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from agent.acquire.poll.poller import Poller
from agent.acquire.poll.statistics import BusStatistics, MeterStatistics, PollStatistics
from agent.acquire.poll.status_file import ask_for_status, stop_asking, write_status
from agent.chores import keep_status
from agent.cli import main
from agent.clock import SystemClock
from agent.commission.advice import advice
from agent.verbs import status as module
from bench.fairness import virtually
from tests.agent.verbs.deliveries import delivery

GATEWAY = """
id = "gw-1"
state_dir = "state"
[site]
name = "Site"
kind = "office"
[mqtt]
url = "mqtts://broker.example"
[[bus]]
name = "hall"
url = "tcp://127.0.0.1:1"
[[meter]]
id = "main"
bus = "hall"
unit = 1
profile = "eastron_sdm120"
"""


def meter(**changes: object) -> MeterStatistics:
    """A meter that answers well; ``changes`` replace its counts."""
    fields: dict[str, object] = {
        "bus": "hall",
        "unit": 7,
        "polls": 1000,
        "failures": {},
        "out_of_range": 0,
        "missed": 0,
        "late": 0,
        "silent_polls": 0,
        "silent_until_s": -math.inf,
        "last_error": "",
        "p50_s": 0.021,
        "p99_s": 0.035,
        "timeout_s": 0.1,
        "learned": "",
    }
    return MeterStatistics(**(fields | changes))  # type: ignore[arg-type]


def statistics(bus: BusStatistics | None = None, **meters: MeterStatistics) -> PollStatistics:
    """The counts of one bus."""
    idle = BusStatistics(overruns=0, utilisation=0.4, period_p95_s=1.01)
    return PollStatistics(meters=meters, buses={"hall": bus or idle})


@pytest.fixture
def gateway(tmp_path: Path) -> Path:
    """A configuration whose agent has a folder."""
    path = tmp_path / "gateway.toml"
    path.write_text(GATEWAY)
    (tmp_path / "state").mkdir()
    return path


@pytest.fixture
def agent(gateway: Path) -> Iterator[Callable[[PollStatistics], None]]:
    """An agent that answers with the counts that it is given."""
    over = threading.Event()
    path = gateway.parent / "state/status.json"

    def answer(counts: PollStatistics) -> None:
        while not over.wait(0.01):
            if stop_asking(path):
                write_status(path, counts, delivery(), 5000.0)

    threads: list[threading.Thread] = []

    def start(counts: PollStatistics) -> None:
        threads.append(threading.Thread(target=answer, args=(counts,)))
        threads[0].start()

    yield start
    over.set()
    threads[0].join()


def test_tables_show_buses_meters_lessons_and_next_steps(
    gateway: Path, agent: Callable[[PollStatistics], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """One look tells who answers, how fast, who does not, and what to do."""
    silent = meter(
        unit=9,
        failures={"timeout": 5},
        silent_polls=5,
        silent_until_s=5012.0,
        last_error="no answer within 0.20 s",
        p50_s=math.nan,
        p99_s=math.nan,
    )
    agent(statistics(main=meter(learned="refuses 0x0014", missed=2), ghost=silent))

    code = main(["status", "-c", str(gateway)])
    output = capsys.readouterr().out

    assert code == 0
    assert [line.split() for line in output.splitlines() if line.startswith(("hall", "main", "ghost"))] == [
        ["hall", "2", "40%", "1.01", "0"],
        ["main", "hall", "7", "answers", "1000", "21", "35", "2", "missed"],
        [
            "ghost",
            "hall",
            "9",
            "silent,",
            "asked",
            "in",
            "12",
            "s",
            "1000",
            "-",
            "-",
            "5",
            "timeout",
        ],
    ]
    assert "main refuses 0x0014" in output
    assert "meter ghost (unit 9 on hall) has not answered 5 polls in a row: no answer within 0.20 s; check" in output


def test_json_holds_what_is_not_known_as_null(
    gateway: Path, agent: Callable[[PollStatistics], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A program gets the same counts, with the advice, and no NaN."""
    agent(statistics(main=meter(p50_s=math.nan)))

    main(["status", "-c", str(gateway), "--json"])
    status = json.loads(capsys.readouterr().out)

    assert (status["gateway"], status["time_s"], status["advice"]) == ("gw-1", 5000.0, [])
    assert status["meters"]["main"]["p50_s"] is None
    assert status["meters"]["main"]["silent_until_s"] is None
    assert status["buses"]["hall"]["utilisation"] == 0.4


def test_old_counts_are_shown_and_said(
    gateway: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An agent that died leaves its last counts, and no question is left for the next one."""
    monkeypatch.setattr(module, "_ANSWER_S", 0.0)
    path = gateway.parent / "state/status.json"
    write_status(path, statistics(main=meter()), delivery(), 5000.0)
    os.utime(path, (time.time() - 300, time.time() - 300))

    code = main(["status", "-c", str(gateway)])

    assert code == 1
    output = capsys.readouterr()
    assert "main" in output.out
    assert "is 300 s old, and the agent does not answer: is `flatwatt run` running?" in output.err
    assert [file.name for file in path.parent.iterdir()] == ["status.json"]


def test_agent_writes_when_it_is_asked_and_seldom_else(tmp_path: Path) -> None:
    """A memory card is not worn out by counts that nobody reads."""
    path = tmp_path / "status.json"
    written_ns = []

    async def report() -> None:
        poller = Poller([], period_s=1.0, slow_period_s=60.0, random=Random(0))
        reporting = asyncio.create_task(keep_status(poller, delivery, path, SystemClock()))
        for second in range(1000):
            if second == 900:
                ask_for_status(path)
            await asyncio.sleep(1.0)
            if path.stat().st_mtime_ns not in written_ns:
                written_ns.append(path.stat().st_mtime_ns)
        reporting.cancel()

    virtually(report())

    assert len(written_ns) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["status.json"]


@pytest.mark.parametrize(
    ("content", "said"), [(None, "is not there"), ("{", "cannot be read"), ("[]", "cannot be read")]
)
def test_counts_that_are_not_there_or_damaged(
    gateway: Path,
    content: str | None,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line says what to do."""
    monkeypatch.setattr(module, "_ANSWER_S", 0.0)
    if content is not None:
        (gateway.parent / "state/status.json").write_text(content)

    code = main(["status", "-c", str(gateway)])

    assert code == 2
    assert said in capsys.readouterr().err


FULL = BusStatistics(overruns=400, utilisation=0.99, period_p95_s=2.3)
CROWDED = BusStatistics(overruns=40, utilisation=0.6, period_p95_s=2.0)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (statistics(FULL), "bus hall is in use 99% of the time: raise poll.period_s to 5, or move"),
        (statistics(CROWDED), "bus hall skipped 40 ticks: look for slow or silent meters"),
        (statistics(m=meter(failures={"garbage": 30}, last_error="3 bytes")), "check baud, parity and termination"),
        (statistics(m=meter(out_of_range=300)), "gave 300 impossible values: check its profile"),
        (statistics(m=meter(missed=50)), "missed 50 ticks: the bus had no time for it"),
    ],
)
def test_advice_names_the_next_step(counts: PollStatistics, said: str, tmp_path: Path) -> None:
    """Whatever is wrong comes with what to do."""
    write_status(tmp_path / "status.json", counts, delivery(), 0.0)

    (text,) = advice(json.loads((tmp_path / "status.json").read_text()), period_s=1.0)

    assert said in text


def test_noise_is_no_advice(tmp_path: Path) -> None:
    """A retry now and then is the life of a long line, and a search is made of refusals."""
    noisy = meter(failures={"garbage": 9}, missed=2, late=4)
    taught = meter(polls=60, failures={"exception": 8}, learned="refuses 0x0014")
    write_status(tmp_path / "status.json", statistics(noisy=noisy, taught=taught), delivery(), 0.0)

    assert advice(json.loads((tmp_path / "status.json").read_text()), period_s=1.0) == []
