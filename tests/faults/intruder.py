"""What somebody does at the broker, with the certificate of another gateway, a forged order, or bytes that are none."""

import subprocess
import time
from pathlib import Path

import msgspec
import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.deliver import chain, wire
from tests.broker import free_port
from tests.collector.ca.centre import enrolment
from tests.faults.bed import Bed
from tests.faults.case import fault
from tests.faults.configuration import operator
from tests.faults.mqtt import publish
from tests.faults.process import ROOT
from tests.faults.proxy import faulty_line
from tests.faults.story import Story


@fault("A1", "replay of yesterday's messages")
def replayed(bed: Bed) -> str:
    """All that a gateway published is published again, later and in another order: no row more, no finding."""
    bed.open(Story(hours=24, speed=6_000))
    tape = bed.folder / "tape"
    words = ("-t", "flatwatt/v1/+/up/#", "-F", "%t %x", "-q", "1")
    with tape.open("wb") as out:
        tap = subprocess.Popen(["mosquitto_sub", "-p", str(bed.broker.port), *words], stdout=out)
        bed.stack.callback(tap.kill)
        bed.start_agent()
        bed.wait_hours(12)
        tap.terminate()
        tap.wait(5)
    lines = [line.split(" ") for line in tape.read_text().splitlines() if "/status" not in line]
    bed.chance.shuffle(lines)
    client = connected(bed.broker.port, "replayer")
    for topic, payload in lines:
        client.publish(topic, bytes.fromhex(payload), 1)
    before = bed.count("SELECT count(*) FROM record")
    bed.finish()
    client.disconnect()
    bed.check()
    assert len(lines) > 100, len(lines)
    return f"{len(lines)} messages published again beside {before} records: 0 rows more, 0 findings"


def connected(port: int, name: str, **options: str) -> mqtt.Client:
    """Connect to the broker as anybody may."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
    if "username" in options:
        client.username_pw_set(options["username"])
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


@fault("A5", "device A publishes as B, subscribes `#`")
def another_gateway(bed: Bed) -> str:
    """Under the rules that ship, a gateway publishes as another and subscribes to `#`: the broker denies both."""
    rules = ROOT / "deploy" / "mosquitto.acl"
    bed.open(Story(meters=1, hours=1), broker=(f"acl_file {rules}", "allow_anonymous true"))
    heard: list[str] = []
    thief = connected(bed.broker.port, "campus-01", username="campus-01")
    thief.on_message = lambda _client, _data, message: heard.append(message.topic)
    thief.subscribe("#", 1)
    reader = connected(bed.broker.port, "reader", username="centre.reader")
    seen: list[str] = []
    reader.on_message = lambda _client, _data, message: seen.append(message.topic)
    reader.subscribe("flatwatt/v1/#", 1)
    time.sleep(0.5)
    for name in ("campus-01", "campus-02"):
        thief.publish(f"flatwatt/v1/{name}/up/status", b"{}", 1)
    other = connected(bed.broker.port, "campus-02", username="campus-02")
    other.publish("flatwatt/v1/campus-02/up/status", b"{}", 1)
    time.sleep(1.0)
    for client in (thief, reader, other):
        client.disconnect()
    assert sorted(seen) == ["flatwatt/v1/campus-01/up/status", "flatwatt/v1/campus-02/up/status"], seen
    assert heard == [], heard
    return "its own topic arrived, the other's did not; `#` brought nothing"


@fault("A6", "forged/old/expired/other-gateway command")
def false_orders(bed: Bed) -> str:
    """Orders by another key, for another gateway, expired, old, and one that was obeyed before: none is done."""
    bed.open(Story(real=True, period_s=1.0, window_s=5))
    own = read_operator(operator(bed))
    bed.start_agent()
    bed.wait_for(bed.caught_up, "the first window", 40, agent_runs=True)
    now_s = time.time()
    obeyed = order(own, "demo", int(now_s * 1000), now_s + 600)
    for payload in (
        obeyed,
        order(chain.new_key(), "demo", int(now_s * 1000) + 1, now_s + 600),
        order(own, "campus-02", int(now_s * 1000) + 2, now_s + 600),
        order(own, "demo", int(now_s * 1000) + 3, now_s - 10),
        order(own, "demo", int(now_s * 1000) - 5000, now_s + 600),
        obeyed,
    ):
        publish(bed, wire.topic("demo", "command"), payload)
        time.sleep(1.5)
    time.sleep(6)
    bed.finish()
    bed.check(allowed={"invented", "energy_off"})
    replies = bed.query("SELECT state, text FROM reply ORDER BY seq")
    done = [text for state, text in replies if state == "done"]
    told = [text for state, text in replies if state != "done"] + [one["text"] for one in bed.events("command_refused")]
    assert len(done) == 1, replies
    assert len(told) >= 2, (replies, told)
    return f"1 done; {len(told)} refusals told: {'; '.join(text[:60] for text in told)}"


def read_operator(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read an operator's key."""
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def order(key: ec.EllipticCurvePrivateKey, gateway: str, counter: int, expires_s: float) -> bytes:
    """Sign an order to tell how things are."""
    body = wire.CommandBody(
        gateway=gateway, counter=counter, command="diagnose", arguments={},
        not_before_s=int(expires_s) - 900, expires_s=int(expires_s),
    )  # fmt: skip
    text = msgspec.json.encode(body).decode()
    signature = chain.sign(key, chain.command_text(text))
    return wire.encode(wire.Command(v=1, kind="command", body=text, public_key=chain.public_text(key), sig=signature))


