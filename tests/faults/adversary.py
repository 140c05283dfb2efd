"""What somebody does on purpose: who owns the building, the bus, the card, or a certificate of another gateway."""

import json
import re
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
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
from tests.faults.bed import HOUR_S, START_S, Bed, Story, end
from tests.faults.case import fault
from tests.faults.configuration import operator
from tests.faults.mqtt import publish
from tests.faults.process import ROOT, flatwatt
from tests.faults.proxy import faulty_line

DAY_H = 24.0
EDIT = "UPDATE record SET payload = CAST(replace(CAST(payload AS TEXT), '\"v\":1', '\"v\":2') AS BLOB)"


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


@fault("A2", "delete 1 row / edit 1 byte in spool")
def evidence_edited(bed: Bed) -> str:
    """One byte of a record is edited, then one row deleted, at the centre: the verification names the number."""
    bed.open(Story(hours=6))
    bed.start_agent()
    bed.finish()
    bed.check()
    bed.collector.end()
    highest = bed.count("SELECT max(seq) FROM record")
    edited, deleted = bed.chance.randint(10, highest - 60), bed.chance.randint(highest - 50, highest - 10)
    said = []
    for number, (order, seq) in enumerate(((EDIT, edited), ("DELETE FROM record", deleted))):
        copy = bed.folder / f"edited-{number}.db"
        shutil.copy(bed.database, copy)
        with closing(sqlite3.connect(copy)) as db:
            db.execute(f"{order} WHERE seq = ?", (seq,))
            db.commit()
        verified = bed.flatwatt("verify", str(copy))
        assert verified.returncode == 1, verified
        said.append(" ".join(verified.stdout.split()))
        assert re.search(rf"\b{seq}\b", said[-1]), (seq, said[-1])
    return f"edited {edited}: {said[0][-120:]}; deleted {deleted}: {said[1][-120:]}"


@fault("A3", "roll spool back to a backup (fork)")
def rolled_back(bed: Bed) -> str:
    """The agent's state is replaced by a copy of three hours before: the centre has a finding of a rollback or fork."""
    bed.open(Story(hours=24, speed=6_000))
    bed.start_agent()
    bed.wait_hours(6)
    bed.agent.kill()
    shutil.copytree(bed.state, bed.folder / "backup")
    bed.start_agent()
    bed.wait_hours(9)
    bed.wait_for(bed.caught_up, "the collector to catch up", agent_runs=True)
    bed.agent.kill()
    shutil.rmtree(bed.state)
    shutil.copytree(bed.folder / "backup", bed.state)
    bed.start_agent()
    bed.finish(200)
    found = kinds(bed)
    assert found & {"rollback", "fork"}, found
    bed.check(findings=None, allowed={"duplicated", "reordered"})
    return f"findings: {', '.join(sorted(found))}; the run went on"


def kinds(bed: Bed) -> set[str]:
    """Give the kinds of what the collector found wrong."""
    return {kind for (kind,) in bed.query("SELECT DISTINCT kind FROM finding")}


@fault("A4", "gateway cloned, two live")
def cloned(bed: Bed) -> str:
    """A copy of the state runs beside the original with the same identity: a finding, and the original says so."""
    bed.open(Story(real=True, period_s=1.0, window_s=5))
    bed.start_agent()
    bed.wait_for(bed.caught_up, "the first window", 40, agent_runs=True)
    twin = bed.folder / "twin"
    bed.agent.kill()
    shutil.copytree(bed.state, twin)
    bed.start_agent()
    other = bed.folder / "twin.toml"
    other.write_text(bed.config.read_text().replace(str(bed.state), str(twin)))
    clone = flatwatt(bed.folder, "run", "-c", str(other))
    bed.stack.callback(end, clone)
    clone.start()
    took_s = bed.wait_for(lambda: kinds(bed) & {"fork", "clone", "rollback"}, "a finding", 60, agent_runs=True)
    clone.kill()
    found = kinds(bed)
    return f"{', '.join(sorted(found))} after {took_s:.0f} s"


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
    """Orders by another key, for another gateway, expired, and one that was obeyed before: refused, told, not done."""
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


