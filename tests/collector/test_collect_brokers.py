"""`flatwatt collect` and its broker: away, dead, of an older version, choosy about who comes in."""

import subprocess
import time
from pathlib import Path
from typing import Any

from paho.mqtt import publish
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.broker import amqtt, mosquitto
from tests.collector.gateway import FakeGateway
from tests.collector.program import collector, line
from tests.deploy.authority import Authority


def test_a_broker_that_dies_is_one_line_and_then_all_goes_on(tmp_path: Path) -> None:
    """The connection comes back by itself, on the same port, without a traceback."""
    gateway = FakeGateway()
    records = gateway.windows(2)
    with mosquitto(tmp_path) as broker, collector(tmp_path, broker.url) as process:
        process.hears()
        broker.kill()
        process.says("lost")
        time.sleep(1)
        broker.restart()
        process.hears(times=2)
        with line(broker.port) as sender:
            sender.send(*records)
            sender.receipt(4)
        log = process.log.read_text()

    assert log.count("cannot be reached") <= 1
    assert "Traceback" not in log


def test_it_waits_for_a_broker_that_is_not_there_yet(tmp_path: Path) -> None:
    """The first connection may fail as often as it likes."""
    with mosquitto(tmp_path) as broker:
        broker.kill()
        with collector(tmp_path, broker.url) as process:
            process.says("cannot be reached: Connection refused")
            broker.restart()
            log = process.says("subscribed")

    assert "Traceback" not in log


def test_a_broker_without_mqtt_5_is_spoken_to_in_3_1_1(tmp_path: Path) -> None:
    """Reliability uses nothing of MQTT 5."""
    gateway = FakeGateway()
    with amqtt(tmp_path) as broker, collector(tmp_path, broker.url) as process:
        process.hears()
        with line(broker.port) as sender:
            sender.send(*gateway.windows(5))
            receipt = sender.receipt(10)

    assert receipt.head == gateway.head.hex()


def test_a_property_that_cannot_be_read_does_not_deafen_it(tmp_path: Path) -> None:
    """Whoever may publish may attach one that the MQTT library refuses; the broker would deliver it for ever."""
    poison = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho types it half
    poison.ContentType = "\ufeff"
    gateway = FakeGateway()
    with mosquitto(tmp_path) as broker, collector(tmp_path, broker.url) as process, line(broker.port) as sender:
        process.hears()
        message: Any = {"topic": "flatwatt/v1/campus-01/up/status", "payload": "x", "qos": 1, "properties": poison}
        publish.multiple([message], broker.host, broker.port, protocol=MQTTProtocolVersion.MQTTv5)
        sender.send(*gateway.windows(1))
        sender.receipt(2)
        log = process.says("rejected a message on 'flatwatt/v1/campus-01/up/status'")

    assert log.count("lost (Protocol error)") == 1


def test_a_message_that_is_too_large_costs_nothing_else(tmp_path: Path) -> None:
    """Above a megabyte the broker keeps it from us, above a quarter it is rejected; the stream goes on."""
    gateway = FakeGateway()
    topic = "flatwatt/v1/campus-01/up/summary/m"
    with mosquitto(tmp_path) as broker, collector(tmp_path, broker.url) as process, line(broker.port) as sender:
        process.hears()
        sender.send((topic, b"x" * 300_000), *gateway.windows(1), (topic, b"x" * 2_000_000), *gateway.windows(1))
        sender.receipt(4)
        log = process.log.read_text()

    assert log.count("rejected") == 1
    assert "300000 bytes; a message has at most 262144" in log


def test_it_logs_in_with_a_password(tmp_path: Path) -> None:
    """A wrong one is one line with the next step; the right one from a file lets it in."""
    users, password = tmp_path / "users", tmp_path / "password"
    subprocess.run(["mosquitto_passwd", "-b", "-c", users, "centre", "right"], check=True, timeout=10)
    settings = ("allow_anonymous false", f"password_file {users}")
    options = ("--username", "centre", "--password-file", str(password))
    password.touch(mode=0o600)
    password.write_text("wrong\n")
    with mosquitto(tmp_path, *settings) as broker:
        with collector(tmp_path, broker.url, *options) as process:
            refused = process.says("refuses the connection")
        password.write_text("right\n")
        with collector(tmp_path, broker.url, *options) as process:
            let_in = process.says("subscribed")

    assert "Not authorized; see --username, --cert-file" in refused
    assert "refuse" not in let_in


def test_it_shows_a_certificate_and_wants_one(tmp_path: Path) -> None:
    """Over TLS with the fleet's own authority; a broker of another authority is not spoken to."""
    authority = Authority(tmp_path)
    for name in ("centre.broker", "centre.collector"):
        authority.issue(name)
    other = tmp_path / "other"
    other.mkdir()
    Authority(other)
    settings = (
        f"cafile {tmp_path}/ca.pem", f"certfile {tmp_path}/centre.broker.pem", f"keyfile {tmp_path}/centre.broker.key",
        "require_certificate true",
    )  # fmt: skip
    identity = (
        "--cert-file", f"{tmp_path}/centre.collector.pem", "--tls-key-file", f"{tmp_path}/centre.collector.key",
    )  # fmt: skip
    with mosquitto(tmp_path, *settings) as broker:
        url = broker.url.replace("mqtt://", "mqtts://")
        with collector(tmp_path, url, "--ca-file", f"{other}/ca.pem", *identity) as process:
            process.says("certificate verify failed")
        with collector(tmp_path, url, "--ca-file", f"{tmp_path}/ca.pem", *identity) as process:
            log = process.says("subscribed")

    assert "WARNING" not in log


def test_a_broker_that_refuses_the_subscription_is_one_line(tmp_path: Path) -> None:
    """A collector that hears nothing does not say that it is subscribed."""
    rules = "amqtt.plugins.topic_checking.TopicAccessControlListPlugin: {acl: {nobody: ['#']}}"
    with amqtt(tmp_path, rules) as broker, collector(tmp_path, broker.url) as process:
        process.says("refuses to let us read flatwatt/v1/+/up/#")
        time.sleep(2)
        log = process.log.read_text()

    assert log.count("refuses to let us read") == 1
    assert "subscribed" not in log