@fault("A7", "10 MB payload, JSON bomb, 1e4 user properties, invalid UTF-8")
def bombs(bed: Bed) -> str:
    """Ten megabytes, deep JSON, 10,000 user properties, bytes that are no text: dropped and named, memory bounded."""
    bed.open(Story(hours=24, speed=6_000))
    bed.start_agent()
    bed.wait_hours(4)
    before_mb = bed.collector.peak_mb
    client = connected(bed.broker.port, "bomber")
    topic = "flatwatt/v1/demo/up/summary/m1"
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = [(f"key{number}", "x" * 20) for number in range(10_000)]
    deep, wide = b"[" * 100_000 + b"]" * 100_000, b'{"v":1,"kind":"summary","stream":"' + b"x" * 200_000 + b'"}'
    for payload in (bytes(10_000_000), deep, wide, b"\xff\xfe\x00", b'{"v":1e999,"kind":"summary"}', b"NaN", b""):
        client.publish(topic, payload, 1)
    client.publish(topic, b"{}", 1, properties=properties)
    client.publish("flatwatt/v1/demo/up/event/" + "m" * 60_000, b"{}", 1)
    bed.finish()
    client.disconnect()
    bed.check()
    rejected = bed.query("SELECT topic, why, bytes FROM rejected")
    assert len(rejected) >= 5, rejected
    assert all(row[0].startswith("flatwatt/v1/demo/") for row in rejected), rejected
    assert bed.collector.running()
    grew_mb = bed.collector.peak_mb - before_mb
    assert grew_mb < 100, f"{grew_mb:.0f} MB"
    return f"{len(rejected)} rejected with topic and reason; the collector grew by {grew_mb:.0f} MB at most"


@fault("A11", "certificate expires during outage")
def expired(bed: Bed) -> str:
    """A certificate of 6 s ends while broker and authority are away for 12 s: renewed after its end, 0 lost."""
    service = bed.stack.enter_context(enrolment(bed.folder, 6 / 86_400))
    made = bed.flatwatt(
        "ca", "issue", str(bed.folder), "centre.broker", "--out", str(bed.folder), "--host", "127.0.0.1"
    )
    assert made.returncode == 0, made
    port = free_port()
    tls = (f"cafile {bed.folder}/ca.pem", f"certfile {bed.folder}/centre.broker.pem")
    rights = (f"keyfile {bed.folder}/centre.broker.key", "require_certificate true", "use_identity_as_username true")
    bed.open(Story(real=True, period_s=1.0, window_s=5), broker=(f"listener {port} 127.0.0.1", *tls, *rights))
    bed.config.write_text(bed.config.read_text().replace(f'"{bed.broker.url}"', f'"mqtts://127.0.0.1:{port}"'))
    token = service.authority.token("demo", 1.0, replace=True)
    way = bed.stack.enter_context(faulty_line("127.0.0.1", int(service.url.rpartition(":")[2]), bed.seed))
    enrolled = bed.flatwatt("enrol", f"https://{way.address}", token, "-c", str(bed.config))
    assert enrolled.returncode == 0, enrolled
    bed.start_agent()
    bed.wait_for(bed.caught_up, "the first window", 40, agent_runs=True)
    way.cut()  # else it renews in time, as it should
    bed.broker.kill()
    time.sleep(12)
    bed.broker.start()
    way.mend()
    before = len(bed.events("certificate_renewed"))
    renewed_s = bed.wait_for(
        lambda: len(bed.events("certificate_renewed")) > before, "a new certificate", 90, agent_runs=True
    )
    time.sleep(8)
    bed.finish()
    bed.check(allowed={"invented", "energy_off"})
    return f"renewed {renewed_s:.0f} s after it was back, with a certificate that had ended; 0 lost"
