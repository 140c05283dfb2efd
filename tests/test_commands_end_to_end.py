"""Commands of an operator to a gateway that measures: real processes, a real broker."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.publish
import paho.mqtt.subscribe
import pytest

from agent.cli import main
from agent.deliver import wire
from firmware_sim.testing import one_bus, simulated_meters
from tests.broker import Broker, mosquitto
from tests.facility import Part
from tests.operator import Operator

PATIENCE_S = "20"
GATEWAY = """
id = "campus-01"
[site]
name = "Campus"
kind = "campus"
[poll]
period_s = 0.2
slow_period_s = 0.2
window_s = 1
[mqtt]
url = "{broker}"
[commands]
operator_key_file = "operator.key.pub"
[[bus]]
name = "hall"
url = "{meters}"
[[meter]]
id = "main"
bus = "hall"
unit = 1
profile = "eastron_sdm120"
"""


class Gateway:
    """A running agent, and its operator beside it."""

    def __init__(self, folder: Path, broker: Broker, meters: str) -> None:
        self.config = folder / "gateway.toml"
        self.config.write_text(GATEWAY.format(broker=broker.url, meters=meters))
        self.broker = broker
        self.key = folder / "operator.key"
        assert main(["keys", "operator", str(self.key)]) == 0
        # Fast motion at the pace of the real time: its clock is trusted on every machine that tests run on.
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        fast = ("--fast-motion", "clock", "--start", now, "--speed", "1")
        self.agent = Part(folder, "run", "-c", "gateway.toml", *fast)

    def order(self, *words: str) -> list[str]:
        """Give the words of a command to it."""
        return ["command", "campus-01", *words, "--key", str(self.key), "--mqtt", self.broker.url]

    def says(self, text: str) -> bool:
        """Wait until the agent's log says something."""
        deadline = time.monotonic() + float(PATIENCE_S)
        while text not in self.agent.log.read_text():
            assert time.monotonic() < deadline, self.agent.log.read_text()
            time.sleep(0.02)
        return True


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with one meter, polled five times a second in windows of one."""
    folder = tmp_path_factory.mktemp("gateway")
    with mosquitto(folder) as broker, simulated_meters(one_bus("eastron_sdm120")) as meters:
        gateway = Gateway(folder, broker, meters.url())
        gateway.agent.start()
        try:
            yield gateway
        finally:
            gateway.agent.kill()


def ordered(gateway: Gateway, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Order something; give the only reply."""
    capsys.readouterr()
    main([*gateway.order(*words), "--wait", PATIENCE_S, "--json"])
    [reply] = json.loads(capsys.readouterr().out)["replies"]
    return dict(reply)


def born(gateway: Gateway, interval: str) -> dict[str, Any]:
    """Wait for a birth whose intervals are of the file or by command."""
    deadline = time.monotonic() + float(PATIENCE_S)
    while time.monotonic() < deadline:
        topic = wire.topic("campus-01", "status")
        message = paho.mqtt.subscribe.simple(topic, port=gateway.broker.port)  # type: ignore[no-untyped-call]
        status = dict(json.loads(message.payload))
        if (status["state"], status["interval"]) == ("online", interval):
            return status
        time.sleep(0.05)
    raise AssertionError(f"no birth with the interval of the {interval}")


def test_a_diagnosis_tells_of_meters_spool_and_machine(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """What one would look at first."""
    reply = ordered(gateway, capsys, "diagnose")

    assert (reply["state"], reply["text"]) == ("done", "1 meters, 0 of them silent")
    assert {"software", "clock", "last_seq", "spool_bytes", "link_pending", "memory_bytes", "bus hall"} <= set(
        reply["data"]
    )


def test_a_capture_becomes_a_file_of_samples(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """Five a second for two seconds, as the meter gave them."""
    file = gateway.config.with_name("main.csv")

    code = main([*gateway.order("capture", "meter=main", "seconds=2"), "--save", str(file), "--wait", PATIENCE_S])

    head, *rows = file.read_text().splitlines()
    assert code == 0
    assert head.startswith("time,meter,voltage_l1_v,current_l1_a,active_power_w")
    assert len(rows) == 10
    assert {float(row.split(",")[4]) for row in rows} == {1000.0}


def test_records_go_out_again(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """No collector has confirmed them here, so the spool still has all."""
    reply = ordered(gateway, capsys, "resend", "from_seq=1", "through_seq=3")

    assert (reply["state"], reply["data"]["sent"], reply["data"]["gone"]) == ("done", 3, 0)


def test_another_interval_holds_until_a_reload(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """In force from the next window on, shown in the birth, and gone with the reload."""
    shorter = ordered(gateway, capsys, "set_interval", "period_s=0.1")
    by_command = born(gateway, "command")
    reload = ordered(gateway, capsys, "reload")
    by_file = born(gateway, "file")

    assert (shorter["state"], reload["state"]) == ("done", "done")
    assert (by_command["period_s"], by_file["period_s"]) == (0.1, 0.2)
    assert by_command["time_s"] >= shorter["data"]["from_s"]
    assert by_file["time_s"] >= reload["data"]["from_s"]


def test_a_wrong_file_leaves_the_gateway_at_work(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """Every mistake is in the reply, and the next command finds the gateway as it was."""
    good = gateway.config.read_text()
    gateway.config.write_text(good.replace("unit = 1", "unit = 999").replace('kind = "campus"', 'kind = "camp"'))

    reply = ordered(gateway, capsys, "reload")
    gateway.config.write_text(good)

    assert reply["state"] == "failed"
    assert "site.kind" in reply["text"]
    assert "meter[1].unit" in reply["text"]
    assert ordered(gateway, capsys, "diagnose")["state"] == "done"


def test_a_stranger_orders_nothing(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even who can publish on the topic: one record tells of it, with what was wrong."""
    forged = Operator().order("capture", counter=2**50, arguments={"meter": "main", "seconds": 1})

    paho.mqtt.publish.single(wire.topic("campus-01", "command"), forged, qos=1, port=gateway.broker.port)

    assert gateway.says("a command is refused: no command of the operator: signed by another key")


def test_a_gateway_killed_while_it_executes_tells_so(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """The counter was on the disk: the retained command is not executed again."""
    capsys.readouterr()
    main([*gateway.order("capture", "meter=main", "seconds=60"), "--print"])
    message, topic = capsys.readouterr().out.strip(), wire.topic("campus-01", "command")
    paho.mqtt.publish.single(topic, message, qos=1, retain=True, port=gateway.broker.port)
    gateway.says("capture {'meter': 'main', 'seconds': 60}")

    gateway.agent.kill()
    gateway.agent.start()

    assert gateway.says("capture failed: the agent was stopped while it executed this command")
    assert ordered(gateway, capsys, "diagnose")["state"] == "done"
    assert gateway.agent.log.read_text().count("'seconds': 60") == 1
