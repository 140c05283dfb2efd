"""How the daemon ends: on a failure, on a signal, at the end of a run in fast motion."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli import main
from agent.deliver.link.outbox import Outbox
from agent.deliver.spool.spool import Spool
from agent.errors import FlatwattError
from agent.gateway import opening_events
from agent.pipeline import Pipeline
from tests.broker import mosquitto

GATEWAY = """
id = "lonely"
name = "Lonely"
state_dir = "state"
[site]
name = "Nowhere"
kind = "office"
[mqtt]
url = "mqtt://127.0.0.1:{port}"
[poll]
period_s = {period_s}
slow_period_s = 3600.0
window_s = 3600
[[bus]]
name = "tcp"
url = "tcp://127.0.0.1:9"
[[meter]]
id = "main"
name = "Main"
bus = "tcp"
unit = 1
profile = "eastron_sdm630"
"""


def configuration(folder: Path, period_s: float = 1.0, port: int = 9) -> str:
    """Write a gateway with a meter that does not answer; give its path."""
    path = folder / "gateway.toml"
    path.write_text(GATEWAY.format(period_s=period_s, port=port))
    return str(path)


@contextlib.contextmanager
def daemon(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the daemon as a process of its own; it is at work when this returns."""
    command = [sys.executable, "-m", "agent.cli", "run", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            assert any("no connection to the broker" in line for line in iter(process.stderr.readline, ""))
            yield process
        finally:
            process.kill()


def test_a_pipeline_that_fails_ends_the_daemon_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and exit code 1, although records wait for a broker that is not there."""

    async def fail(_pipeline: Pipeline, _until_s: float) -> None:
        await asyncio.sleep(0.1)
        raise FlatwattError("the disk is full")

    monkeypatch.setattr(Pipeline, "run", fail)
    begin = time.monotonic()

    code = main(["run", "-c", configuration(tmp_path)])

    assert code == 1
    assert capsys.readouterr().err == "flatwatt run: the disk is full\n"
    assert time.monotonic() - begin < 5


def test_a_publisher_that_fails_ends_the_daemon_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The spool cannot be read: nobody waits for the next tick, an hour away."""

    def fail(_outbox: Outbox, _now_s: float) -> None:
        raise FlatwattError("the spool cannot be read")

    monkeypatch.setattr(Outbox, "take", fail)
    begin = time.monotonic()

    with mosquitto(tmp_path) as broker:
        code = main(["run", "-c", configuration(tmp_path, 3600.0, broker.port)])

    assert code == 1
    assert capsys.readouterr().err == "flatwatt run: the spool cannot be read\n"
    assert time.monotonic() - begin < 5


def test_what_cannot_be_reached_is_told_in_a_line_each(tmp_path: Path) -> None:
    """Without broker and without meters the daemon says so once, goes on, and ends cleanly on a signal."""
    command = [sys.executable, "-m", "agent.cli", "run", "-c", configuration(tmp_path)]
    log = tmp_path / "log"
    with log.open("w") as file, subprocess.Popen(command, stderr=file) as process:
        deadline = time.monotonic() + 60  # a busy machine; what works takes a second
        while not all(text in log.read_text() for text in ("no connection to the broker", "cannot be opened")):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        time.sleep(2.5)  # it polls and connects again, and has no news
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    said = log.read_text()

    assert process.returncode == 0
    assert said.count("no connection to the broker at 127.0.0.1:9") == 1
    assert said.count("bus tcp cannot be opened") == 1
    assert len(said.splitlines()) < 8
    assert "Traceback" not in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_for_a_tick(tmp_path: Path, number: signal.Signals) -> None:
    """The next tick is up to an hour away; the daemon is gone in seconds, and in order."""
    with daemon("-c", configuration(tmp_path, 3600.0)) as process:
        begin = time.monotonic()

        process.send_signal(number)
        _, said = process.communicate(timeout=10)

    assert process.returncode == 0
    assert time.monotonic() - begin < 3
    assert "Traceback" not in said


def test_a_signal_ends_the_wait_for_the_last_receipts(tmp_path: Path) -> None:
    """At --until the daemon waits for the collector, but a person may have no time."""
    with daemon("-c", configuration(tmp_path), "--until", "2020-01-01") as process:
        time.sleep(0.5)
        still_waiting = process.poll() is None
        begin = time.monotonic()

        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)

    assert still_waiting
    assert process.returncode == 0
    assert time.monotonic() - begin < 3


def test_a_run_that_ends_unconfirmed_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At --until a program may rely on exit code 0: the collector has everything."""
    monkeypatch.setattr("agent.gateway._LAST_RECEIPTS_S", 0.2)

    code = main(["run", "-c", configuration(tmp_path), "--until", "2020-01-01"])

    assert code == 1
    assert "records not confirmed yet: 1; they wait in the spool" in caplog.text


def test_a_damaged_spool_is_no_first_start(tmp_path: Path) -> None:
    """The upkeep says what was lost; nothing claims that this gateway is new."""
    (tmp_path / "spool.db").write_bytes(b"garbage" * 1000)
    spool = Spool(tmp_path / "spool.db", "gw")
    spool.close()

    assert [event.event for event in opening_events(spool, 0, 1000)] == []


def test_a_start_without_fast_motion_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real time cannot be chosen."""
    code = main(["run", "-c", configuration(tmp_path), "--start", "2026-01-05"])

    assert code == 2
    assert "--start needs --fast-motion" in capsys.readouterr().err