@fault("A8", "fake meter (replayed trace, or flat P scrambled with +-5 % noise)")
def fake_meter(bed: Bed) -> str:
    """One of four meters is a box that plays another place's electricity: its frequency is not the grid's."""
    bed.open(Story(meters=4, hours=12, profile="eastron_sdm72d_m"))  # its frequency is a float
    elsewhere = bed.folder / "elsewhere.toml"
    elsewhere.write_text((bed.folder / "scenario.toml").read_text().replace("seed = 3", "seed = 99"))
    box = flatwatt(bed.folder, "sim", str(elsewhere), "--json", "--clock", str(bed.folder / "clock"))
    box.log = bed.folder / "box.log"
    bed.stack.callback(end, box)
    box.start()
    box.says('"buses"')
    url = json.loads(box.log.read_text().splitlines()[-1])["buses"][0]["url"]
    bed.add_bus("fake", url, meter="m4")
    bed.start_agent()
    bed.finish()
    bed.check(distrusted=[("m4", 0, bed.until_s)])
    told = [one for one in bed.events("quality", "m4") if one["check"] == "frequency"]
    assert told, bed.events("quality")
    late_h = (told[0]["time_s"] - START_S) / HOUR_S
    return f"told after {late_h:.1f} h: {told[0]['text'][:120]}"


@fault("A9", "Modbus man in the middle scales P but not E")
def scaled(bed: Bed) -> str:
    """Somebody halves the powers of a meter on the wire, not the energy: told within 4 windows, none is judged."""
    faults = {"m1": 'kind = "scaled"\nquantities = ["active_power_w"]\nfactor = 0.5\nfrom = "25h"'}
    bed.open(Story(meters=1, hours=30, faults=faults, speed=20_000, period_s=10.0, profile="eastron_sdm72d_m"))
    bed.start_agent()
    bed.finish()
    bed.check(distrusted=[("m1", START_S + 25 * HOUR_S, bed.until_s)])
    told = [one for one in bed.events("quality", "m1") if one["check"] in ("energy", "arithmetic")]
    assert told, bed.events("quality")
    windows = (told[0]["time_s"] - START_S - 25 * HOUR_S) / 900
    assert windows <= 4, f"{windows} windows"
    return f"after {windows:.0f} windows: {told[0]['text'][:140]}"


@fault("A10", "selective cut: uplink blocked only while mining")
def blocked_while_mining(bed: Bed) -> str:
    """The uplink is cut while a farm runs from 6 to 18 h: a finding of silence, and the backlog shows the load."""
    loads = {"m1": 'kind = "miner_farm"\nmachines = 6\nmachine_w = 3250\nstarts = "6h"\nends = "18h"'}
    bed.open(Story(hours=24, loads=loads, clock="# true\n", speed=2_500), through=("uplink",))
    bed.start_agent()
    bed.wait_hours(6)
    bed.uplink.cut()
    bed.wait_hours(18)
    silent = bed.query("SELECT text FROM finding WHERE kind = 'silence'")
    bed.uplink.mend()
    bed.finish()
    assert silent, "nobody noticed the silence"
    bed.check(findings=None)
    mean = "SELECT avg(active_power_w) FROM summary WHERE meter = 'm1' AND start_s BETWEEN ? AND ?"
    night_w = bed.query(mean, START_S, START_S + 5 * HOUR_S)[0][0] or 0.0
    day_w = bed.query(mean, START_S + 7 * HOUR_S, START_S + 17 * HOUR_S)[0][0]
    assert day_w > night_w + 10_000, (night_w, day_w)
    return f"{silent[0][0][:100]}; the backlog tells {day_w / 1000:.1f} kW instead of {night_w / 1000:.1f} kW"


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


@fault("A12", "load split below threshold over many meters / duty-cycled mining")
def split_farm(bed: Bed) -> str:
    """From day 40 on one machine runs behind each of eight office meters: an event of splitting, or alarms."""
    machine = 'kind = "miner_farm"\nmachines = 1\nmachine_w = 3250\nstarts = "40d"'
    farm = f'kind = "office"\nmean_w = {{}}\n[[meter.load]]\n{machine}'
    loads = {f"m{unit}": farm.format(20_000 + 2_000 * unit) for unit in range(1, 9)}
    story = Story(meters=8, hours=55 * DAY_H, period_s=900, window_s=3600, loads=loads, speed=2_000_000)
    bed.open(story)
    bed.start_agent()
    bed.finish(300)
    bed.check(allowed={"energy_off"})
    alarms = {meter for (meter,) in bed.query("SELECT DISTINCT meter FROM alarm")}
    split = bed.events("splitting")
    assert split or alarms, "neither a splitting nor an alarm"
    first = (
        f"first splitting told on day {(split[0]['time_s'] - START_S) / 86_400:.0f}" if split else "no splitting told"
    )
    return f"{first}; alarms at {len(alarms)} of 8 meters"
