"""What the owner of the building does: on the bus, at the uplink, with the card, or with a copy of the gateway."""

import json
import shutil
import sqlite3
import time
from contextlib import closing

from tests.faults.bed import HOUR_S, Bed, end
from tests.faults.case import fault
from tests.faults.process import flatwatt
from tests.faults.story import START_S, Story

DAY_H = 24.0
EDIT = "UPDATE record SET payload = CAST(replace(CAST(payload AS TEXT), '\"v\":1', '\"v\":2') AS BLOB)"


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
        said.append(verified.stdout.splitlines()[0])
        assert f"record {seq}" in said[-1] or f"records {seq}" in said[-1], (seq, said[-1])
    return f"edited {edited}: {said[0][:120]}; deleted {deleted}: {said[1][:120]}"


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
    clone.log = bed.folder / "clone.log"
    bed.stack.callback(end, clone)
    clone.start()
    took_s = bed.wait_for(lambda: kinds(bed) & {"fork", "clone", "rollback"}, "a finding", 60, agent_runs=True)
    bed.agent.says("another gateway with our id", 90)
    clone.kill()
    time.sleep(75)  # a chain that is not ours for a minute is left, and what is in doubt is told again in a new stream
    bed.finish()
    found = kinds(bed)
    doubts = {"duplicated", "reordered", "unsigned", "unchained"}  # of the stream that two have written
    bed.check(findings=None, allowed={"invented", "energy_off", *doubts})
    newest = bed.query("SELECT through, highest FROM stream ORDER BY received_s DESC LIMIT 1")[0]
    assert newest[0] == newest[1], newest
    return f"{', '.join(sorted(found))} after {took_s:.0f} s; the original names it in its log, and goes on: 0 lost"


@fault("A8", "fake meter (replayed trace, or flat P scrambled with +-5 % noise)")
def fake_meter(bed: Bed) -> str:
    """One of four meters is a box that plays another place's electricity: its frequency is not the grid's."""
    bed.open(Story(meters=4, hours=12, profile="eastron_sdm120"))  # its frequency is a float
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
    """At 10:00 somebody halves the power of a meter on the wire, not the energy: told within 4 windows, not judged."""
    faults = {"m1": 'kind = "scaled"\nquantities = ["active_power_w"]\nfactor = 0.5\nfrom = "34h"'}
    bed.open(Story(meters=1, hours=38, faults=faults, speed=20_000, period_s=10.0, profile="eastron_sdm72d_m"))
    bed.start_agent()
    bed.finish()
    bed.check(distrusted=[("m1", START_S + 34 * HOUR_S, bed.until_s)])
    told = [one for one in bed.events("quality", "m1") if one["check"] in ("energy", "arithmetic")]
    assert told, bed.events("quality")
    windows = (told[0]["time_s"] - START_S - 34 * HOUR_S) / 900
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
