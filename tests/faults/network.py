"""Faults of the network between the agent and its broker, and of who is let in."""

import asyncio
import subprocess
import time
from pathlib import Path

from tests.broker import free_port
from tests.faults.bed import Bed
from tests.faults.case import NotPossibleError, fault
from tests.faults.certificates import Maker
from tests.faults.fleet import Member, all_at_once
from tests.faults.story import Story

DAY_H = 24.0


@fault("B9", "network cut 7 days (time-compressed)")
def week_without_network(bed: Bed) -> str:
    """Seven days without a network, 10 meters: nothing lost inside the bound, kWh kept beyond it."""
    bed.open(Story(meters=10, hours=7.5 * DAY_H, period_s=300, speed=60_000), through=("uplink",))
    bed.start_agent()
    bed.wait_hours(4)
    bed.uplink.cut()
    bed.wait_hours(4 + 7 * DAY_H)
    before = bed.count("SELECT count(*) FROM record")
    bed.uplink.mend()
    began_s = time.monotonic()
    bed.finish(400)
    took_s = time.monotonic() - began_s
    bed.check()
    records = bed.count("SELECT count(*) FROM record") - before
    assert records > 7 * 96 * 10, records
    assert took_s < 3600, took_s
    return f"{records} records in {took_s:.0f} s: {records / took_s:.0f} a second; {bounded(bed)}"


def bounded(bed: Bed) -> str:
    """Do the same for three days with the smallest spool: what had to go is declared, with its kWh."""
    part = bed.part("bounded")
    delivery = "spool_bytes = 8388608"
    story = Story(meters=12, hours=4 * DAY_H, period_s=300, window_s=300, speed=60_000, delivery=delivery)
    part.open(story, through=("uplink",))
    part.start_agent()
    part.wait_hours(4)
    part.uplink.cut()
    most = 0
    while part.now_s() < part.story.start_s + 3.5 * DAY_H * 3600:
        most = max(most, sum(path.stat().st_size for path in part.state.glob("spool.db*")))
        time.sleep(0.1)
    part.uplink.mend()
    part.finish(400)
    part.check(findings=None)
    gaps = part.count("SELECT count(*) FROM record WHERE kind = 'gap'")
    kept = part.count("SELECT count(*) FROM summary")
    assert gaps, "nothing had to go: nothing was tried"
    told_wh = part.query("SELECT total(load_wh) FROM meter_day")[0][0]
    true_wh = sum(watts for _, _, watts in part.truth().power_w) * part.story.window_s / 3600
    assert abs(told_wh / true_wh - 1) < 0.01, (told_wh, true_wh)
    return f"with a bound of 8.4 MB: {most / 1e6:.1f} MB at most, {kept} windows and {gaps} gap records hold all kWh"


@fault("B10", "flapping link 5 s on / 5 s off, 1 h")
def flapping(bed: Bed) -> str:
    """The link is on and off for 5 s each, 20 times, in real time: progress monotone, no reconnect storm."""
    bed.open(Story(real=True, period_s=1.0, window_s=5), through=("uplink",))
    bed.start_agent()
    bed.wait_for(bed.caught_up, "the first window", 40, agent_runs=True)
    reached = []
    for _ in range(20):
        bed.uplink.cut()
        time.sleep(5)
        bed.uplink.mend()
        time.sleep(5)
        reached.append(bed.count("SELECT max(through) FROM stream"))
    tries = bed.uplink.connections + bed.uplink.refused
    bed.finish()
    bed.check(allowed={"invented", "energy_off"})
    assert reached == sorted(reached), reached
    assert reached[-1] > reached[0], reached
    assert tries <= 100, f"{tries} attempts in 200 s"
    return f"{bed.uplink.connections} connections and {bed.uplink.refused} refused attempts in 200 s; {reached}"


@fault("B11", "9600 bit/s uplink, 2 s RTT")
def slow_uplink(bed: Bed) -> str:
    """An alarm is among two weeks of backlog when the uplink returns with 9600 bit/s and 2 s RTT: alarms first."""
    loads = {"m1": 'kind = "miner_farm"\nmachines = 6\nmachine_w = 3250\nstarts = "5d"'}
    story = Story(meters=1, hours=20 * DAY_H, period_s=900, speed=2_000_000, loads=loads, keys={}, mqtt="")
    bed.open(story, through=("uplink",))
    bed.uplink.cut()
    bed.start_agent()
    bed.wait_for(lambda: bed.now_s() >= bed.until_s - 1800, "the backlog to grow")
    bed.uplink.bytes_per_s, bed.uplink.latency_s = 960.0, 1.0
    bed.uplink.mend()
    began_s = time.monotonic()
    bed.wait_for(lambda: bed.count("SELECT count(*) FROM alarm"), "an alarm at the centre", 120, agent_runs=True)
    took_s = time.monotonic() - began_s
    place, seq = bed.query("SELECT count(*), max(seq) FROM record WHERE id <= (SELECT min(id) FROM record"
                           " WHERE kind = 'alarm')")[0]  # fmt: skip
    bed.uplink.bytes_per_s = bed.uplink.latency_s = 0.0
    bed.uplink.drop()
    bed.finish(300)
    bed.check()
    total = bed.count("SELECT count(*) FROM record")
    assert place <= 64, f"the alarm came as number {place}"
    return f"record {seq} of {total}, an alarm, came as number {place}, {took_s:.0f} s after the line"


@fault("B12", "TLS: expired server cert, wrong CA, hostname mismatch")
def bad_certificates(bed: Bed) -> str:
    """The broker's certificate is expired, of another CA, of another host: refused, spooled, told; then delivered."""
    makers = {name: Maker(bed.folder / name) for name in ("ours", "others")}
    for maker in makers.values():
        maker.issue("broker", "127.0.0.1")
    makers["ours"].issue("expired", "127.0.0.1", days=-2)
    makers["ours"].issue("elsewhere", "10.9.9.9")
    shown = bed.folder / "shown"
    shown.mkdir()
    makers["ours"].show("broker", shown)
    bed.open(Story(hours=24, speed=6_000), broker=tls_listener(bed, shown))
    text = bed.config.read_text().replace(f'"{bed.broker.url}"', f'"mqtts://127.0.0.1:{bed.tls_port}"')
    bed.config.write_text(text.replace("[mqtt]\n", f'[mqtt]\nca_file = "{bed.folder}/ours/ca.crt"\n'))
    seen = []
    for number, (authority, name) in enumerate((("ours", "expired"), ("others", "broker"), ("ours", "elsewhere"))):
        makers[authority].show(name, shown)
        bed.broker.restart()
        if not number:
            bed.start_agent()
        bed.wait_hours(5 * (number + 1))
        bed.wait_for(lambda many=number + 1: refusals(bed) >= many, "the refusal to be told", 60)  # type: ignore[misc]
        seen.append(bed.count("SELECT count(*) FROM record"))
    assert seen == [0, 0, 0], seen
    makers["ours"].show("broker", shown)
    bed.broker.restart()
    bed.finish()
    bed.check()
    said = [line.split("certificate verify failed: ")[-1][:60] for line in bed.agent.log.read_text().splitlines()
            if "certificate verify failed" in line]  # fmt: skip
    return f"refused: {'; '.join(dict.fromkeys(said))}; then everything was delivered"


def tls_listener(bed: Bed, shown: Path) -> tuple[str, ...]:
    """Give the lines of a second listener with TLS."""
    bed.tls_port = free_port()
    return (f"listener {bed.tls_port} 127.0.0.1", f"certfile {shown}/crt", f"keyfile {shown}/key")


def refusals(bed: Bed) -> int:
    """Count the different reasons for which a certificate was refused."""
    lines = bed.agent.log.read_text().splitlines()
    return len({line.split("certificate verify failed")[1] for line in lines if "certificate verify failed" in line})


@fault("B13", "DNS failure, address change")
def name_moves(bed: Bed) -> str:
    """The broker's name leads nowhere, then is unknown, then has another address: delivered within 60 s."""
    hosts = bed.folder / "hosts"
    hosts.write_text("127.0.0.9 broker.test\n")
    bed.open(Story(hours=12, speed=8_000))
    text = bed.config.read_text().replace("mqtt://127.0.0.1", "mqtt://broker.test")
    bed.config.write_text(text.replace("[mqtt]\n", "[mqtt]\nplaintext = true\n"))
    probe = ("unshare", "-m", "sh", "-c", f'mount --bind "{hosts}" /etc/hosts && exec "$0" "$@"')
    if subprocess.run([*probe, "true"], check=False, capture_output=True).returncode:
        raise NotPossibleError("no mount namespace here, so no /etc/hosts of its own")
    bed.start_agent(*probe)
    bed.wait_hours(4)
    hosts.write_text("127.0.0.1 localhost\n")
    bed.wait_hours(8)
    assert bed.count("SELECT count(*) FROM record") == 0
    hosts.write_text("127.0.0.1 localhost broker.test\n")
    took_s = bed.wait_for(lambda: bed.count("SELECT count(*) FROM record"), "the first record", 90, agent_runs=True)
    bed.finish()
    bed.check()
    assert took_s <= 60, f"{took_s:.0f} s"
    return f"the first record arrived {took_s:.1f} s after the name was right"


@fault("B14", "oversized / quota / not-authorised reason codes")
def broker_refuses(bed: Bed) -> str:
    """The broker denies the topics, then takes no message above 200 bytes: nothing forgotten; then all is delivered."""
    rules = bed.folder / "acl"
    rules.write_text("topic read flatwatt/#\n")
    bed.open(Story(hours=24, speed=6_000), broker=(f"acl_file {rules}",))
    bed.start_agent()
    bed.wait_hours(8)
    denied = bed.count("SELECT count(*) FROM record")
    config = bed.folder / f"mosquitto-{bed.broker.port}.conf"
    lines = config.read_text().replace(f"acl_file {rules}\n", "")
    config.write_text(lines + "message_size_limit 200\n")
    bed.broker.restart()
    bed.wait_hours(16)
    summaries = bed.count("SELECT count(*) FROM record WHERE length(payload) > 200")
    config.write_text(lines)
    bed.broker.restart()
    bed.finish()
    bed.check()
    assert (denied, summaries) == (0, 0), (denied, summaries)
    return "0 records arrived while they were denied or too large, all of them afterwards"


@fault("B15", "500 gateways reconnect at once")
def fleet_returns(bed: Bed) -> str:
    """500 gateways connect at once, each with 5 windows of backlog: all receipted, commit p99 below 1 s."""
    bed.open(Story(meters=1, hours=1), broker=("max_queued_messages 0", "max_inflight_messages 16"))  # as we ship it
    fleet = [Member(f"g{number:03}") for number in range(500)]
    began_s = time.monotonic()
    waited = sorted(asyncio.run(all_at_once(fleet, bed.broker.port)))
    took_s = time.monotonic() - began_s
    stored = bed.count("SELECT count(*) FROM record")
    assert stored == 500 * 10, stored
    commit_s = bed.metric('flatwatt_commit_seconds{quantile="0.99"}')
    assert commit_s < 1.0, f"{commit_s:.2f} s"
    told = f"publish to receipt p50 {waited[250]:.1f} s, p99 {waited[495]:.1f} s"
    return f"5000 records of 500 gateways in {took_s:.1f} s; {told}; commit p99 {1000 * commit_s:.0f} ms"
